"""What all routes share: the service behind them, the home's secret, and the limits. `create_app` makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from cxreader.serving.access.rates import Rate, Slots
from cxreader.serving.access.sessions import Lasting
from cxreader.serving.home import secret
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Door:
    """The service behind the routes, the home's secret, limits of attempts, and the folder where uploads lie for a moment."""

    settings: Settings
    service: TriageService
    secret: bytes
    sign_ins: Rate
    uploads: Rate
    streams: Slots
    incoming: Path
    stopped: Callable[[], bool]

    @classmethod
    def of(cls, settings: Settings, service: TriageService, stopped: Callable[[], bool]) -> Door:
        """The door of these settings; its folder for uploads is made, for its owner alone."""
        incoming = settings.home / "incoming"
        incoming.mkdir(mode=0o700, exist_ok=True)
        web = settings.web
        rates = Rate(web.sign_ins, "attempts to sign in"), Rate(web.uploads, "uploads")
        streams = Slots(web.streams, "streams of events")
        return cls(settings, service, secret(settings), *rates, streams, incoming, stopped)

    @property
    def lasting(self) -> Lasting:
        """How long sessions last."""
        return Lasting(60 * self.settings.web.idle, 60 * self.settings.web.longest)

    def read(self, work: Callable[[Session, float], T]) -> T:
        """What `work` returns from one state of the database, given the moment now."""
        with self.service.database.reading() as session:
            return work(session, self.service.database.now(session))

    def write(self, work: Callable[[Session, float], T]) -> T:
        """What `work` returns in a transaction, given the moment now."""
        database = self.service.database
        return database.write(lambda session: work(session, database.now(session)))


def door_of(request: Request) -> Door:
    """The door that this request came through."""
    found: Door = request.app.state.door
    return found


TheDoor = Annotated[Door, Depends(door_of)]

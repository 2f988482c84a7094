"""What all routes share: the service behind them, the home's secret, and the limits. `create_app` makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from cxreader.serving import incoming
from cxreader.serving.access.principals import Principal
from cxreader.serving.access.rates import Rate, Recently, Slots
from cxreader.serving.access.sessions import Lasting
from cxreader.serving.home import secret
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store import audit
from cxreader.serving.store.audit import Noted

NAME = "web"
"""What its folder of arriving uploads is called."""
LOOKING = 900.0
"""Seconds for which looking at the same thing again is the same look."""
_SOON = 5.0
"""Seconds after which an upload that was refused beside others may be tried again."""
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
    under_way: Slots
    told: Recently
    incoming: Path
    stopped: Callable[[], bool]

    @classmethod
    def of(cls, settings: Settings, service: TriageService, stopped: Callable[[], bool]) -> Door:
        """The door of these settings; its folder for uploads is made, for its owner alone."""
        folder = incoming.made(settings.home, NAME)
        web = settings.web
        rates = Rate(web.sign_ins, "attempts to sign in"), Rate(web.uploads, "uploads")
        streams = Slots(web.streams, "streams of events")
        under_way = Slots(web.uploads_at_once, "uploads at once", after=_SOON)
        return cls(settings, service, secret(settings), *rates, streams, under_way, Recently(LOOKING), folder, stopped)

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

    def shown(self, principal: Principal, what: str, key: str = "") -> None:
        """Note in the audit log that somebody was shown something: a study's key, never what was asked."""
        if self.told.first(principal.user.key, what, key):
            noted = Noted(f"{what} shown", principal.user.name, key)
            self.write(lambda session, now: audit.note(session, now, [noted]))


def door_of(request: Request) -> Door:
    """The door that this request came through."""
    found: Door = request.app.state.door
    return found


TheDoor = Annotated[Door, Depends(door_of)]

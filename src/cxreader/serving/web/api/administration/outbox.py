"""What waits to be sent, was sent, or was given up, by destination."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from cxreader.serving.administration import sending
from cxreader.serving.store import destinations
from cxreader.serving.store.tables.sending import OutboxEntry
from cxreader.serving.store.work import outbox
from cxreader.serving.web.allowed import Administrator
from cxreader.serving.web.api.administration.fields import Place
from cxreader.serving.web.api.shapes import KEY, moment
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["administration"])
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
State = Literal["waiting", "sent", "none", "dead"]


class Parcel(BaseModel):
    """One object of a result for a destination. `state`: waiting, leased, sent, none (nothing to send) or dead, and `why`."""

    entry: int
    kind: str = Field(examples=["sr"])
    result: str = Field(examples=[KEY])
    study: str = Field(examples=[KEY])
    state: str = Field(examples=["dead"])
    attempts: int
    why: str = Field(examples=["C-STORE status C000"])
    created_at: str
    next_at: str = Field(description="When it is tried, or was last due.")
    ended_at: str | None

    @classmethod
    def of(cls, row: OutboxEntry, result: str, study: str) -> Parcel:
        """An entry of the outbox."""
        ended = None if row.ended_at is None else moment(row.ended_at)
        told = {"kind": row.kind, "result": result, "study": study, "state": row.state, "why": row.error}
        times = {"created_at": moment(row.created_at), "next_at": moment(row.available_at)}
        return cls(entry=row.id, attempts=row.attempts, ended_at=ended, **told, **times)


class Revived(BaseModel):
    """How many objects wait to be sent again."""

    objects: int


@router.get("/destinations/{name}/outbox", responses=responses(404))
def list_outbox(
    door: TheDoor,
    _: Administrator,
    name: Place,
    state: State | None = None,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    size: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[Parcel]:
    """A destination's objects, the latest first; `before`: those numbered below the last of the page before."""

    def work(session: Session, _: float) -> list[Parcel]:
        of = destinations.by_name(session, name).id
        return [Parcel.of(*one) for one in outbox.page(session, of, state=state, before=before, size=size)]

    return door.read(work)


@router.post("/destinations/{name}/outbox/again", responses=responses(404))
def revive(door: TheDoor, principal: Administrator, name: Place) -> Revived:
    """Send a destination's dead letters again."""
    return Revived(objects=door.write(lambda s, now: sending.revive(s, now, principal.user.name, name)))


@router.post("/outbox/{entry}/again", status_code=204, responses=responses(400, 404))
def resend(door: TheDoor, principal: Administrator, entry: Number) -> None:
    """Send one object again, whatever became of it."""
    door.write(lambda s, now: sending.resend(s, now, principal.user.name, entry))

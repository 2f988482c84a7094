"""The audit log, for auditors: who did what to which key, without any patient."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.serving.store import audit
from cxreader.serving.store.tables.trail import AuditEntry
from cxreader.serving.web.allowed import Auditor
from cxreader.serving.web.api.shapes import moment
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["audit"])
Words = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")]


class Entry(BaseModel):
    """An entry: `hash` is made of it and of the hash `before` it, so that none can be changed or taken out unseen."""

    number: int
    at: str
    event: str
    actor: str
    subject: str
    detail: dict[str, Any]
    before: str
    hash: str

    @classmethod
    def of(cls, row: AuditEntry) -> Entry:
        """An entry of the log."""
        told = {name: getattr(row, name) for name in cls.model_fields} | {"at": moment(row.at)}
        return cls.model_validate(told)


class Wanted(BaseModel):
    """Which entries are asked for; times in seconds since 1970."""

    model_config = ConfigDict(extra="forbid")

    event: Words | None = None
    actor: Words | None = None
    subject: Words | None = None
    since: Annotated[float | None, Field(ge=0, le=1e11)] = None
    until: Annotated[float | None, Field(ge=0, le=1e11)] = None
    before: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None
    size: Annotated[int, Field(ge=1, le=1000)] = 200


class Verification(BaseModel):
    """Whether the whole log is as it was written. `entries` of it are; `hash` of the last of those, to be kept elsewhere.

    `number`: the first entry that is not, and `why`; None and empty where all are.
    """

    entries: int
    hash: str
    number: int | None
    why: str = Field(examples=["was changed, or the one before it was"])


@router.get("/audit", responses=responses())
def list_audit(
    door: TheDoor,
    _: Auditor,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    size: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[Entry]:
    """The entries after this number, the oldest first."""

    def work(session: Session, _: float) -> list[Entry]:
        query = select(AuditEntry).where(AuditEntry.number > after).order_by(AuditEntry.number).limit(size)
        return [Entry.of(one) for one in session.scalars(query)]

    return door.read(work)


@router.get("/audit/latest", responses=responses())
def latest(
    door: TheDoor,
    _: Auditor,
    wanted: Annotated[Wanted, Query()],
) -> list[Entry]:
    """The latest entries first, of an event, an actor, a subject, a time; `before`: of those numbered below it."""
    asked = audit.Wanted(wanted.event, wanted.actor, wanted.subject, wanted.since, wanted.until)
    return door.read(
        lambda s, _: [Entry.of(one) for one in audit.latest(s, asked, before=wanted.before, size=wanted.size)]
    )


@router.get("/audit/verification", responses=responses())
def verification(door: TheDoor, _: Auditor) -> Verification:
    """Go through the whole log, hash by hash."""
    found = door.read(lambda session, _: audit.verify(session))
    return Verification(entries=found.entries, hash=found.hash, number=found.number, why=found.why)

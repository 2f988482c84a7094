"""The audit log, for auditors: who did what to which key, without any patient."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.serving.store.tables.trail import AuditEntry
from cxreader.serving.web.allowed import Auditor
from cxreader.serving.web.api.shapes import moment
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["audit"])


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


@router.get("/audit", responses=responses())
def audit(
    door: TheDoor,
    _: Auditor,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    size: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[Entry]:
    """The entries after this number, the oldest first."""

    def work(session: Session, _: float) -> list[Entry]:
        query = select(AuditEntry).where(AuditEntry.number > after).order_by(AuditEntry.number).limit(size)
        return [
            Entry.model_validate({name: getattr(one, name) for name in Entry.model_fields} | {"at": moment(one.at)})
            for one in session.scalars(query)
        ]

    return door.read(work)

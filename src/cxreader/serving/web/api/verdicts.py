"""What a reader says of a study, and who reads it now."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from cxreader.serving.store import verdicts
from cxreader.serving.store.tables.images import Study
from cxreader.serving.store.tables.people import User
from cxreader.serving.store.verdicts import Opinion
from cxreader.serving.store.views import by_key
from cxreader.serving.web.allowed import Judge
from cxreader.serving.web.api.shapes import Lock, Said
from cxreader.serving.web.api.studies import lock_of
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1/studies/{key}", tags=["verdicts"])


class Verdict(BaseModel):
    """A verdict on an answer: accepted, rejected, or supplemented by what it missed. A final one ends the reading.

    `mode`: whether the reader gave a provisional verdict before seeing the answer (read-first), or saw it at once (concurrent).
    `seconds`: from opening the study to this.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["accepted", "rejected", "supplemented"]
    stage: Literal["provisional", "final"] = "final"
    mode: Literal["read-first", "concurrent"] = "read-first"
    findings: Annotated[list[Any], Field(max_length=100, examples=[[{"finding": "nodule", "x": 812, "y": 640}]])] = []
    comment: Annotated[str, Field(max_length=10_000)] = ""
    seconds: float | None = Field(None, ge=0, le=86_400)


class State(BaseModel):
    """Where a study stands: open, pending (put aside) or done."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["open", "pending", "done"]


@router.post("/verdicts", status_code=201, responses=responses(404))
def give(door: TheDoor, principal: Judge, key: str, verdict: Verdict) -> Said:
    """Give a verdict; it is never changed, and the latest final one counts."""
    found = door.service.give_verdict(key, principal.user, Opinion(**verdict.model_dump()))
    return Said.of(found, principal.user.name)


@router.put("/state", status_code=204, responses=responses(404))
def put(door: TheDoor, principal: Judge, key: str, wanted: State) -> None:
    """Put a study aside, or back, or mark it done without a verdict."""
    door.write(lambda s, now: verdicts.put(s, now, by_key(s, Study, key), principal.user, wanted.state))


@router.put("/lock", responses=responses(404))
def take(door: TheDoor, principal: Judge, key: str, over: bool = False) -> Lock:
    """Say that you read it: again every minute while you do. Another's lock is answered as it is, or with `over` taken over."""

    def work(session: Session, now: float) -> Lock:
        lock = verdicts.take(session, now, by_key(session, Study, key), principal.user, over=over)
        return lock_of(lock, session.get_one(User, lock.user_id).name, principal)

    return door.write(work)


@router.delete("/lock", status_code=204, responses=responses(404))
def release(door: TheDoor, principal: Judge, key: str) -> None:
    """Say that you read it no longer; another's lock stays."""
    door.write(lambda s, now: verdicts.release(s, now, by_key(s, Study, key), principal.user))

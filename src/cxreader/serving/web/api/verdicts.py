"""What a reader says of a study, and who reads it now."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat
from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.roles import SCOPES
from cxreader.serving.store.reading import verdicts
from cxreader.serving.store.reading.verdicts import Opinion
from cxreader.serving.store.reading.views import by_key
from cxreader.serving.store.tables.images import Study
from cxreader.serving.store.tables.people import User
from cxreader.serving.web.allowed import Judge, Key
from cxreader.serving.web.api.shapes import Lock, Said, moment
from cxreader.serving.web.api.studies import lock_of
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1/studies/{key}", tags=["verdicts"])


def _kept(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL cannot be kept")
    return text


Text = Annotated[str, AfterValidator(_kept)]


class Finding(BaseModel):
    """A finding of the reader; where it lies, in square pixels from the upper left corner, if that was marked."""

    model_config = ConfigDict(extra="forbid")

    finding: Annotated[Text, Field(min_length=1, max_length=200, examples=["nodule"])]
    x: FiniteFloat | None = None
    y: FiniteFloat | None = None
    width: FiniteFloat | None = None
    height: FiniteFloat | None = None
    comment: Annotated[Text, Field(max_length=2_000)] = ""


class Verdict(BaseModel):
    """A verdict on an answer: accepted, rejected, or supplemented by what it missed. A final one ends the reading.

    `mode`: whether the reader gave a provisional verdict before seeing the answer (read-first), or saw it at once (concurrent).
    `seconds`: from opening the study to this. `impression`: what the reader calls the study; it is the label of the export where
    it is said. `disagreement`: why the reader does not follow the answer.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["accepted", "rejected", "supplemented"]
    stage: Literal["provisional", "final"] = "final"
    mode: Literal["read-first", "concurrent"] = "read-first"
    findings: Annotated[list[Finding], Field(max_length=100)] = []
    comment: Annotated[Text, Field(max_length=10_000)] = ""
    seconds: float | None = Field(None, ge=0, le=86_400)
    impression: Literal["", "normal", "abnormal"] = ""
    disagreement: Annotated[Text, Field(max_length=200, examples=["device, line or artefact"])] = ""


class State(BaseModel):
    """Where a study stands: open, pending (put aside) or done."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["open", "pending", "done"]


class Handed(BaseModel):
    """To whom a study is left."""

    model_config = ConfigDict(extra="forbid")

    reader: Annotated[Text, Field(max_length=200, examples=["dr-grey"])]


@router.post("/verdicts", status_code=201, responses=responses(404))
def give(door: TheDoor, principal: Judge, key: Key, verdict: Verdict) -> Said:
    """Give a verdict; it is never changed, and the latest final one counts."""
    found = door.service.give_verdict(key, principal.user, Opinion(**verdict.model_dump()))
    return Said.of(found, principal.user.name)


@router.put("/state", status_code=204, responses=responses(404))
def put(door: TheDoor, principal: Judge, key: Key, wanted: State) -> None:
    """Put a study aside, or back, or mark it done without a verdict."""
    door.write(lambda s, now: verdicts.put(s, now, by_key(s, Study, key), principal.user, wanted.state))


@router.put("/lock", responses=responses(404))
def take(door: TheDoor, principal: Judge, key: Key, over: bool = False) -> Lock:
    """Say that you read it: again every minute while you do. Another's lock is answered as it is, or with `over` taken over.

    So is what was handed over to another, also while your page was open: it stays theirs unless you take it over.
    """

    def work(session: Session, now: float) -> Lock:
        study = by_key(session, Study, key)
        lock = verdicts.take(session, now, study, principal.user, over=over)
        if lock is None:
            at = moment(now)
            return Lock(reader=verdicts.row_of(session, study).reader, since=at, until=at, yours=False, handed=True)
        return lock_of(lock, session.get_one(User, lock.user_id).name, principal)

    return door.write(work)


@router.put("/reader", status_code=204, responses=responses(404))
def hand_over(door: TheDoor, principal: Judge, key: Key, wanted: Handed) -> None:
    """Leave a study to another reader: it stands open with their name, and nobody is given it as the next one but them."""

    def work(session: Session, now: float) -> None:
        to = session.scalar(select(User).where(User.name == wanted.reader, User.disabled_at.is_(None)))
        if to is None or "verdict" not in SCOPES[to.role]:
            raise UsageError("nobody of this name reads studies", where="reader", mend="name a reader")
        verdicts.hand_over(session, now, by_key(session, Study, key), principal.user, to)

    door.write(work)


@router.delete("/lock", status_code=204, responses=responses(404))
def release(door: TheDoor, principal: Judge, key: Key) -> None:
    """Say that you read it no longer; another's lock stays."""
    door.write(lambda s, now: verdicts.release(s, now, by_key(s, Study, key), principal.user))

"""One study: its images with all their answers, verdicts, and who reads it now."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.serving.access.principals import Principal
from cxreader.serving.store.reading.views import StudyView
from cxreader.serving.store.tables.people import StudyLock, User
from cxreader.serving.web.allowed import Key, Reader
from cxreader.serving.web.api.shapes import KEY, Image, Lock, Patient, Said, moment, patient
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses
from cxreader.serving.web.withholding import READ_FIRST, is_shown

router = APIRouter(prefix="/api/v1", tags=["studies"])


class Whole(BaseModel):
    """A study. `state`: open, pending or done. `revision` rises with every change."""

    study: str = Field(examples=[KEY])
    study_uid: str
    patient: Patient
    accession_number: str
    study_date: str
    study_time: str
    description: str
    received_at: str
    state: str
    reason: str = Field(description="Of its place in the worklist.")
    revision: int
    images: list[Image]
    verdicts: list[Said] = Field(description="The earliest first.")
    lock: Lock | None
    withheld: str = Field(
        description="read-first: answers, verdicts and the reason wait for this reader's own verdict; empty where they are told.",
        examples=[""],
    )


@router.get("/studies/{key}", responses=responses(404))
def study(door: TheDoor, principal: Reader, key: Key) -> Whole:
    """A study."""
    view = door.service.study(key)
    door.shown(principal, "study", view.study.key)
    told = principal.token is None or is_shown(door, principal.user, view)
    names = door.read(lambda session, _: _names(session, view))
    own = {name: getattr(view.study, name) for name in Whole.model_fields if hasattr(view.study, name)}
    return Whole(
        **own
        | {
            "study": view.study.key,
            "patient": patient(view.study),
            "received_at": moment(view.row.received_at),
            "state": view.row.state,
            "reason": view.row.reason if told else "",
            "revision": view.row.revision,
            "images": [Image.of(one.instance, one.results if told else ()) for one in view.images],
            "verdicts": [Said.of(one, names[one.user_id]) for one in view.verdicts] if told else [],
            "lock": None if view.lock is None else lock_of(view.lock, names[view.lock.user_id], principal),
            "withheld": "" if told else READ_FIRST,
        }
    )


def lock_of(lock: StudyLock, reader: str, principal: Principal) -> Lock:
    """A lock as it is shown."""
    yours = lock.user_id == principal.user.id
    return Lock(reader=reader, since=moment(lock.since), until=moment(lock.until), yours=yours)


def _names(session: Session, view: StudyView) -> dict[int, str]:
    ids = {one.user_id for one in view.verdicts} | ({view.lock.user_id} if view.lock else set())
    return {user.id: user.name for user in session.scalars(select(User).where(User.id.in_(ids)))}

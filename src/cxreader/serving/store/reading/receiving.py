"""What was received becomes an image in its study, a job in the queue, and a place in the worklist, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from cxreader.errors import ConfigError
from cxreader.serving.intake import Arrived
from cxreader.serving.order.places import Waits
from cxreader.serving.store import audit, events
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.reading import models, studies
from cxreader.serving.store.reading.studies import Origin, Outcome
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.readings import Job, ModelSet, Result, ResultObject
from cxreader.serving.store.work import queue

AT_ONCE = 500
"""Images that are queued anew in one transaction."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was received: kept on the disk and queued when this is returned.

    `outcome`: new, again (the same bytes are there: nothing else happened), conflict (other bytes are there under its SOP
    Instance UID, or its header says otherwise whose image it is than its study: all are kept and read), or own (a result of
    this service that came back: nothing was kept). `study` and `instance` are keys, which tell nothing of the patient; of what
    is our own those of the image that it is of.
    """

    outcome: Outcome
    study: str
    instance: str
    sha256: str
    sop_class: str
    sop_instance_uid: str


def receive(session: Session, now: float, came: Arrived, origin: Origin, waits: Waits) -> Receipt:
    """Admit what came and queue it for the active models. Raises ConfigError where none are active."""
    found = studies.admit(session, now, came, origin)
    image, study = found.instance, found.study
    if found.outcome != "again":
        queue.enqueue(session, now, image, _active(session))
        rows = studies.refresh(session, now, [study.id, *found.others], waits, reopen=[study.id])
        events.tell(session, now, [("received", *row) for row in rows])
        detail = {"sender": origin.sender, "sha256": image.sha256, "study": study.key}
        event = "received"
        if found.differs:
            event, detail["differs"] = "received with a header that differs from its study's", ", ".join(found.differs)
        if found.others:
            event = "received under a UID that other bytes have"
        audit.note(session, now, [Noted(event, origin.door, image.key, detail)])
    elif found.purged:
        audit.note(session, now, [Noted("bytes kept anew", origin.door, image.key, {"sender": origin.sender})])
    return Receipt(found.outcome, study.key, image.key, came.sha256, image.sop_class, image.sop_instance_uid)


def own(session: Session, sop_instance_uid: str) -> Receipt | None:
    """The receipt of an object of this UID that was made here of a result; None for any other."""
    made = session.scalar(select(ResultObject).where(ResultObject.sop_instance_uid == sop_instance_uid))
    if made is None:
        return None
    image = session.get_one(Instance, session.get_one(Result, made.result_id).instance_id)
    study = session.get_one(Study, image.study_id)
    return Receipt("own", study.key, image.key, made.sha256, made.sop_class, made.sop_instance_uid)


def reread(
    session: Session, now: float, actor: str, of: Sequence[int] | None = None, *, after: int = 0
) -> tuple[int, int | None]:
    """Queue images anew, as their next revision: those of the studies `of`, else all that the active models have no job for.

    Images that wait or are being read are left out, since the active models read them in any case, and so are those whose bytes
    were deleted. At most AT_ONCE images, those behind the one of the number `after`: other transactions come in between.
    Returns how many, and the number of the last one, None where nothing is left. Raises ConfigError where no models are active.
    """
    active = _active(session)
    under_way = exists().where(Job.instance_id == Instance.id, Job.state.in_(("waiting", "leased")))
    wanted = select(Instance).where(Instance.purged_at.is_(None), Instance.id > after, ~under_way).order_by(Instance.id)
    if of is None:
        wanted = wanted.where(~exists().where(Job.instance_id == Instance.id, Job.models_id == active.id))
    else:
        wanted = wanted.where(Instance.study_id.in_(of))
    images = session.scalars(wanted.limit(AT_ONCE)).all()
    for image in images:
        queue.enqueue(session, now, image, active)
    if images or not after:
        audit.note(session, now, [Noted("read again", actor, active.names, {"images": len(images)})])
    return len(images), images[-1].id if len(images) == AT_ONCE else None


def retry(session: Session, now: float, actor: str, waits: Waits) -> int:
    """Queue every image anew whose reading failed for good, with all its attempts; returns how many."""
    images = queue.revive(session, now)
    session.flush()
    of = session.scalars(select(Instance.study_id).where(Instance.id.in_(images))).all()
    events.tell(session, now, [("received", *row) for row in studies.refresh(session, now, of, waits)])
    audit.note(session, now, [Noted("failed readings tried again", actor, detail={"images": len(images)})])
    return len(images)


def _active(session: Session) -> ModelSet:
    active = models.active(session)
    if active is None:
        raise ConfigError("no models are active", where="models", mend="start the service with --model")
    return active

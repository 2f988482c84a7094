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
from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.readings import Job, ModelSet
from cxreader.serving.store.work import queue


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was received: kept on the disk and queued when this is returned.

    `outcome`: new, again (the same bytes are there: nothing else happened), or conflict (other bytes are there under its SOP
    Instance UID: both are kept and read). `study` and `instance` are keys, which tell nothing of the patient.
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
        (row,) = studies.refresh(session, now, [study.id], waits, reopen=True)
        events.tell(session, now, [("received", *row)])
        event = "received" if found.outcome == "new" else "received under a UID that other bytes have"
        detail = {"sender": origin.sender, "sha256": image.sha256, "study": study.key}
        audit.note(session, now, [Noted(event, origin.door, image.key, detail)])
    elif found.purged:
        audit.note(session, now, [Noted("bytes kept anew", origin.door, image.key, {"sender": origin.sender})])
    return Receipt(found.outcome, study.key, image.key, came.sha256, image.sop_class, image.sop_instance_uid)


def reread(session: Session, now: float, actor: str, of: Sequence[int] | None = None) -> int:
    """Queue images anew, as their next revision: those of the studies `of`, else all that the active models have no job for.

    Images whose bytes were deleted are left out. Returns how many. Raises ConfigError where no models are active.
    """
    active = _active(session)
    wanted = select(Instance).where(Instance.purged_at.is_(None)).order_by(Instance.id)
    if of is None:
        wanted = wanted.where(~exists().where(Job.instance_id == Instance.id, Job.models_id == active.id))
    else:
        under_way = exists().where(Job.instance_id == Instance.id, Job.state.in_(("waiting", "leased")))
        wanted = wanted.where(Instance.study_id.in_(of), ~under_way)
    images = session.scalars(wanted).all()
    for image in images:
        queue.enqueue(session, now, image, active)
    audit.note(session, now, [Noted("read again", actor, active.names, {"images": len(images)})])
    return len(images)


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

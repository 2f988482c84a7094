"""Deleting: studies, images' bytes, what was derived, what can be made again, and what was sent. The audit log stays.

A study under legal hold keeps everything. Files go after the rows that named them, and only where no row names them any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from cxreader.serving.store import audit, events
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.database import Database, in_order
from cxreader.serving.store.files.objects import ObjectStore
from cxreader.serving.store.tables.images import Instance, Study, WorklistRow
from cxreader.serving.store.tables.people import ShownAnswer, StudyLock, Verdict
from cxreader.serving.store.tables.readings import HeatMap, Job, Result, ResultObject, StoredPixels
from cxreader.serving.store.tables.sending import Commitment, OutboxEntry

Digests = set[str]
"""Of objects whose rows are gone."""
_HELD = select(Study.id).where(Study.hold != "")


def hold(session: Session, now: float, actor: str, study: Study, reason: str) -> None:
    """Nothing of this study may be deleted, until the hold is lifted by an empty reason. The reason stays in its row."""
    study.hold = reason
    session.flush()
    audit.note(session, now, [Noted("legal hold" if reason else "legal hold lifted", actor, study.key)])


def older(session: Session, before: float) -> list[str]:
    """Keys of the studies that were received before this moment, without those on hold, the earliest first."""
    query = select(Study.key).where(Study.received_at < before, Study.hold == "").order_by(Study.received_at)
    return list(session.scalars(query))


def held(session: Session) -> Sequence[Study]:
    """The studies under legal hold, the earliest received first."""
    return session.scalars(select(Study).where(Study.hold != "").order_by(Study.received_at, Study.id)).all()


def count_older(session: Session, before: float) -> tuple[int, int, int, int]:
    """Of the studies received before this moment: how many, how many of them on hold, images whose bytes are kept, and bytes."""
    old = Study.received_at < before
    studies = session.scalar(select(func.count()).select_from(Study).where(old)) or 0
    on_hold = session.scalar(select(func.count()).select_from(Study).where(old, Study.hold != "")) or 0
    kept = (
        select(func.count(), func.sum(Instance.bytes))
        .join(Study, Study.id == Instance.study_id)
        .where(old, Study.hold == "", Instance.purged_at.is_(None))
    )
    images, size = session.execute(kept).one()
    return studies, on_hold, images, int(size or 0)


def count_cache(session: Session, before: float) -> tuple[int, int]:
    """Decoded pixels of images received before this moment: how many objects, and bytes."""
    found = (
        select(func.count(), func.sum(StoredPixels.bytes))
        .join(Instance, Instance.id == StoredPixels.instance_id)
        .where(Instance.received_at < before, Instance.study_id.not_in(_HELD))
    )
    count, size = session.execute(found).one()
    return count, int(size or 0)


def count_outbox(session: Session, before: float) -> int:
    """Entries of the outbox that were sent, or given up, before this moment."""
    return session.scalar(select(func.count()).select_from(OutboxEntry).where(*_ended(before))) or 0


def delete_study(session: Session, now: float, actor: str, study: Study) -> Digests:
    """Delete a study: its patient, images, answers, verdicts, and what waits to be sent of it. Not one under legal hold."""
    if study.hold:
        return set()
    images = select(Instance.id).where(Instance.study_id == study.id)
    revision = session.scalar(select(WorklistRow.revision).where(WorklistRow.study_id == study.id)) or 0
    found = set(session.scalars(select(Instance.sha256).where(Instance.study_id == study.id)))
    found |= _drop_derived(session, images) | _drop_pixels(session, images)
    session.execute(delete(Verdict).where(Verdict.study_id == study.id))
    session.execute(delete(ShownAnswer).where(ShownAnswer.study_id == study.id))
    session.execute(delete(StudyLock).where(StudyLock.study_id == study.id))
    session.execute(delete(WorklistRow).where(WorklistRow.study_id == study.id))
    session.execute(delete(Result).where(Result.instance_id.in_(images)))
    session.execute(delete(Job).where(Job.instance_id.in_(images)))
    session.execute(delete(Instance).where(Instance.study_id == study.id))
    session.execute(delete(Study).where(Study.id == study.id))
    events.tell(session, now, [("deleted", study.key, revision + 1)])
    audit.note(session, now, [Noted("study deleted", actor, study.key, {"objects": len(found)})])
    return found


def delete_originals(session: Session, now: float, actor: str, study: Study) -> Digests:
    """Delete the bytes and pixels of a study's images; answers, verdicts and what was made of them stay."""
    if study.hold:
        return set()
    images = select(Instance.id).where(Instance.study_id == study.id)
    waiting = exists().where(Job.instance_id == Instance.id, Job.state.in_(("waiting", "leased")))
    kept = (Instance.study_id == study.id, Instance.purged_at.is_(None), ~waiting)
    found = set(session.scalars(select(Instance.sha256).where(*kept)))
    session.execute(update(Instance).where(*kept).values(purged_at=now).execution_options(synchronize_session=False))
    found |= _drop_pixels(session, images)
    audit.note(session, now, [Noted("images deleted", actor, study.key, {"objects": len(found)})])
    return found


def delete_derived(session: Session, now: float, actor: str, study: Study) -> Digests:
    """Delete maps, and DICOM objects made of a study's answers, sent or not; the answers stay."""
    if study.hold:
        return set()
    found = _drop_derived(session, select(Instance.id).where(Instance.study_id == study.id))
    audit.note(session, now, [Noted("derived objects deleted", actor, study.key, {"objects": len(found)})])
    return found


def delete_cache(session: Session, now: float, actor: str, before: float) -> Digests:
    """Delete decoded pixels of images received before this moment: they are made again when somebody looks."""
    old = (Instance.received_at < before, Instance.study_id.not_in(_HELD))
    found = _drop_pixels(session, select(Instance.id).where(*old))
    audit.note(session, now, [Noted("decoded pixels deleted", actor, detail={"objects": len(found)})])
    return found


def delete_outbox(session: Session, now: float, actor: str, before: float) -> int:
    """Delete entries of the outbox that were sent, or given up, before this moment, and answered commitments; how many."""
    found = session.execute(
        delete(OutboxEntry).where(*_ended(before)).execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    session.execute(delete(Commitment).where(Commitment.ended_at < before))
    audit.note(session, now, [Noted("outbox cleared", actor, detail={"entries": found})])
    return int(found)


def forget(database: Database, objects: ObjectStore, digests: Iterable[str]) -> int:
    """Delete objects that no row names any more; how many. What comes anew meanwhile is safe: `service.receive` looks again."""
    count = 0
    for digest in sorted(set(digests)):
        with database.writing() as session:
            in_order(session)
            if not _is_named(session, digest):
                objects.delete(digest)
                count += 1
    return count


def _is_named(session: Session, digest: str) -> bool:
    named = or_(
        exists().where(Instance.sha256 == digest, Instance.purged_at.is_(None)),
        exists().where(StoredPixels.sha256 == digest),
        exists().where(ResultObject.sha256 == digest),
    )
    return bool(session.scalar(select(named)))


def _ended(before: float) -> tuple[ColumnElement[bool], ...]:
    """Entries of the outbox that ended before this moment, but for those of studies under legal hold."""
    held = select(Result.id).join(Instance, Instance.id == Result.instance_id).where(Instance.study_id.in_(_HELD))
    ended = OutboxEntry.ended_at < before, OutboxEntry.state.in_(("sent", "none", "dead"))
    return *ended, OutboxEntry.result_id.not_in(held)


def sharing(session: Session, study: Study) -> Sequence[int]:
    """Numbers of the other studies in which an image has the SOP Instance UID of one of this study's."""
    own = select(Instance.sop_instance_uid).where(Instance.study_id == study.id)
    shared = (Instance.sop_instance_uid.in_(own), Instance.study_id != study.id)
    return session.scalars(select(Instance.study_id).where(*shared).distinct()).all()


def _drop_derived(session: Session, images: object) -> Digests:
    """Rows of maps and objects of these images' results; digests of the objects."""
    results = select(Result.id).where(Result.instance_id.in_(images))  # type: ignore[arg-type]
    found = set(session.scalars(select(ResultObject.sha256).where(ResultObject.result_id.in_(results))))
    session.execute(delete(OutboxEntry).where(OutboxEntry.result_id.in_(results)))
    session.execute(delete(ResultObject).where(ResultObject.result_id.in_(results)))
    session.execute(delete(HeatMap).where(HeatMap.result_id.in_(results)))
    return found


def _drop_pixels(session: Session, images: object) -> Digests:
    of = StoredPixels.instance_id.in_(images)  # type: ignore[arg-type]
    found = set(session.scalars(select(StoredPixels.sha256).where(of)))
    session.execute(delete(StoredPixels).where(of))
    return found

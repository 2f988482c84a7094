"""What readers say of studies, who reads one now, and what was put aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Delete, delete, select
from sqlalchemy.orm import Session

from cxreader.serving.store import audit, events
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.tables.images import Study, WorklistRow
from cxreader.serving.store.tables.people import StudyLock, User, Verdict

Kind = Literal["accepted", "rejected", "supplemented"]
Impression = Literal["", "normal", "abnormal"]
LOCKED = 120.0
"""Seconds that a lock lasts without a heartbeat."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """A verdict as a reader gives it; fields as of `tables.people.Verdict`."""

    kind: Kind
    stage: Literal["provisional", "final"] = "final"
    mode: Literal["read-first", "concurrent"] = "read-first"
    findings: Sequence[Any] = ()
    comment: str = ""
    seconds: float | None = None
    impression: Impression = ""
    disagreement: str = ""


def kind_of(impression: str, decision: str | None, *, adds: bool = False) -> Kind:
    """What an impression makes of an answer: it follows it, rejects an alarm, or supplements what was missed or not answered.

    `adds`: whether the reader follows the answer and adds a finding.
    """
    if decision not in ("normal", "abnormal") or adds:
        return "supplemented"
    if impression == decision:
        return "accepted"
    return "rejected" if decision == "abnormal" else "supplemented"


def give(session: Session, now: float, study: Study, user: User, opinion: Opinion, *, result: int | None) -> Verdict:
    """Keep a verdict; a final one ends the reading of the study: it is done, and its lock is free."""
    verdict = Verdict(
        study_id=study.id,
        user_id=user.id,
        result_id=result,
        kind=opinion.kind,
        stage=opinion.stage,
        mode=opinion.mode,
        findings=list(opinion.findings),
        comment=opinion.comment,
        seconds=opinion.seconds,
        given_at=now,
        impression=opinion.impression,
        disagreement=opinion.disagreement,
    )
    session.add(verdict)
    if opinion.stage == "final":
        session.execute(delete(StudyLock).where(StudyLock.study_id == study.id))
    final = opinion.stage == "final"
    _to(session, now, study, "done" if final else None, "verdict", reader=user.name if final else None)
    detail = {"kind": opinion.kind, "stage": opinion.stage, "mode": opinion.mode}
    audit.note(session, now, [Noted("verdict", user.name, study.key, detail)])
    return verdict


def put(session: Session, now: float, study: Study, user: User, state: Literal["open", "pending", "done"]) -> None:
    """Put a study aside (pending), or back (open), or mark it done without a verdict; a lock of this user is free."""
    session.execute(_lock_of(study, user))
    _to(session, now, study, state, state, reader="" if state == "open" else user.name)
    audit.note(session, now, [Noted(f"study {state}", user.name, study.key)])


def take(session: Session, now: float, study: Study, user: User, *, over: bool = False) -> StudyLock | None:
    """The study's lock: this user's, if it was free or is handed `over`, else the other's. Again before it ends: a heartbeat.

    None where it was left to another reader and is not taken `over`: also the next heartbeat of who had it until then. The
    worklist names the reader while the study is open, where nobody else is named or it is taken `over`: looking at a study takes
    it from nobody, and who was named is named again after its release.
    """
    lock = _lock(session, study)
    if lock is not None and lock.user_id == user.id:
        lock.since, lock.until = (now if lock.until <= now else lock.since), now + LOCKED
        return lock
    if lock is not None and lock.until > now and not over:
        return lock
    row = row_of(session, study)
    if lock is None:
        if is_anothers(row, user) and not over:
            return None
        lock = StudyLock(study_id=study.id, user_id=user.id, since=now, until=now + LOCKED)
        session.add(lock)
    else:
        _put_back(session, study, lock)
        lock.user_id, lock.since, lock.until = user.id, now, now + LOCKED
    is_named = row.state == "open" and (over or row.reader in ("", user.name))
    lock.reader_before = row.reader if is_named else None
    session.flush()
    _to(session, now, study, None, "locked", reader=user.name if is_named else None)
    return lock


def release(session: Session, now: float, study: Study, user: User) -> None:
    """Give this user's lock back, and the name that it put into the worklist; nothing happens where it is another's."""
    lock = _lock(session, study)
    if lock is not None and lock.user_id == user.id:
        _put_back(session, study, lock)
        session.delete(lock)
        _to(session, now, study, None, "released", reader=None)


def is_anothers(row: WorklistRow, user: User) -> bool:
    """Whether an open study stands with another reader's name."""
    return row.state == "open" and row.reader not in ("", user.name)


def row_of(session: Session, study: Study) -> WorklistRow:
    """The study's row as it is now, locked until the transaction ends."""
    row = select(WorklistRow).where(WorklistRow.study_id == study.id).with_for_update()
    return session.scalars(row.execution_options(populate_existing=True)).one()


def hand_over(session: Session, now: float, study: Study, user: User, to: User) -> None:
    """Leave a study to another reader: it is open, nobody's lock, and stands with their name."""
    session.execute(delete(StudyLock).where(StudyLock.study_id == study.id))
    _to(session, now, study, "open", "handed over", reader=to.name)
    audit.note(session, now, [Noted("study handed over", user.name, study.key, {"to": to.key})])


def _lock(session: Session, study: Study) -> StudyLock | None:
    """The study's lock as it is now, whatever the session has seen of it."""
    lock = select(StudyLock).where(StudyLock.study_id == study.id).with_for_update()
    return session.scalar(lock.execution_options(populate_existing=True))


def _put_back(session: Session, study: Study, lock: StudyLock) -> None:
    """The reader whom the worklist named before this lock, unless it names another by now."""
    row, holder = row_of(session, study), session.get_one(User, lock.user_id)
    if lock.reader_before is not None and row.state == "open" and row.reader == holder.name:
        row.reader = lock.reader_before
        session.flush()


def _lock_of(study: Study, user: User) -> Delete:
    return delete(StudyLock).where(StudyLock.study_id == study.id, StudyLock.user_id == user.id)


def _to(session: Session, now: float, study: Study, state: str | None, kind: str, *, reader: str | None) -> None:
    """The worklist's row changes, and an event tells of it; None leaves state or reader as they are."""
    row = row_of(session, study)
    row.state, row.reader = state or row.state, row.reader if reader is None else reader
    row.updated_at, row.revision = now, row.revision + 1
    session.flush()
    events.tell(session, now, [(kind, study.key, row.revision)])

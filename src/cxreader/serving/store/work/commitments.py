"""Storage Commitment requests whose answer is owed: kept when they come, so that no kill loses one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from cxreader.serving.store.files.objects import ObjectStore
from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.sending import Commitment

NO_SUCH_OBJECT, CLASS_CONFLICT = 0x0112, 0x0119
"""Failure reasons (PS3.3 C.14.1.1)."""
Item = tuple[str, str]
"""SOP class and SOP instance UID."""


@dataclass(frozen=True, slots=True)
class Owed:
    """A request whose answer is to be given now; `attempt` counts from 1."""

    id: int
    transaction_uid: str
    requester: str
    items: tuple[Item, ...]
    attempt: int


def keep(session: Session, now: float, transaction: str, requester: str, items: Sequence[Item]) -> None:
    """Keep a request. The same transaction of the same requester again is answered again."""
    same = (Commitment.transaction_uid == transaction, Commitment.requester == requester)
    row = session.scalar(select(Commitment).where(*same))
    if row is None:
        row = Commitment(transaction_uid=transaction, requester=requester, created_at=now)
        session.add(row)
    row.items, row.state, row.attempts, row.available_at = [list(item) for item in items], "waiting", 0, now
    row.ended_at, row.error = None, ""


def take(session: Session, now: float, until: float, *, farthest: float = math.inf, most: int = 16) -> list[Owed]:
    """Requests to be answered now; nobody else takes them before `until`.

    What was never tried is due, and so is what lies ahead by more than `farthest` seconds: the clock was set back since.
    """
    moment = or_(Commitment.attempts == 0, Commitment.available_at <= now, Commitment.available_at > now + farthest)
    due = (
        select(Commitment)
        .where(Commitment.state == "waiting", moment)
        .order_by(Commitment.available_at, Commitment.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = session.scalars(due).all()
    for row in rows:
        row.available_at, row.attempts = until, row.attempts + 1
    return [Owed(r.id, r.transaction_uid, r.requester, tuple((c, i) for c, i in r.items), r.attempts) for r in rows]


def answered(session: Session, now: float, owed: Owed) -> None:
    """The requester has the answer."""
    row = session.get_one(Commitment, owed.id)
    row.state, row.ended_at, row.error = "sent", now, ""


def failed(session: Session, now: float, owed: Owed, error: str, *, again: float | None) -> None:
    """The answer did not arrive: once more at the moment `again`, or a dead letter."""
    row = session.get_one(Commitment, owed.id)
    row.error = error
    if again is None:
        row.state, row.ended_at = "dead", now
    else:
        row.available_at = again


def verdicts(session: Session, objects: ObjectStore, items: Sequence[Item]) -> list[int | None]:
    """Of each item, None where its file is kept, else the failure reason."""
    return [_verdict(session, objects, *item) for item in items]


def _verdict(session: Session, objects: ObjectStore, sop_class: str, instance: str) -> int | None:
    kept = session.scalars(
        select(Instance).where(Instance.sop_instance_uid == instance, Instance.purged_at.is_(None))
    ).all()
    there = [one for one in kept if objects.size(one.sha256) == one.bytes]
    if not there:
        return NO_SUCH_OBJECT
    return None if any(one.sop_class == sop_class for one in there) else CLASS_CONFLICT

"""What is to be sent: entries that come with their results, leased to a sender until they were taken, or are dead letters."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cxreader.errors import AbsentError, UsageError
from cxreader.serving.store.tables.images import Instance, Study, current
from cxreader.serving.store.tables.readings import Result
from cxreader.serving.store.tables.sending import Destination, OutboxEntry

PLAIN_KIND = "sr"
"""The kind of object that every result has; the others are of alarms."""
ALARMS = ("abnormal", "refer")
LOST, BACK_OFF = 5, 10.0
"""So many leases in a row may end without an answer: the next attempt follows at once, then after so many seconds, and longer."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A leased entry: a kind of object of a result. `attempt` counts from 1, `since` is when the result was kept."""

    entry: int
    token: int
    result: int
    kind: str
    attempt: int
    since: float


def plan(session: Session, now: float, results: Sequence[Result], leave: Collection[str]) -> None:
    """Entries for these results, kept in this transaction, for every destination. `leave`: the kinds that may.

    An image that is no DICOM file, or not the `current` one of its UID, has none: what points at it would point at nothing, or
    at another image.
    """
    destinations = session.scalars(select(Destination).where(Destination.enabled)).all() if leave and results else ()
    if not destinations:
        return
    among = Instance.id.in_([result.instance_id for result in results])
    of = (among, Instance.kind == "dicom", Instance.sop_class != "", current())
    images = set(session.scalars(select(Instance.id).where(*of)))
    for result in results:
        if result.instance_id not in images:
            continue
        alarm = result.reading["decision"] in ALARMS
        for to in destinations:
            kinds = [k for k in to.sends if k in leave and (alarm or k == PLAIN_KIND)]
            session.add_all(_entry(now, to, result, kind) for kind in kinds)


def take(session: Session, now: float, destination: int, holder: str, until: float, *, most: int = 20) -> list[Parcel]:
    """Entries of a destination that are due, leased; one alone where its sender ended without an answer before."""
    of = OutboxEntry.destination_id == destination
    due = (
        select(OutboxEntry)
        .where(of, OutboxEntry.state == "waiting", OutboxEntry.available_at <= now)
        .order_by(OutboxEntry.available_at, OutboxEntry.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = session.scalars(due).all()
    rows = rows[:1] if rows and rows[0].lost else [row for row in rows if not row.lost]
    for row in rows:
        row.state, row.holder, row.leased_until = "leased", holder, until
        row.token, row.attempts = row.token + 1, row.attempts + 1
    return [Parcel(r.id, r.token, r.result_id, r.kind, r.attempts, r.created_at) for r in rows]


def expire(session: Session, now: float, destination: int) -> int:
    """Entries whose lease ran out wait again, later each time, or are dead letters after LOST times; how many of the latter.

    Their sender may have ended because of one of them: what kills it must not do so for ever.
    """
    ran_out = (OutboxEntry.state == "leased", OutboxEntry.leased_until < now)
    lost = select(OutboxEntry).where(OutboxEntry.destination_id == destination, *ran_out)
    dead = 0
    for row in session.scalars(lost.with_for_update(skip_locked=True)):
        row.lost, row.leased_until, row.error = row.lost + 1, None, "its sender ended without an answer"
        row.state, row.available_at = "waiting", now + BACK_OFF * (2.0 ** (row.lost - 1) - 1) * random.uniform(0.5, 1.5)  # noqa: S311
        if row.lost >= LOST:
            row.state, row.ended_at = "dead", now
            dead += 1
    return dead


def end(session: Session, now: float, parcel: Parcel, state: str, why: str = "") -> bool:
    """The entry is sent, none or dead, and `why`. False where the lease was lost."""
    return _change(session, parcel, state=state, error=why, ended_at=now)


def again(session: Session, parcel: Parcel, at: float, why: str) -> bool:
    """The entry is tried once more at that moment. False where the lease was lost."""
    return _change(session, parcel, state="waiting", error=why, available_at=at, lost=0)


def postpone(session: Session, destination: int, until: float) -> None:
    """Nothing is tried for this destination before then: it was not reached."""
    early = (OutboxEntry.state == "waiting", OutboxEntry.available_at < until)
    session.execute(
        update(OutboxEntry).where(OutboxEntry.destination_id == destination, *early).values(available_at=until)
    )


def revive(session: Session, now: float, destination: int | None = None) -> int:
    """Dead letters wait again, of one destination or of all, with all their attempts. Returns how many."""
    dead = select(OutboxEntry).where(OutboxEntry.state == "dead")
    rows = session.scalars(dead if destination is None else dead.where(OutboxEntry.destination_id == destination)).all()
    for row in rows:
        _wait_anew(row, now)
    return len(rows)


def resend(session: Session, now: float, entry: int) -> tuple[str, str]:
    """One entry that ended waits again, with all its attempts; its destination's name and its result's key.

    Raises AbsentError, and UsageError for one that waits or is being sent.
    """
    row = session.scalar(select(OutboxEntry).where(OutboxEntry.id == entry).with_for_update())
    if row is None:
        raise AbsentError("there is no such entry in the outbox", mend="it may have been cleared")
    if row.ended_at is None:
        raise UsageError("it waits to be sent already", mend="look again in a while")
    _wait_anew(row, now)
    return session.get_one(Destination, row.destination_id).name, session.get_one(Result, row.result_id).key


def page(
    session: Session, destination: int, *, state: str | None = None, before: int | None = None, size: int = 50
) -> Sequence[tuple[OutboxEntry, str, str]]:
    """Entries of a destination with their result's and its study's key, the latest first; those numbered below `before`."""
    query = (
        select(OutboxEntry, Result.key, Study.key)
        .join(Result, Result.id == OutboxEntry.result_id)
        .join(Instance, Instance.id == Result.instance_id)
        .join(Study, Study.id == Instance.study_id)
        .where(OutboxEntry.destination_id == destination)
        .order_by(OutboxEntry.id.desc())
        .limit(size)
    )
    if state is not None:
        query = query.where(OutboxEntry.state.in_(("waiting", "leased") if state == "waiting" else (state,)))
    if before is not None:
        query = query.where(OutboxEntry.id < before)
    return [(entry, result, study) for entry, result, study in session.execute(query)]


def dead_letters(session: Session, *, most: int = 1000) -> Sequence[tuple[OutboxEntry, str, str]]:
    """Dead letters with their destination's name and their result's key, the latest first."""
    found = (
        select(OutboxEntry, Destination.name, Result.key)
        .join(Destination, Destination.id == OutboxEntry.destination_id)
        .join(Result, Result.id == OutboxEntry.result_id)
        .where(OutboxEntry.state == "dead")
        .order_by(OutboxEntry.ended_at.desc(), OutboxEntry.id)
        .limit(most)
    )
    return [(entry, name, key) for entry, name, key in session.execute(found)]


def _wait_anew(row: OutboxEntry, now: float) -> None:
    row.state, row.attempts, row.available_at, row.created_at = "waiting", 0, now, now
    row.ended_at, row.error, row.lost = None, "", 0


def _entry(now: float, to: Destination, result: Result, kind: str) -> OutboxEntry:
    entry = OutboxEntry(destination_id=to.id, result_id=result.id, kind=kind, available_at=now, created_at=now)
    entry.holder = entry.error = ""
    return entry


def _change(session: Session, parcel: Parcel, **values: object) -> bool:
    held = (OutboxEntry.id == parcel.entry, OutboxEntry.token == parcel.token, OutboxEntry.state == "leased")
    changed = update(OutboxEntry).where(*held).values(leased_until=None, **values)
    return bool(session.execute(changed).rowcount)  # type: ignore[attr-defined]

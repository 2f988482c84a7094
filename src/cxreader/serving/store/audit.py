"""The audit log: each entry holds the hash of the one before, so that no entry can be changed or taken out unseen.

The chain alone does not show that its last entries were cut off: whoever keeps the number and the hash of an entry elsewhere
can tell (`verify` takes them).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.serving.store.database import in_order
from cxreader.serving.store.tables.trail import AuditEntry

BEGINNING = "0" * 64
"""Stands where the first entry has no other before it."""
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Noted:
    """Something to be noted: `event` by `actor` to `subject` (a key), with plain values; no patient data in any of them."""

    event: str
    actor: str
    subject: str = ""
    detail: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """How many `entries` are right, the `hash` of the last of them, and the `number` of the first bad one and why it is."""

    entries: int
    hash: str
    number: int | None = None
    why: str = ""


def note(session: Session, now: float, noted: Iterable[Noted]) -> None:
    """Add entries to the log, in this transaction. Call it late: until its end nobody else can add any."""
    in_order(session)
    last = session.execute(
        select(AuditEntry.number, AuditEntry.hash).order_by(AuditEntry.number.desc()).limit(1)
    ).first()
    number, before = (0, BEGINNING) if last is None else (last.number, last.hash)
    for one in noted:
        number += 1
        entry = AuditEntry(
            number=number,
            at=now,
            event=one.event,
            actor=one.actor,
            subject=one.subject,
            detail=dict(one.detail or {}),
            before=before,
        )
        entry.hash = before = entry_hash(entry)
        session.add(entry)


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 of the entry's fields, the hash before it among them, as JSON in a fixed form."""
    fields = (entry.number, entry.at, entry.event, entry.actor, entry.subject, entry.detail, entry.before)
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def verify(session: Session, *, known: tuple[int, str] | None = None) -> Verified:
    """Go through the whole log. `known`: the number and hash of an entry, kept elsewhere, that must still be there."""
    count, before = 0, BEGINNING
    for entry in _entries(session):
        if entry.number != count + 1:
            return Verified(count, before, count + 1, "is missing")
        if entry.before != before or entry.hash != entry_hash(entry):
            return Verified(count, before, entry.number, "was changed, or the one before it was")
        count, before = entry.number, entry.hash
        if known is not None and known[0] == count and known[1] != before:
            return Verified(count, before, count, "has another hash than the one kept elsewhere")
    if known is not None and known[0] > count:
        return Verified(count, before, known[0], "is missing: the log was cut off")
    return Verified(count, before)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for: exactly this `event`, `actor` or `subject`, noted at or after `since` and before `until`."""

    event: str | None = None
    actor: str | None = None
    subject: str | None = None
    since: float | None = None
    until: float | None = None


def latest(session: Session, wanted: Wanted, *, before: int | None = None, size: int = 100) -> Sequence[AuditEntry]:
    """Entries of those that are wanted, the latest first; of those numbered below `before`."""
    query = select(AuditEntry).order_by(AuditEntry.number.desc()).limit(size)
    for name in ("event", "actor", "subject"):
        value = getattr(wanted, name)
        query = query if value is None else query.where(getattr(AuditEntry, name) == value)
    query = query if wanted.since is None else query.where(AuditEntry.at >= wanted.since)
    query = query if wanted.until is None else query.where(AuditEntry.at < wanted.until)
    return session.scalars(query if before is None else query.where(AuditEntry.number < before)).all()


def events_known(session: Session) -> Sequence[str]:
    """Every event that the log tells of, by name."""
    return session.scalars(select(AuditEntry.event).distinct().order_by(AuditEntry.event)).all()


def _entries(session: Session) -> Iterator[AuditEntry]:
    """All entries in their order, of which some are held at a time."""
    last = 0
    while found := session.scalars(
        select(AuditEntry).where(AuditEntry.number > last).order_by(AuditEntry.number).limit(_AT_ONCE)
    ).all():
        yield from found
        last = found[-1].number
        session.expunge_all()

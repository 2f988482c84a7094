"""What happened: the audit log, and the events that live pages follow."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from cxreader.serving.store.tables.base import Base, Digest, Moment, Values, Words


class AuditEntry(Base):
    """One entry of the audit log, which is only ever added to: `number` counts from 1 without a gap.

    `event`: what was done, by `actor` (a user's name, or a door), to `subject` (a key, never patient data); `detail`: plain
    values. `before`: the hash of the entry before it; `hash`: its own (`store.audit`).
    """

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[Moment]
    event: Mapped[Words]
    actor: Mapped[Words]
    subject: Mapped[Words]
    detail: Mapped[Values]
    before: Mapped[Digest]
    hash: Mapped[Digest]


class Event(Base):
    """Something that a page of the worklist may show: `number` counts from 1 in the order in which they were committed.

    `kind`: received, read, failed, verdict, ... `study`: the study's key; `revision`: of its worklist row.
    """

    __tablename__ = "events"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[Moment]
    kind: Mapped[Words]
    study: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int]

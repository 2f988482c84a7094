"""What leaves the service: destinations, the outbox, storage commitments."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cxreader.serving.store.tables.base import Base, Leased, Moment, Uid, Values, Words


class Destination(Base):
    """Where results go: `kind` dicom (C-STORE) or stow (STOW-RS), `address` how it is reached, `sends` which kinds of object."""

    __tablename__ = "destinations"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[Words] = mapped_column(unique=True)
    kind: Mapped[Words]
    address: Mapped[Values]
    sends: Mapped[list[str]] = mapped_column(JSON)
    enabled: Mapped[bool]
    changed_at: Mapped[Moment]


class OutboxEntry(Leased, Base):
    """One kind of object of a result, for one destination; it stands here from the transaction that keeps the result.

    `state` is waiting, leased, sent, none (there was nothing to send, `error` says why) or dead. `lost`: how many leases in a
    row ended without an answer.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("destination_id", "result_id", "kind"),
        Index("ix_outbox_state", "destination_id", "state", "available_at", "id"),
        Index("ix_outbox_lease", "state", "leased_until"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    destination_id: Mapped[int] = mapped_column(ForeignKey("destinations.id"))
    result_id: Mapped[int] = mapped_column(ForeignKey("results.id"), index=True)
    kind: Mapped[Words]
    lost: Mapped[int] = mapped_column(default=0)


class Commitment(Base):
    """A Storage Commitment request (PS3.4 J) whose answer is owed: `items` are the (SOP class, SOP instance) pairs asked for."""

    __tablename__ = "commitments"
    __table_args__ = (
        UniqueConstraint("transaction_uid", "requester"),
        Index("ix_commitments_state", "state", "available_at", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    transaction_uid: Mapped[Uid]
    requester: Mapped[Words]
    items: Mapped[list[Any]] = mapped_column(JSON)
    state: Mapped[Words] = mapped_column(default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    available_at: Mapped[Moment]
    created_at: Mapped[Moment]
    ended_at: Mapped[Moment | None]
    error: Mapped[Words]

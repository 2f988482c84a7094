"""What all tables share: their common base, moments, and opaque keys."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from sqlalchemy import JSON, Float, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Moment = Annotated[float, mapped_column(Float(53))]
"""Seconds since 1970, UTC, by the database's clock (`serving.clock`)."""
Key = Annotated[str, mapped_column(String(16), unique=True)]
"""What URLs, logs and events call a row: `new_key`, random, so that it tells nothing and cannot be guessed."""
Digest = Annotated[str, mapped_column(String(64))]
"""SHA-256 as 64 hex digits."""
Uid = Annotated[str, mapped_column(String(64))]
"""A DICOM UID (PS3.5 9.1)."""
Words = Annotated[str, mapped_column(Text, default="")]
"""Text as it came; empty where there is none."""
Values = Annotated[dict[str, Any], mapped_column(JSON)]
"""Plain values as JSON."""

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of every table."""

    metadata = MetaData(naming_convention=_NAMES)


metadata = Base.metadata


class Leased:
    """What work that waits in the database has: it is leased to a `holder` until a moment, and ends, or is tried again.

    `token` counts leases: who comes with an older one has lost it (a fencing token). `attempts`: leases that were not given back.
    `error`: the kind of the last failure, without patient data.
    """

    state: Mapped[Words] = mapped_column(default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    token: Mapped[int] = mapped_column(default=0)
    holder: Mapped[Words]
    leased_until: Mapped[Moment | None]
    available_at: Mapped[Moment]
    created_at: Mapped[Moment]
    ended_at: Mapped[Moment | None]
    error: Mapped[Words]


def new_key() -> str:
    """16 letters, digits, - and _, of 96 random bits."""
    return secrets.token_urlsafe(12)

"""Destinations of results, as rows: who they are, how they are reached, and what they are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import case, delete, func, select
from sqlalchemy.orm import Session

from cxreader.errors import AbsentError, UsageError, nearest
from cxreader.serving.store.tables.sending import Destination, OutboxEntry


def every(session: Session) -> Sequence[Destination]:
    """All of them, by name."""
    return session.scalars(select(Destination).order_by(Destination.name)).all()


def by_name(session: Session, name: str) -> Destination:
    """The one of this name. Raises AbsentError with the nearest."""
    found = session.scalar(select(Destination).where(Destination.name == name))
    if found is None:
        known = [one.name for one in every(session)]
        mend = nearest(name, known) if known else "add one: cxreader serve destination add"
        raise AbsentError("there is no such destination", where=name, mend=mend)
    return found


def add(session: Session, now: float, name: str, address: Mapping[str, Any], sends: Sequence[str]) -> Destination:
    """A new one: by STOW-RS where `address` has a `url`, else by C-STORE. Raises UsageError for a name that is taken."""
    if session.scalar(select(Destination).where(Destination.name == name)) is not None:
        raise UsageError(f"there is a destination {name!r} already", mend="remove it first, or give another name")
    kind = "stow" if "url" in address else "dicom"
    made = Destination(name=name, kind=kind, address=dict(address), sends=list(sends), enabled=True, changed_at=now)
    session.add(made)
    session.flush()
    return made


def remove(session: Session, name: str) -> int:
    """Remove one, and what waits for it; returns how many objects had not been sent. Raises AbsentError."""
    found = by_name(session, name)
    unsent = session.scalar(
        select(func.count()).where(OutboxEntry.destination_id == found.id, OutboxEntry.state.not_in(("sent", "none")))
    )
    session.execute(delete(OutboxEntry).where(OutboxEntry.destination_id == found.id))
    session.delete(found)
    return unsent or 0


def counts(session: Session) -> dict[int, dict[str, int]]:
    """By destination, how many entries of its outbox are in each state; leased ones wait."""
    state = case((OutboxEntry.state == "leased", "waiting"), else_=OutboxEntry.state)
    found: dict[int, dict[str, int]] = {}
    for destination, name, count in session.execute(
        select(OutboxEntry.destination_id, state, func.count()).group_by(OutboxEntry.destination_id, state)
    ):
        found.setdefault(destination, {})[name] = count
    return found

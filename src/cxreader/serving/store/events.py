"""Events that live pages follow: keys and numbers, never patient data. Their numbers rise in the order of their commits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from cxreader.serving.store.database import in_order
from cxreader.serving.store.tables.trail import Event

KEPT = 10_000
"""So many are kept; who comes back later than that lists anew."""


def tell(session: Session, now: float, happened: Iterable[tuple[str, str, int]]) -> None:
    """Add events (kind, study's key, revision of its worklist row) in this transaction. Call it late, as `audit.note`."""
    in_order(session)
    number = last(session)
    for kind, study, revision in happened:
        number += 1
        session.add(Event(number=number, at=now, kind=kind, study=study, revision=revision))
        if number % 1000 == 0:
            session.execute(delete(Event).where(Event.number <= number - KEPT))


def last(session: Session) -> int:
    """The number of the latest event, 0 without any."""
    return session.scalar(select(func.max(Event.number))) or 0


def since(session: Session, number: int, *, most: int = 500) -> Sequence[Event]:
    """The events after `number`, the oldest first."""
    return session.scalars(select(Event).where(Event.number > number).order_by(Event.number).limit(most)).all()

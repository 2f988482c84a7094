"""What happened since a page of the worklist was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cxreader.inference.triage import ALARM
from cxreader.serving.store import events
from cxreader.serving.store.reading.filters import Filters, clauses
from cxreader.serving.store.tables.images import Study, WorklistRow
from cxreader.serving.store.tables.trail import Event


@dataclass(frozen=True, slots=True)
class News:
    """Of the studies that the page would show now: how many are `new` to it, `urgent` since, and `overdue` since.

    `changed`: keys of all studies to which something happened; `last`: the number of the latest event.
    """

    new: int
    urgent: int
    overdue: int
    changed: frozenset[str]
    last: int

    def among(self, keys: Sequence[str]) -> list[str]:
        """Which of these changed."""
        return [key for key in keys if key in self.changed]

    @property
    def words(self) -> str:
        """`7 new, 2 urgent`; empty where nothing calls for a new list."""
        counts = {"new": self.new, "urgent": self.urgent, "overdue": self.overdue}
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def news(session: Session, now: float, *, after: int, as_of: float, state: str, filters: Filters) -> News:
    """What happened after the event of this number and the moment `as_of`. An image that arrives is urgent once it is read so."""
    changed = frozenset(session.scalars(select(Event.study).where(Event.number > after).distinct()))
    read = select(Event.study).where(Event.number > after, Event.kind.in_(("read", "received")))
    among = clauses(filters, now) if state == "any" else [WorklistRow.state == state, *clauses(filters, now)]
    rows = select(func.count()).select_from(WorklistRow).where(*among)
    urgent = rows.join(Study, Study.id == WorklistRow.study_id).where(Study.key.in_(read), WorklistRow.step == ALARM)
    became = rows.where(WorklistRow.due_at > as_of, WorklistRow.due_at <= now, WorklistRow.state != "done")
    new = rows.where(WorklistRow.received_at > as_of)
    fresh, pressing, behind = (session.scalar(one) or 0 for one in (new, urgent, became))
    return News(fresh, pressing, behind, changed, events.last(session))

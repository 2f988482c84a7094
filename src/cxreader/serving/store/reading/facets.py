"""How many studies of a state each filter shows and hides: one count of the worklist, by everything that it is filtered by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import and_, case, func, literal, select
from sqlalchemy.orm import Session

from cxreader.serving.order.places import BANDS, OVERDUE
from cxreader.serving.store.reading.filters import NONE, Filters, clauses, late, received_clause
from cxreader.serving.store.tables.images import WorklistRow

_EXACT = ("band", "decision", "view", "station", "reader")


@dataclass(frozen=True, slots=True)
class Group:
    """So many studies that are alike; `dated`: whether they were received when it was asked for. `patient` holds for all."""

    values: Mapping[str, str]
    dated: bool
    count: int

    def fits(self, filters: Filters) -> bool:
        """Whether the filters ask for these."""
        if not self.dated and (filters.since is not None or filters.until is not None):
            return False
        asked = {name: value for name in _EXACT if (value := getattr(filters, name))}
        return all(self.values[name] == ("" if value == NONE else value) for name, value in asked.items())


@dataclass(frozen=True, slots=True)
class Facets:
    """The studies of a state, alike ones together, and how many there are in each state."""

    groups: tuple[Group, ...]
    states: Mapping[str, int]

    def shown(self, filters: Filters) -> int:
        """How many the filters ask for."""
        return sum(one.count for one in self.groups if one.fits(filters))

    def hidden(self, filters: Filters, name: str) -> int:
        """How many more there would be without this one (`Filters.active`)."""
        names = ("since", "until") if name == "received" else (name,)
        return self.shown(filters.without(*names)) - self.shown(filters)

    def by(self, name: str, filters: Filters) -> Mapping[str, int]:
        """How many of those that the filters ask for have each value; NONE where they have none."""
        found = Counter[str]()
        for one in self.groups:
            if one.fits(filters):
                found[one.values[name] or NONE] += one.count
        return found


def facets(session: Session, state: str, filters: Filters, as_of: float) -> Facets:
    """Of the studies in this state ("any": in all); of those of the patient alone where one is looked for."""
    dated, patient = received_clause(filters), clauses(Filters(patient=filters.patient), as_of)
    columns = (
        WorklistRow.step,
        case((late(as_of), 1), else_=0).label("late"),
        *(getattr(WorklistRow, name) for name in _EXACT[1:]),
        (case((and_(*dated), 1), else_=0) if dated else literal(1)).label("dated"),
    )
    query = select(*columns).where(*patient)
    rows = (query if state == "any" else query.where(WorklistRow.state == state)).subquery()
    groups = []
    for step, is_late, *values, is_dated, count in session.execute(select(*rows.c, func.count()).group_by(*rows.c)):
        band = OVERDUE if is_late else BANDS[step]
        groups.append(Group(dict(zip(_EXACT, (band, *values), strict=True)), bool(is_dated), count))
    states = select(WorklistRow.state, func.count()).where(*patient).group_by(WorklistRow.state)
    return Facets(tuple(groups), dict(session.execute(states).tuples().all()))

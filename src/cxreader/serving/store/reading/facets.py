"""How many studies of a state each filter shows and hides: one count of the worklist, by everything that it is filtered by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, func, select, true
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
    patient = clauses(Filters(patient=filters.patient), as_of)
    is_late, is_dated = late(as_of), and_(true(), *received_clause(filters))
    by = (WorklistRow.state, WorklistRow.step, *(getattr(WorklistRow, name) for name in _EXACT[1:]))
    counts = (func.count(), *(_count(one) for one in (is_late, is_dated, and_(is_late, is_dated))))
    query = select(*by, *counts).where(*patient).group_by(*by)
    groups: list[Group] = []
    for _, step, *values, all_, behind, dated, both in session.execute(
        query if state == "any" else query.where(WorklistRow.state == state)
    ):
        for band, in_time, all_of in ((OVERDUE, both, behind), (BANDS[step], dated - both, all_ - behind)):
            told = dict(zip(_EXACT, (band, *values), strict=True))
            groups += [Group(told, has, n) for has, n in ((True, in_time), (False, all_of - in_time)) if n]
    states = select(WorklistRow.state, func.count()).where(*patient).group_by(WorklistRow.state)
    return Facets(tuple(groups), {row.state: row[1] for row in session.execute(states)})


def _count(of: ColumnElement[bool]) -> ColumnElement[int]:
    """How many; summed along the index, where grouping by it would need a sort."""
    return func.sum(case((of, 1), else_=0))

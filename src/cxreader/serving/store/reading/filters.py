"""What of the worklist is asked for: by band, decision, view, station, reader, when it came, and whose it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from cxreader.serving.order.places import BANDS, OVERDUE
from cxreader.serving.store.tables.images import Study, WorklistRow

NONE = "-"
"""Asked for in place of a value: rows that have none."""
STEPS = {word: step for step, word in BANDS.items()}
_EXACT = ("decision", "view", "station", "reader")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows of a state are asked for; empty fields ask for all.

    `band`: a word of `order.places`. `decision`, `view`, `station`, `reader`: as in `WorklistRow`, or NONE. `since`, `until`:
    when it was received, seconds, the second one excluded. `patient`: what was typed to find one (`patient_clause`).
    """

    band: str = ""
    decision: str = ""
    view: str = ""
    station: str = ""
    reader: str = ""
    since: float | None = None
    until: float | None = None
    patient: str = ""

    def without(self, *names: str) -> Filters:
        """The same without these."""
        blank = Filters()
        return replace(self, **{name: getattr(blank, name) for name in names})

    def looking_for(self, patient: str) -> Filters:
        """The same, of a patient."""
        return replace(self, patient=patient)

    @property
    def active(self) -> tuple[str, ...]:
        """Names of those that ask for less than all; `received` for either end of it, and not the patient."""
        blank = Filters()
        names = [one.name for one in fields(self) if getattr(self, one.name) != getattr(blank, one.name)]
        plain = [name for name in names if name not in ("since", "until", "patient")]
        return (*plain, "received") if {"since", "until"} & set(names) else tuple(plain)


ALL = Filters()
"""No filter."""


def late(as_of: float) -> ColumnElement[bool]:
    """Whether a row had waited too long at this moment; what is done waits no more."""
    return and_(WorklistRow.state != "done", WorklistRow.due_at <= as_of)


def clauses(filters: Filters, as_of: float) -> list[ColumnElement[bool]]:
    """What a row must fulfil."""
    found = [
        getattr(WorklistRow, name) == ("" if value == NONE else value)
        for name in _EXACT
        if (value := getattr(filters, name))
    ]
    if filters.band:
        is_late = late(as_of)
        found += [is_late] if filters.band == OVERDUE else [WorklistRow.step == STEPS[filters.band], ~is_late]
    if dated := received_clause(filters):
        found.append(and_(*dated))
    if filters.patient:
        found.append(WorklistRow.study_id.in_(select(Study.id).where(patient_clause(filters.patient))))
    return found


def received_clause(filters: Filters) -> list[ColumnElement[bool]]:
    """When a row was received; nothing where that was not asked for."""
    found = [] if filters.since is None else [WorklistRow.received_at >= filters.since]
    return found if filters.until is None else [*found, WorklistRow.received_at < filters.until]


def patient_clause(typed: str) -> ColumnElement[bool]:
    """Studies whose patient's number, accession number or UID is what was typed, or whose patient's name has each of its words.

    Capitals do not matter.
    """
    words = [word for word in re.split(r"[\s,^=]+", typed) if word]
    exact: list[ColumnElement[bool]] = [
        column == typed.strip() for column in (Study.patient_id, Study.accession_number, Study.study_uid)
    ]
    if not words:
        return or_(*exact)
    return or_(*exact, and_(*(or_(*(_has(word) for word in writings(word))) for word in words)))


def writings(word: str) -> set[str]:
    """A word as it is usually written: PostgreSQL knows no capitals but ASCII's where its locale is C."""
    return {word, word.upper(), word.lower(), word.title()}


def _has(word: str) -> Any:
    return Study.patient_name.icontains(word, autoescape=True)

"""The worklist as pages: what is overdue first, then by the rule of `inference.triage`; pages by key, never by number.

A listing is of one moment (`as_of`), which its cursor carries: what becomes overdue between two pages moves nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, Select, select, tuple_
from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.order.places import BANDS, OVERDUE, overdue_reason
from cxreader.serving.store.tables.images import Study, WorklistRow
from cxreader.serving.store.tables.readings import Result

State = Literal["open", "pending", "done"]
MOST = 200
"""Studies a page."""
_LARGEST = 2**53
_OVERDUE, _IN_TIME, _BY_TIME = range(3)
_SORTS: dict[int, tuple[Any, ...]] = {
    _OVERDUE: (WorklistRow.due_at, WorklistRow.study_id),
    _IN_TIME: (WorklistRow.step, WorklistRow.depth, WorklistRow.received_at, WorklistRow.study_id),
    _BY_TIME: (WorklistRow.received_at, WorklistRow.study_id),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the worklist. `band`: a word of `order.places`; `reason`: why it stands there; `waited`: seconds.

    `result`: that of the image which decides, None while it has none.
    """

    study: Study
    row: WorklistRow
    result: Result | None
    band: str
    reason: str
    waited: float


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in their order; `cursor` gives the next page, None where there is none. `as_of`: the moment of the listing."""

    entries: tuple[Entry, ...]
    cursor: str | None
    as_of: float


def page(session: Session, now: float, *, state: State = "open", cursor: str | None = None, size: int = 50) -> Page:
    """A page of the studies in this state; those that are open or pending by urgency, those done by when they came.

    Raises UsageError for a size outside 1 to MOST, and for a cursor that is none of ours.
    """
    if not 1 <= size <= MOST:
        raise UsageError(f"a page of {size} studies", where="size", mend=f"give 1 to {MOST}")
    as_of, section, after = _opened(cursor, now, first=_BY_TIME if state == "done" else _OVERDUE)
    entries: list[Entry] = []
    while True:
        wanted = size - len(entries)
        found = session.execute(_query(state, section, as_of, after).limit(wanted + 1)).all()
        entries += [_entry(row, section, as_of) for row in found[:wanted]]
        if len(found) > wanted:
            last = found[wanted - 1].WorklistRow if wanted else None
            return Page(tuple(entries), _cursor(as_of, section, last, after), as_of)
        if section != _OVERDUE:
            return Page(tuple(entries), None, as_of)
        section, after = _IN_TIME, None


def _query(state: str, section: int, as_of: float, after: Sequence[Any] | None) -> Select[WorklistRow, Study, Result]:
    sort = _SORTS[section]
    query = (
        select(WorklistRow, Study, Result)
        .join(Study, Study.id == WorklistRow.study_id)
        .outerjoin(Result, Result.id == WorklistRow.result_id)
        .where(WorklistRow.state == state)
        .order_by(*sort)
    )
    if section == _OVERDUE:
        query = query.where(WorklistRow.due_at <= as_of)
    elif section == _IN_TIME:
        query = query.where(WorklistRow.due_at > as_of)
    return query if after is None else query.where(tuple_(*sort) > tuple_(*after))


def _entry(found: Row[WorklistRow, Study, Result], section: int, as_of: float) -> Entry:
    row, study, result = found
    waited, reason, band = max(0.0, as_of - row.received_at), row.reason, BANDS[row.step]
    if section == _OVERDUE:
        reason, band = overdue_reason(waited, row.due_at - row.received_at, reason), OVERDUE
    return Entry(study, row, result, band, reason, waited)


def _cursor(as_of: float, section: int, last: WorklistRow | None, after: Sequence[Any] | None) -> str:
    """Numbers alone, no patient data."""
    place = after if last is None else [getattr(last, column.key) for column in _SORTS[section]]
    return base64.urlsafe_b64encode(json.dumps([as_of, section, place]).encode()).decode()


def _opened(cursor: str | None, now: float, *, first: int) -> tuple[float, int, Sequence[Any] | None]:
    if cursor is None:
        return now, first, None
    try:
        as_of, section, place = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        fits = place is None or len(place) == len(_SORTS[section])
        numbers = all(isinstance(one, int | float) and abs(one) < _LARGEST for one in (as_of, *(place or ())))
    except (ValueError, TypeError, KeyError):
        fits = numbers = False
    if not (fits and numbers) or (section == _BY_TIME) != (first == _BY_TIME):
        raise UsageError("no cursor of this list", where="cursor", mend="begin with the first page")
    return float(as_of), section, place

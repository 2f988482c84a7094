"""The worklist as pages: what is overdue first, then by the rule of `inference.triage`; pages by key, never by number.

A listing is of one moment (`as_of`), which its cursor carries: what becomes overdue between two pages moves nothing. It may
also be sorted by when the studies came, and filtered (`filters`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, Select, desc, select, true, tuple_
from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.order.places import BANDS, OVERDUE, overdue_reason
from cxreader.serving.store.reading.filters import ALL, Filters, clauses
from cxreader.serving.store.tables.images import Study, WorklistRow
from cxreader.serving.store.tables.readings import Result

State = Literal["open", "pending", "done"]
States = Literal["open", "pending", "done", "any"]
"""What a list may be of."""
Sort = Literal["urgency", "oldest", "newest"]
MOST = 200
"""Studies a page."""
_LARGEST = 2**53
_OVERDUE, _IN_TIME, _OLDEST, _NEWEST = range(4)
_SORTS: dict[int, tuple[Any, ...]] = {
    _OVERDUE: (WorklistRow.due_at, WorklistRow.study_id),
    _IN_TIME: (WorklistRow.step, WorklistRow.depth, WorklistRow.received_at, WorklistRow.study_id),
    _OLDEST: (WorklistRow.received_at, WorklistRow.study_id),
    _NEWEST: (WorklistRow.received_at, WorklistRow.study_id),
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


def page(
    session: Session,
    now: float,
    *,
    state: States = "open",
    cursor: str | None = None,
    size: int = 50,
    filters: Filters = ALL,
    sort: Sort = "urgency",
    few: bool = False,
) -> Page:
    """A page of the studies in this state; those that are done, or in any state, never by urgency, but by when they came.

    `few`: whether the filters are known to ask for few of them, which are then looked up and sorted, rather than looked for in
    the order of the list: the same page, sooner.

    Raises UsageError for a size outside 1 to MOST, and for a cursor that is none of ours.
    """
    if not 1 <= size <= MOST:
        raise UsageError(f"a page of {size} studies", where="size", mend=f"give 1 to {MOST}")
    by_time = _NEWEST if sort == "newest" else _OLDEST
    sections = _urgent(filters) if sort == "urgency" and state in ("open", "pending") else (by_time,)
    as_of, section, after = _opened(cursor, now, sections)
    wide, entries = clauses(filters, as_of), list[Entry]()
    fit = select(WorklistRow.study_id).where(WorklistRow.state == state if state != "any" else true(), *wide)
    narrowed = [WorklistRow.study_id.in_(fit.correlate(None))]
    while True:
        wanted = size - len(entries)
        asked = _query(state, section, as_of, after).where(*(narrowed if few else wide))
        found = session.execute(asked.limit(wanted + 1)).all()
        entries += [_entry(row, as_of) for row in found[:wanted]]
        if len(found) > wanted:
            last = found[wanted - 1].WorklistRow if wanted else None
            return Page(tuple(entries), _cursor(as_of, section, last, after), as_of)
        if section == sections[-1]:
            return Page(tuple(entries), None, as_of)
        section, after = _IN_TIME, None


def _urgent(filters: Filters) -> Sequence[int]:
    """The parts of a list by urgency; a band stands in one of them."""
    return {"": (_OVERDUE, _IN_TIME), OVERDUE: (_OVERDUE,)}.get(filters.band, (_IN_TIME,))


def of_keys(session: Session, as_of: float, keys: Sequence[str]) -> list[Entry]:
    """These studies as they would stand in a list, in no order; keys that are not there are left out."""
    return [_entry(row, as_of) for row in session.execute(_entries().where(Study.key.in_(keys)))]


def _entries() -> Select[WorklistRow, Study, Result]:
    return (
        select(WorklistRow, Study, Result)
        .join(Study, Study.id == WorklistRow.study_id)
        .outerjoin(Result, Result.id == WorklistRow.result_id)
    )


def _query(state: str, section: int, as_of: float, after: Sequence[Any] | None) -> Select[WorklistRow, Study, Result]:
    columns = _SORTS[section]
    falling = section == _NEWEST
    query = _entries().order_by(*(desc(one) if falling else one for one in columns))
    if state != "any":
        query = query.where(WorklistRow.state == state)
    if section == _OVERDUE:
        query = query.where(WorklistRow.due_at <= as_of)
    elif section == _IN_TIME:
        query = query.where(
            WorklistRow.due_at + 0 > as_of
        )  # a sum, so that no index of it is chosen, but that of the order
    if after is None:
        return query
    here, there = tuple_(*columns), tuple_(*after)
    return query.where(here < there if falling else here > there)


def _entry(found: Row[WorklistRow, Study, Result], as_of: float) -> Entry:
    row, study, result = found
    waited, reason, band = max(0.0, as_of - row.received_at), row.reason, BANDS[row.step]
    if row.due_at <= as_of and row.state != "done":
        reason, band = overdue_reason(waited, row.due_at - row.received_at, reason), OVERDUE
    return Entry(study, row, result, band, reason, waited)


def moment_of(cursor: str | None, now: float) -> float:
    """The moment that a cursor's list is of; now for what is none (`page` refuses it)."""
    try:
        as_of = now if cursor is None else json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))[0]
    except (ValueError, TypeError, KeyError, IndexError):
        return now
    return float(as_of) if isinstance(as_of, int | float) and abs(as_of) < _LARGEST else now


def _cursor(as_of: float, section: int, last: WorklistRow | None, after: Sequence[Any] | None) -> str:
    """Numbers alone, no patient data."""
    place = after if last is None else [getattr(last, column.key) for column in _SORTS[section]]
    return base64.urlsafe_b64encode(json.dumps([as_of, section, place]).encode()).decode()


def _opened(cursor: str | None, now: float, sections: Sequence[int]) -> tuple[float, int, Sequence[Any] | None]:
    if cursor is None:
        return now, sections[0], None
    try:
        as_of, section, place = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        fits = section in sections and (place is None or len(place) == len(_SORTS[section]))
        numbers = all(isinstance(one, int | float) and abs(one) < _LARGEST for one in (as_of, *(place or ())))
    except (ValueError, TypeError, KeyError):
        fits = numbers = False
    if not (fits and numbers):
        raise UsageError("no cursor of this list", where="cursor", mend="begin with the first page")
    return float(as_of), section, place

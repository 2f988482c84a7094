"""Which images form a subgroup: by sex, age, view, first or follow-up image, source, and by finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.counting import format_count
from cxreader.errors import TableError
from cxreader.findings import FINDINGS, read_findings, value_or_missing
from cxreader.records import ABNORMAL, PredictionTable
from cxreader.tables import parse_sex

PARTITIONS = ("sex", "age", "view", "follow_up", "source")
FINDING = "finding"
DIMENSIONS = (*PARTITIONS, FINDING)
AGE_FROM = (18, 40, 60, 80)
OLDEST = 120
# More groups than this are no question of fairness but of one's table; the largest are kept and the rest is said.
MAX_GROUPS = 20
Names = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Grouping:
    """The groups of one dimension: `member` (n, k) bool, one column a name of `names`.

    `known` (n,) bool: the images whose value is known, the others belong to no group and to no rest. The groups of a
    dimension of PARTITIONS never overlap; those of `finding` may, and hold abnormal images only.
    """

    dimension: str
    names: tuple[str, ...]
    member: NDArray[np.bool_]
    known: NDArray[np.bool_]


def groupings(table: PredictionTable) -> tuple[tuple[Grouping, ...], dict[str, str]]:
    """The groupings of a table's columns, and by dimension what is to be said of them; in the order of DIMENSIONS.

    Columns: `sex` (M, F, or a word for it), `age` in years (outside 0 to 120 it is not known), `view`, `follow_up` (0 is the
    first image), `source`, and `findings` (`findings.read_findings`), empty or `No Finding` for none. An empty cell is a value
    not known, and so is one that says as much (`findings.MISSING`).
    A dimension that gives no groups has only its note: no such column, or one value alone.
    Raises TableError for an age or a follow-up that is no number.
    """
    found, notes = [], {}
    for dimension in DIMENSIONS:
        column = "findings" if dimension == FINDING else dimension
        if column not in table.columns:
            notes[dimension] = f"The predictions have no column {column!r}."
            continue
        values = table.columns[column]
        grouping, note = _by_finding(table, values) if dimension == FINDING else _partition(dimension, values)
        if not grouping.names:
            note = f"The column {column!r} names nothing. {note}"
        elif dimension != FINDING and len(grouping.names) == 1:
            note = f"Every image whose {column} is known is {grouping.names[0]!r}: nothing to compare. {note}"
        else:
            found.append(grouping)
        if note.strip():
            notes[dimension] = note.strip()
    return tuple(found), notes


def _partition(dimension: str, column: NDArray[np.generic]) -> tuple[Grouping, str]:
    value = _VALUES[dimension](column)
    known = value != ""
    names, counts = np.unique(value[known], return_counts=True)
    notes = [] if known.all() else [f"Not known of {format_count(int(np.count_nonzero(~known)), '[image|images]')}."]
    if len(names) > MAX_GROUPS:
        notes.append(f"{len(names)} groups: only the {MAX_GROUPS} largest are judged.")
        names = np.sort(names[np.argsort(-counts, kind="stable")[:MAX_GROUPS]])
    ordered = [name for name in _AGE_BANDS if name in names] if dimension == "age" else names.tolist()
    member = value[:, None] == np.array(ordered, dtype=np.str_)[None, :]
    return Grouping(dimension, tuple(ordered), member, known), " ".join(notes)


def _by_finding(table: PredictionTable, column: NDArray[np.generic]) -> tuple[Grouping, str]:
    cells, index = np.unique(_text(column), return_inverse=True)
    each = [_parsed(cell) for cell in cells.tolist()]
    has = np.array([[f.name in own for f in FINDINGS] for own, _ in each], dtype=bool).reshape(len(each), len(FINDINGS))
    named = np.array([bool(own or others) for own, others in each], dtype=bool)[index.ravel()]
    abnormal = np.asarray(table.label) == ABNORMAL
    member = has[index.ravel()] & abnormal[:, None]
    used = member.any(axis=0)
    others = {name for _, others in each for name in others}
    n_others = int(np.count_nonzero(np.array([bool(others) for _, others in each], dtype=bool)[index.ravel()]))
    silent = int(np.count_nonzero(abnormal & ~named))
    # Such a text may be a sentence of a report: it is counted, not repeated.
    notes = []
    if others:
        what = format_count(len(others), "other [finding is|findings are] not among the fourteen and left out")
        notes = [f"{what}: named of {format_count(n_others, '[image|images]')}."]
    notes += [f"Not known of {format_count(silent, 'abnormal [image|images]')}."] if silent else []
    names = tuple(finding.display for finding, use in zip(FINDINGS, used, strict=True) if use)
    return Grouping(FINDING, names, member[:, used], ~abnormal | named), " ".join(notes)


def _parsed(cell: str) -> tuple[set[str], set[str]]:
    """The findings of a cell by the release's names, and what stands there besides."""
    own, others = read_findings(cell)
    return set(own), set(others)


def _text(column: NDArray[np.generic]) -> Names:
    cells, index = np.unique(np.asarray(column, dtype=np.str_), return_inverse=True)
    return np.array([value_or_missing(cell) for cell in cells.tolist()], dtype=np.str_)[index.ravel()]


def _sex(column: NDArray[np.generic]) -> Names:
    return np.array([parse_sex(value) or "" for value in _text(column).tolist()], dtype=np.str_)


def _bands(edges: Iterable[int]) -> tuple[str, ...]:
    first, *rest = edges
    ends = [*rest, None]
    middle = [f"{a}-{b - 1}" if b else f"{a} and over" for a, b in zip((first, *rest), ends, strict=True)]
    return (f"under {first}", *middle)


_AGE_BANDS = _bands(AGE_FROM)


def _age(column: NDArray[np.generic]) -> Names:
    age = _numbers(column, "age")
    known = (age >= 0) & (age <= OLDEST)
    return np.where(known, np.asarray(_AGE_BANDS)[np.searchsorted(AGE_FROM, np.where(known, age, 0), "right")], "")


def _follow_up(column: NDArray[np.generic]) -> Names:
    number = _numbers(column, "follow_up")
    return np.where(number == 0, "first image", np.where(number > 0, "follow-up", ""))


def _numbers(column: NDArray[np.generic], name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(column, dtype=np.float64)
    except ValueError:
        raise TableError(f"column {name!r} holds no numbers", mend="give numbers, NaN where unknown") from None


_VALUES: dict[str, Callable[[NDArray[np.generic]], Names]] = {
    "sex": _sex,
    "age": _age,
    "view": lambda column: np.char.upper(_text(column)),
    "follow_up": _follow_up,
    "source": _text,
}

"""The cells of a table of predictions in columns, and what they say: labels, probabilities, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import TableError
from cxreader.findings import value_or_missing
from cxreader.records import LABELS_IN_WORDS, label_and_findings
from cxreader.tables import Table, parse_number

_ROUNDING = 1e-6
"""How far beyond 0 and 1 a probability may lie that was computed in float32."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a table's columns by name, as text, and the row of each as a spreadsheet shows it."""

    table: Table
    rows: list[int]
    columns: dict[str, list[str]]

    @classmethod
    def of(cls, table: Table) -> Cells:
        """All rows. Raises TableError as iterating the table does."""
        columns: dict[str, list[str]] = {name: [] for name in table.names()}
        rows = []
        for row, cells in table:
            rows.append(row)
            for name, text in cells.items():
                columns[name].append(text)
        return cls(table, rows, columns)

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, keep: Sequence[bool]) -> Cells:
        """The rows for which `keep` is true."""
        columns = {name: list(compress(texts, keep)) for name, texts in self.columns.items()}
        return Cells(self.table, list(compress(self.rows, keep)), columns)

    def at(self, position: int, column: str) -> str:
        """The place of a cell, for a message: `position` counts these rows from 0."""
        return self.table.at(self.rows[position], column)


def read_label(text: str, where: str) -> int:
    """0 or 1 of a cell; raises TableError naming `where` for what `records.label_and_findings` does not know."""
    label = _label(text)
    if label is None:
        mend = f"known: {LABELS_IN_WORDS}"
        raise TableError(f"label {text!r} is neither normal nor abnormal", where=where, mend=mend)
    return label


@cache
def _label(text: str) -> int | None:
    return label_and_findings(text)[0]


def numbers(cells: Cells, name: str, *, empty: bool = True) -> NDArray[np.float64]:
    """A column (n,) of numbers, NaN for an empty cell and one that says that nothing is known (`findings.MISSING`).

    Raises TableError naming row and column, for an empty cell too unless `empty`.
    """
    found = np.full(len(cells), np.nan)
    for position, text in enumerate(cells.columns[name]):
        if empty and not value_or_missing(text):
            continue
        number = parse_number(text)
        if number is None:
            mend = "write it with a decimal point or comma"
            raise TableError(f"{text!r} is no number", where=cells.at(position, name), mend=mend)
        found[position] = number
    return found


def probabilities(cells: Cells, name: str) -> NDArray[np.float64]:
    """A column (n,) of probabilities, 0 to 1; `34.1 %` is 0.341.

    Raises TableError, with its row, for a cell that is none, for logits and for percentages without their sign, and where
    some cells have the sign and others not.
    """
    texts = cells.columns[name]
    percent = [text.endswith("%") for text in texts]
    if any(percent) and not all(percent):
        where = cells.at(percent.index(not percent[0]), name)
        raise TableError("some probabilities have a percent sign, others none", where=where, mend="write them alike")
    bare = Cells(cells.table, cells.rows, {name: [text.rstrip("% ") for text in texts]})
    found = numbers(bare, name, empty=False) / (100 if any(percent) else 1)
    outside = (found < -_ROUNDING) | (found > 1 + _ROUNDING)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        more = f" (and {outside.sum() - 1:,} more)" if outside.sum() > 1 else ""
        what = f"probability {found[first]:g} is outside 0 to 1{more}"
        raise TableError(what, where=cells.at(first, name), mend=_mend(float(found.min()), float(found.max())))
    return np.clip(found, 0, 1)


def _mend(low: float, high: float) -> str:
    if low < 0:
        return "if these are logits, write 1 / (1 + exp(-logit)): the probability of abnormal is wanted"
    if 1.5 < high <= 100:
        return "if these are percentages, divide them by 100 or write the sign: 34.1%"
    return "give the probability of abnormal, not a logit, a score or a percentage"

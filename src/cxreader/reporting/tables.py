"""Tables and numbers for people: a number never stands without its interval or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cxreader.evaluation.evaluate import Counts
from cxreader.evaluation.statistics.intervals import Estimate


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place of a table: the `value`, and lines `below` it in small; `alert` where it must be seen.

    `plain`: the value is no number to look at first.
    """

    value: str
    below: tuple[str, ...] = ()
    alert: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its name, notes in small below the name, and its cells."""

    name: str
    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `head` names the first column and all others; `over` groups the others as (title, columns)."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: str
    over: tuple[tuple[str, int], ...] = ()


def value(estimate: Estimate, digits: int = 3, *, signed: bool = False) -> str:
    """The number alone, `undefined` where it is."""
    return "undefined" if np.isnan(estimate.value) else _number(estimate.value, digits, signed)


def interval(estimate: Estimate, digits: int = 3, *, signed: bool = False) -> str:
    """`0.880-0.940`, `-0.010 to 0.030` when an end is negative or signs are asked for, or why there is none."""
    if np.isnan(estimate.value):
        return estimate.reason or ""
    if np.isnan(estimate.low):
        return f"no interval: {estimate.reason}"
    if np.isinf(estimate.high):
        return f"from {_number(estimate.low, digits, signed)} on, no upper end: {estimate.reason}"
    joint = " to " if signed or estimate.low < 0 else "-"
    return f"{_number(estimate.low, digits, signed)}{joint}{_number(estimate.high, digits, signed)}"


def told(estimate: Estimate, digits: int = 2, *, signed: bool = False) -> str:
    """`0.91 (0.88-0.94)`, or `undefined (no abnormal image)`."""
    return f"{value(estimate, digits, signed=signed)} ({interval(estimate, digits, signed=signed)})"


def cell(estimate: Estimate, digits: int = 3, *, signed: bool = False, alert: bool = False, note: str = "") -> Cell:
    """An estimate with its interval below it, and a note below that."""
    below = (interval(estimate, digits, signed=signed), note)
    return Cell(value(estimate, digits, signed=signed), tuple(line for line in below if line), alert)


def words(text: str) -> Cell:
    """A cell of words."""
    return Cell(text, plain=True)


def count_words(n_abnormal: int, n_normal: int, patients: int | None) -> str:
    """`120 abnormal, 133 normal images; 203 patients`."""
    who = "patients not known" if patients is None else f"{patients:,} patient{'s' * (patients != 1)}"
    return f"{n_abnormal:,} abnormal, {n_normal:,} normal images; {who}"


def on(estimate: Estimate) -> str:
    """What an estimate rests on."""
    return count_words(estimate.n_positive, estimate.n_negative, estimate.n_patients)


def counted(counts: Counts) -> str:
    """Who was judged."""
    return count_words(counts.abnormal, counts.normal, counts.patients)


def methods_of(estimates: Mapping[str, Estimate]) -> str:
    """How the intervals were made, each method once."""
    return "; or ".join(dict.fromkeys(e.method for e in estimates.values())) or "none"


def p_words(p: float) -> str:
    """`p 0.031`, `p < 0.001`, `p not defined`."""
    return "p not defined" if np.isnan(p) else "p < 0.001" if p < 0.001 else f"p {p:.3f}"


def share_words(share: float) -> str:
    """`10 %`, `2.5 %`."""
    return f"{100 * share:.3g}\u00a0%"


def _number(number: float, digits: int, signed: bool) -> str:
    text = f"{number:+,.{digits}f}" if signed else f"{number:,.{digits}f}"
    return text if float(text.replace(",", "")) else text.lstrip("+-")

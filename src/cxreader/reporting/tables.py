"""Tables and numbers for people: a number never stands without its interval or the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.evaluate import Counts
from cxreader.evaluation.statistics.intervals import Estimate, method_name
from cxreader.evaluation.statistics.metrics import METRIC_TITLES
from cxreader.findings import FINDINGS

RATE_TITLES = {
    "auc": "AUC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "lr_positive": "LR+",
    "lr_negative": "LR-",
    "ppv": "PPV",
    "npv": "NPV",
    "flagged": "Flagged",
}
"""What is measured at an operating point and in a subgroup, as a column is headed."""
DIMENSION_TITLES = {
    "sex": "sex",
    "age": "age in years",
    "view": "view",
    "follow_up": "first or follow-up",
    "source": "source",
    "finding": "finding, against all normal",
}
"""By what images are grouped."""
DASH = "\N{EN DASH}"
_NO_INTERVAL = "no interval: "
_NUMBER = re.compile(r"\d(?:[\d,.]*\d)?")
_ALL_DEFINED = re.compile(r"(?<=resamples)(?!, \d)")
_NONE_LEFT_OUT = ", 0 undefined left out"


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place of a table: the `value`, and lines `below` it in small; `alert` where it must be seen.

    `plain`: the value is no number to look at first. `why`: what a dash stands for, for places without a caption.
    """

    value: str
    below: tuple[str, ...] = ()
    alert: bool = False
    plain: bool = False
    why: str = ""

    @property
    def in_full(self) -> tuple[str, ...]:
        """The value and the lines below it, with reasons in the place of dashes."""
        return tuple(self.why if line == DASH and self.why else line for line in (self.value, *self.below))


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its name, notes in small below the name, and its cells."""

    name: str
    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `head` names the first column and all others; `over` groups the others as (title, columns).

    Where a number has no interval there is a dash, and the caption says why, each reason once.
    """

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: str
    over: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        reasons: dict[str, None] = {}
        rows = tuple(replace(row, cells=tuple(_dashed(cell, reasons) for cell in row.cells)) for row in self.rows)
        if reasons:
            object.__setattr__(self, "rows", rows)
            object.__setattr__(
                self, "caption", f"{self.caption} {DASH}: no interval, {'; '.join(counted_together(reasons))}.".strip()
            )

    @property
    def lines(self) -> list[tuple[str, ...]]:
        """Each row as text for a terminal: its name and its cells, a value above what stands below it."""
        return [(row.name, *("\n".join((cell.value, *cell.below)) for cell in row.cells)) for row in self.rows]


def _dashed(cell: Cell, reasons: dict[str, None]) -> Cell:
    """The cell with a dash in the place of `no interval: REASON`; the reason is added to `reasons` and kept in `why`."""
    whys: list[str] = []

    def dash(line: str) -> str:
        reason = line.removeprefix(_NO_INTERVAL)
        if reason == line:
            return line
        reasons[reason] = None
        whys.append(line)
        return DASH

    value, below = dash(cell.value), tuple(map(dash, cell.below))
    return replace(cell, value=value, below=below, why=whys[0] if whys else cell.why)


def counted_together(texts: Iterable[str]) -> list[str]:
    """Each text once; those that differ in their numbers alone as one, with a number from the least to the most."""
    alike: dict[tuple[str, ...], list[list[str]]] = {}
    for text in texts:
        alike.setdefault(tuple(_NUMBER.split(text)), []).append(_NUMBER.findall(text))
    return [
        "".join(
            word + number for word, number in zip(words, (*map(_span, zip(*numbers, strict=True)), ""), strict=True)
        )
        for words, numbers in alike.items()
    ]


def _span(numbers: Sequence[str]) -> str:
    """`3`, or `3 to 2,000`."""
    ordered = sorted(set(numbers), key=lambda number: float(number.replace(",", "")))
    return " to ".join(dict.fromkeys((ordered[0], ordered[-1])))


def format_value(estimate: Estimate, digits: int = 3, *, signed: bool = False) -> str:
    """The number alone, or `undefined`."""
    return "undefined" if np.isnan(estimate.value) else _format_number(estimate.value, digits, signed)


def format_interval(estimate: Estimate, digits: int = 3, *, signed: bool = False, why: bool = True) -> str:
    """`0.880-0.940`, `-0.010 to 0.030` when an end is negative or signs are asked for, or the reason why there is none.

    With `why` False a missing interval of a number that is known has no reason beside it, for places without room.
    """
    if np.isnan(estimate.value):
        return estimate.reason or ""
    reason = f": {estimate.reason}" if why else ""
    if np.isnan(estimate.low):
        return f"no interval{reason}"
    if np.isinf(estimate.high):
        return f"from {_format_number(estimate.low, digits, signed)} on, no upper end{reason}"
    joint = " to " if signed or estimate.low < 0 else "-"
    return joint.join(_format_number(end, digits, signed) for end in (estimate.low, estimate.high))


def format_estimate(estimate: Estimate, digits: int = 2, *, signed: bool = False, why: bool = True) -> str:
    """`0.91 (0.88-0.94)`, or `undefined (no abnormal image)`; `why` as for `format_interval`."""
    interval = format_interval(estimate, digits, signed=signed, why=why)
    return f"{format_value(estimate, digits, signed=signed)} ({interval})"


def estimate_cell(
    estimate: Estimate, digits: int = 3, *, signed: bool = False, alert: bool = False, note: str = ""
) -> Cell:
    """An estimate with its interval below it, and a note below that."""
    below = (format_interval(estimate, digits, signed=signed), note)
    return Cell(format_value(estimate, digits, signed=signed), tuple(line for line in below if line), alert)


def value_cell(estimate: Estimate, digits: int = 3) -> Cell:
    """An estimate without its interval, which stands in a column of its own."""
    return Cell(format_value(estimate, digits))


def text_cell(text: str) -> Cell:
    """A cell of words."""
    return Cell(text, plain=True)


def tile(name: str, estimate: Estimate, digits: int = 3, basis: str = "") -> dict[str, str]:
    """A number to see at a glance, for `evidence.tiles_of`: its interval, and after it what it rests on, where given."""
    interval = format_interval(estimate, digits)
    interval = interval if np.isnan(estimate.low) else f"95 % interval {interval}"
    return {
        "name": name,
        "value": format_value(estimate, digits),
        "interval": f"{interval}; {basis}" if basis else interval,
    }


def format_counts(n_abnormal: int, n_normal: int, patients: int | None) -> str:
    """`120 abnormal, 133 normal images, 203 patients`."""
    return f"{n_abnormal:,} abnormal, {n_normal:,} normal images, {format_patients(patients)}"


def format_patients(patients: int | None) -> str:
    """`203 patients`, `1 patient`, or `patients unknown` for None."""
    return "patients unknown" if patients is None else format_count(patients, "[patient|patients]")


def estimate_counts(estimate: Estimate) -> str:
    """On how many images and patients an estimate rests."""
    return format_counts(estimate.n_positive, estimate.n_negative, estimate.n_patients)


def cohort_counts(counts: Counts) -> str:
    """How many images and patients were judged."""
    return format_counts(counts.abnormal, counts.normal, counts.patients)


def format_spread(values: Sequence[float]) -> str:
    """The lowest and highest of several trainings in brackets, such as `[0.661-0.668]`; nothing for one, which says no more."""
    if len(values) < 2:
        return ""
    known = [value for value in values if not np.isnan(value)]
    if len(known) < len(values):
        return f"defined in {len(known)} of {len(values)} seeds"
    joint = "-" if min(known) >= 0 else " to "
    return f"[{min(known):.3f}{joint}{max(known):.3f}]"


def finding_title(name: str) -> str:
    """A finding as it is displayed; another name, such as `all`, as it is."""
    return next((finding.display for finding in FINDINGS if finding.name == name), name)


def rate_in_sentence(name: str) -> str:
    """A rate's title inside a sentence: `sensitivity`, but `AUC` and `PPV`."""
    title = RATE_TITLES[name]
    return title if title.isupper() else title.lower()


def short_title(metric: str) -> str:
    """A metric's title without what stands in brackets: `Recall` for `Recall (sensitivity)`."""
    return METRIC_TITLES[metric].split(" (")[0]


def bootstrap_and_exact(patients_known: bool, n_resamples: int) -> str:
    """How the intervals of figures are made that may be shares of 0 and 1."""
    return f"{method_name(patients_known, n_resamples)}; exact (Clopper-Pearson) where every image is right or none is"


def methods_of(estimates: Iterable[Estimate]) -> str:
    """How the intervals that there are were made, each method once: counts in which its uses differ as the least to the most."""
    methods = (_ALL_DEFINED.sub(_NONE_LEFT_OUT, e.method) for e in estimates if not np.isnan(e.low))
    return "; or ".join(text.replace(_NONE_LEFT_OUT, "") for text in counted_together(methods)) or "none"


def format_p_value(p: float) -> str:
    """`p 0.031`, `p < 0.001`, `p not defined`."""
    return "p not defined" if np.isnan(p) else "p < 0.001" if p < 0.001 else f"p {p:.3f}"


def format_share(share: float) -> str:
    """`10 %`, `2.5 %`."""
    return f"{100 * share:.3g}\u00a0%"


def _format_number(number: float, digits: int, signed: bool) -> str:
    text = f"{number:+,.{digits}f}" if signed else f"{number:,.{digits}f}"
    return text if float(text.replace(",", "")) else text.lstrip("+-")

"""The operating points side by side: rates, and what they mean at the sample's own and at the stated prevalence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cxreader.evaluation.decisions.at_threshold import DEPLOYED, AtThreshold
from cxreader.evaluation.evaluate import Counts, Evaluation
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.tables import (
    RATE_TITLES,
    Cell,
    Row,
    Table,
    cohort_counts,
    estimate_cell,
    format_share,
    methods_of,
)

if TYPE_CHECKING:
    from cxreader.evaluation.evidence import Evidence

_THOUSAND = {"found": "found", "missed": "missed", "false_alarms": "false alarms"}
CLASSES = ("sensitivity", "specificity")
RATIOS = ("lr_positive", "lr_negative")


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table: its `name`, the prevalence it holds `at` in words ("" for any), an estimate a point, decimals."""

    name: str
    at: str
    values: tuple[Estimate, ...]
    digits: int = 2


def point_measures(points: Sequence[AtThreshold], counts: Counts, *, ratios: bool = False) -> tuple[Measure, ...]:
    """Every line: rates of the classes, then of each prevalence the predictive values and what 1,000 patients would meet."""
    names = (*CLASSES, *(RATIOS if ratios else ()))
    lines = [Measure(RATE_TITLES[name], "", tuple(at.rates[name] for at in points)) for name in names]
    if counts.images:
        own = counts.abnormal / counts.images
        lines += _at_prevalence(points, own, f"{format_share(own)} abnormal, as here", deployed=False)
    stated = points[0].prevalence if points else None
    if stated is not None:
        lines += _at_prevalence(points, stated, f"{format_share(stated)} abnormal, as stated", deployed=True)
    return tuple(lines)


def _at_prevalence(points: Sequence[AtThreshold], prevalence: float, at: str, *, deployed: bool) -> list[Measure]:
    rates = [point.deployed if deployed else point.rates for point in points]
    thousand = [point.of_thousand(prevalence) for point in points]
    return [
        *(Measure(RATE_TITLES[name], at, tuple(own[name] for own in rates)) for name in DEPLOYED),
        *(
            Measure(f"Of 1,000: {title}", at, tuple(own[name] for own in thousand), 0)
            for name, title in _THOUSAND.items()
        ),
    ]


def points_table(evaluation: Evaluation, evidence: Evidence) -> Table:
    """A column for each operating point: its threshold and what it did here, then every line of `point_measures`."""
    counts, points = evaluation.counts, evidence.points
    rows = [
        Row(
            "Abnormal from", tuple(_point_cell(at, primary=at is points[0]) for at in points), ("and what it did here",)
        )
    ]
    rows += [
        Row(line.name, tuple(estimate_cell(value, line.digits) for value in line.values), (line.at,) if line.at else ())
        for line in point_measures(points, counts, ratios=True)
    ]
    methods = methods_of(rate for point in points for rate in point.rates.values())
    caption = f"95 % intervals: {methods}. {cohort_counts(counts)}. {THOUSAND_WORDS} LR+: how many "
    caption += "times as often a flag is met in the abnormal as in the normal; LR-: the same of no flag."
    if any(np.isinf(at.rates[name].high) for at in points for name in RATIOS):
        caption += " Without a false alarm LR+ is infinite, without a true negative LR- is; such resamples count."
    return Table(("", *(at.point.name for at in points)), tuple(rows), caption)


THOUSAND_WORDS = (
    "Of 1,000: patients with an image each, the share of abnormal ones held fixed. At another prevalence sensitivity and "
    "specificity are kept, which holds if the abnormal images there are abnormal in the same ways."
)


def _point_cell(at: AtThreshold, *, primary: bool) -> Cell:
    point, c = at.point, at.confusion
    fitted = (
        f"{point.rule}; fitted on calibrate ({point.n_positive:,} abnormal, {point.n_negative:,} normal)"
        if point.fitted_on == "calibrate"
        else point.rule
    )
    did = f"{c['tp']:,} found, {c['fn']:,} missed, {c['fp']:,} false alarms, {c['tn']:,} true negatives"
    return Cell(f"{point.threshold:.3f}", (f"primary; {fitted}" if primary else fitted, did))

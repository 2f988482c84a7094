"""What a reader does with these images: those that it refuses or refers to a human get no answer, the others are judged alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.evaluation.statistics.exact import bounded_metrics
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, bootstrap
from cxreader.evaluation.statistics.metrics import METRIC_NAMES, all_metrics, confusion, undefined_reasons
from cxreader.records import PredictionTable


@dataclass(frozen=True, eq=False)
class Answered(Plain):
    """The answered images by themselves: `metrics` by METRIC_NAMES, `confusion` counts tp, fp, tn, fn at the operating point.

    `images` of them are left when `refused` and `referred` images go; with none left `metrics` is empty.
    """

    metrics: dict[str, Estimate]
    confusion: dict[str, int]
    images: int
    refused: int
    referred: int


def judge_answered(
    table: PredictionTable, threshold: float, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> Answered | None:
    """Of a table whose column `acceptance` says refused, or whose `decision` says refer; None where no image does.

    An image that is both counts as refused.
    """
    refused = _says(table, "acceptance", "refused")
    referred = _says(table, "decision", "refer") & ~refused
    answered = ~(refused | referred)
    if answered.all():
        return None
    sample = Sample.of(table).part(answered)
    probability = np.asarray(table.probability)[answered]
    decision = probability >= threshold
    found: dict[str, Estimate] = {}
    if answered.any():
        statistic, reasons = all_metrics(sample.label, probability, threshold), undefined_reasons(sample.label)
        found = bootstrap(statistic, sample, n_resamples=n_resamples, seed=seed, reasons=reasons)
        found = bounded_metrics({name: found[name] for name in METRIC_NAMES}, sample, decision)
    counts = confusion(sample.label, decision)
    return Answered(found, counts, len(sample.label), int(refused.sum()), int(referred.sum()))


def _says(table: PredictionTable, column: str, value: str) -> NDArray[np.bool_]:
    """(n,) where a column holds this value, in any capitals; nowhere without the column."""
    if column not in table.columns:
        return np.zeros(len(table), np.bool_)
    return np.asarray(np.char.lower(np.char.strip(np.asarray(table.columns[column], np.str_))) == value, np.bool_)

"""Bounds where nothing went wrong, or nothing right: every resample then says the same, and a bootstrap bounds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cxreader.counting import format_count
from cxreader.evaluation.statistics.intervals import LEVEL, Estimate, Sample


def least_share(n: int) -> float:
    """The lower end of Clopper and Pearson's interval (Biometrika 26, 1934, 404-413) where all of `n` trials succeed.

    (alpha / 2) ** (1 / n), in [0, 1); the upper end where none does is 1 less it. 0 without a trial.
    """
    return float(((1 - LEVEL) / 2) ** (1 / n)) if n else 0.0


def bounded_share(share: Estimate, own: NDArray[np.bool_], sample: Sample) -> Estimate:
    """A share of the images `own` (n,) that is 0 or 1, with the exact bound of as many patients; any other as it is.

    Each patient is one trial: images of one patient are not independent.
    """
    people = len(np.unique(sample.groups[own]))
    if share.value not in (0.0, 1.0) or people == 0:
        return share
    who = "patient" if sample.patients_known else "image"
    return _at_end(share, least_share(people), f"exact (Clopper-Pearson) by {who}, {people:,} of them")


def bounded_auc(auc: Estimate, sample: Sample) -> Estimate:
    """An AUC of 0 or 1 with the exact bound `least_auc`; any other as it is."""
    if auc.value not in (0.0, 1.0) or disjoint_pairs(sample) == 0:
        return auc
    return _at_end(auc, least_auc(sample), separation_method(sample))


def least_auc(sample: Sample) -> float:
    """The exact lower bound of an AUC that is 1 on `sample`; NaN without a pair of two patients.

    If a random abnormal image lies above a random normal one with probability A, then k pairs of different patients, who
    are all drawn independently, are all in order with probability A ** k. Complete separation means that they are, so
    that an A below `least_share(k)` would give it in fewer than 2.5 of 100 samples. Pairs of independent patients can be
    no more than the rarer class has patients; no bound by these counts alone is better, as it is reached where only the
    rarer class has images out of order, all of them beyond the whole other class.
    """
    pairs = disjoint_pairs(sample)
    return least_share(pairs) if pairs else float("nan")


def separation_method(sample: Sample) -> str:
    """What `least_auc` rests on, in words."""
    who = "patients" if sample.patients_known else "images"
    return f"exact (Clopper-Pearson): {format_count(disjoint_pairs(sample), '[pair|pairs]')} of {who}, all in one order"


def disjoint_pairs(sample: Sample) -> int:
    """The largest number of pairs of an abnormal and a normal image in which every patient stands once."""
    abnormal, normal = (np.unique(sample.groups[sample.label == value]) for value in (1, 0))
    return min(len(abnormal), len(normal), len(np.union1d(abnormal, normal)) // 2)


def bounded_metrics(found: Mapping[str, Estimate], sample: Sample, decision: NDArray[np.bool_]) -> dict[str, Estimate]:
    """`found` with exact bounds for an AUC and for shares of 0 or 1 that resamples leave without an interval.

    `decision` (n,): True where an image is called abnormal. Names as in `METRIC_NAMES` or `at_threshold.RATES`; what is
    neither an AUC nor a share of counted images stays.
    """
    positive = sample.label == 1
    of_images = {
        "accuracy": np.ones(len(positive), np.bool_),
        "flagged": np.ones(len(positive), np.bool_),
        **dict.fromkeys(("recall", "sensitivity"), positive),
        "specificity": ~positive,
        **dict.fromkeys(("precision", "ppv"), decision),
        "npv": ~decision,
    }
    bounded = dict(found)
    for name, estimate in found.items():
        if sample.n_groups < 2 or not np.isnan(estimate.low):
            continue
        if name == "auc":
            bounded[name] = bounded_auc(estimate, sample)
        elif name in of_images:
            bounded[name] = bounded_share(estimate, of_images[name], sample)
    return bounded


def _at_end(estimate: Estimate, least: float, method: str) -> Estimate:
    low, high = (least, 1.0) if estimate.value == 1 else (0.0, 1 - least)
    return replace(estimate, low=low, high=high, method=method, reason=None)

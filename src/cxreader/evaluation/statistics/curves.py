"""ROC and precision-recall curves with their bands, and where the probabilities lie; numbers only, drawn elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.evaluation.statistics.intervals import LEVEL, Statistic, Weights

Floats = NDArray[np.float64]
GRID: Floats = np.linspace(0.0, 1.0, 101)
# More corners than a page has pixels only make the file large.
MAX_POINTS = 2000


@dataclass(frozen=True, eq=False)
class RocCurve(Plain):
    """Corners of a ROC curve, joined by straight lines, with a pointwise band.

    `false_positive_rate`, `true_positive_rate` and `threshold` (k,), from (0, 0) at threshold +inf to (1, 1). `grid`
    (101,) false positive rates, at which `low` and `high` bound the true positive rate; NaN where no band is defined.
    The area below equals the AUC; of more than 2,000 corners, 2,000 are kept, and the area changes by less than 3e-4.
    """

    false_positive_rate: Floats
    true_positive_rate: Floats
    threshold: Floats
    grid: Floats
    low: Floats
    high: Floats

    def to_dict(self) -> dict[str, Any]:
        """As `Plain.to_dict`, but for the threshold +inf of the first corner, which is None."""
        return super().to_dict() | {"threshold": [None if np.isinf(t) else t for t in self.threshold.tolist()]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, exactly."""
        curve = super().from_dict(values)
        return replace(curve, threshold=np.where(np.isnan(curve.threshold), np.inf, curve.threshold))


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve(Plain):
    """Steps of a precision-recall curve, with a pointwise band.

    Between `recall[i - 1]` and `recall[i]` the precision is `precision[i]`; `threshold` (k,) is the probability from
    which on images are flagged. `grid` (101,) recalls, at which `low` and `high` bound the precision; NaN where no
    band is defined. The area below the steps equals the average precision; of more than 2,000 steps neighbours are
    merged to their mean, which keeps the area. `prevalence` is the precision of a coin.
    """

    recall: Floats
    precision: Floats
    threshold: Floats
    grid: Floats
    low: Floats
    high: Floats
    prevalence: float


@dataclass(frozen=True, eq=False)
class Histogram(Plain):
    """How many images of each class have which probability: `edges` (k + 1,), `normal` and `abnormal` (k,) counts."""

    edges: Floats
    normal: NDArray[np.int64]
    abnormal: NDArray[np.int64]

    @classmethod
    def of(cls, label: NDArray[np.integer], probability: NDArray[np.floating], bins: int = 25) -> Histogram:
        """Count labels (n,) by probability (n,) in equal bins from 0 to 1."""
        edges = np.linspace(0.0, 1.0, bins + 1)
        normal, abnormal = (np.histogram(probability[label == k], edges)[0] for k in (0, 1))
        return cls(edges, normal.astype(np.int64), abnormal.astype(np.int64))


@dataclass(frozen=True, eq=False)
class Steps:
    """Images in falling probability; point k flags all at or above `threshold[k]`, point 0 (threshold +inf) none."""

    order: NDArray[np.intp]
    positive: NDArray[np.bool_]
    ends: NDArray[np.intp]
    threshold: Floats

    @classmethod
    def of(cls, label: NDArray[np.integer], probability: NDArray[np.floating]) -> Steps:
        """Rank labels (n,) 0 or 1 by probability (n,)."""
        order = np.argsort(-np.asarray(probability), kind="stable")
        ranked = np.asarray(probability, dtype=np.float64)[order]
        # Images of one probability enter together: a point stands at the end of each run of equals.
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), np.arange(len(ranked))[-1:])
        return cls(order, np.asarray(label)[order] == 1, ends, np.append(np.inf, ranked[ends]))

    def counts(self, weight: Weights) -> tuple[Floats, Floats]:
        """True and false positives (b, k) at each point, by weights (b, n)."""
        ranked = np.take(weight, self.order, axis=1)
        tp, flagged = np.zeros((2, len(weight), len(self.threshold)))
        tp[:, 1:] = np.take(np.cumsum(ranked * self.positive, axis=1), self.ends, axis=1)
        flagged[:, 1:] = np.take(np.cumsum(ranked, axis=1), self.ends, axis=1)
        return tp, flagged - tp


def roc_curve(label: NDArray[np.integer], probability: NDArray[np.floating], band: Floats | None = None) -> RocCurve:
    """The curve of labels (n,) 0 or 1 and probabilities (n,); `band` (2, 101) or None. Empty without both classes."""
    steps = Steps.of(label, probability)
    (tp,), (fp,) = steps.counts(np.ones((1, len(label))))
    low, high = np.full((2, len(GRID)), np.nan) if band is None else band
    if tp[-1] == 0 or fp[-1] == 0:
        return RocCurve(np.empty(0), np.empty(0), np.empty(0), GRID, low, high)
    keep = _corners(fp, tp)
    return RocCurve(fp[keep] / fp[-1], tp[keep] / tp[-1], steps.threshold[keep], GRID, low, high)


def _corners(fp: Floats, tp: Floats) -> NDArray[np.intp]:
    """Indices of the points where the line turns, thinned evenly along it to `MAX_POINTS`."""
    dx, dy = np.diff(fp), np.diff(tp)
    keep = np.flatnonzero(np.concatenate([[True], dx[1:] * dy[:-1] != dx[:-1] * dy[1:], [True]]))
    if len(keep) <= MAX_POINTS:
        return keep
    along = (fp / fp[-1] + tp / tp[-1])[keep]
    return keep[np.unique(np.searchsorted(along, np.linspace(0.0, along[-1], MAX_POINTS)))]


def precision_recall_curve(
    label: NDArray[np.integer], probability: NDArray[np.floating], band: Floats | None = None
) -> PrecisionRecallCurve:
    """The curve of labels (n,) 0 or 1 and probabilities (n,); `band` (2, 101) or None. Empty without the abnormal."""
    steps = Steps.of(label, probability)
    (tp,), (fp,) = steps.counts(np.ones((1, len(label))))
    low, high = np.full((2, len(GRID)), np.nan) if band is None else band
    prevalence = float(tp[-1] / len(label)) if len(label) else float("nan")
    if tp[-1] == 0:
        return PrecisionRecallCurve(np.empty(0), np.empty(0), np.empty(0), GRID, low, high, prevalence)
    gain = np.diff(tp)
    rising = np.flatnonzero(gain > 0)  # a step that finds no further abnormal image has no width
    first = np.arange(0, len(rising), -(-len(rising) // MAX_POINTS))
    last = rising[np.append(first[1:], len(rising)) - 1] + 1
    width = np.add.reduceat(gain[rising], first)
    area = np.add.reduceat((gain * tp[1:] / (tp[1:] + fp[1:]))[rising], first)
    precision, threshold = area / width, steps.threshold[last]
    return PrecisionRecallCurve(
        recall=np.append(0.0, tp[last] / tp[-1]),
        precision=np.append(precision[0], precision),
        threshold=np.append(threshold[0], threshold),
        grid=GRID,
        low=low,
        high=high,
        prevalence=prevalence,
    )


def curve_draws(label: NDArray[np.integer], probability: NDArray[np.floating]) -> Statistic:
    """The statistic whose resamples make the bands: `roc` (b, 101) true positive rates, `precision_recall` (b, 101)."""
    steps = Steps.of(label, probability)

    def statistic(weight: Weights) -> dict[str, Floats]:
        tp, fp = steps.counts(weight)
        roc, pr = np.full((2, len(weight), len(GRID)), np.nan)
        for b, (found, false) in enumerate(zip(tp, fp, strict=True)):
            if found[-1] == 0:
                continue
            # The first point whose recall reaches the grid's, and finds something; the slack is for rounding only.
            at = np.searchsorted(found, np.maximum(GRID * found[-1] - 1e-9, 1e-9))
            pr[b] = found[at] / (found[at] + false[at])
            if false[-1] > 0:
                roc[b] = np.interp(GRID * false[-1], false, found) / found[-1]
        return {"roc": roc, "precision_recall": pr}

    return statistic


def band(draws: Floats) -> Floats:
    """Pointwise percentile band (2, k) of resampled curves (n_resamples, k); NaN where too many are undefined."""
    defined = draws[~np.isnan(draws).any(axis=1)]
    if len(defined) == 0 or len(draws) - len(defined) > (1 - LEVEL) * len(draws):
        return np.full((2, draws.shape[1]), np.nan)
    return np.asarray(np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0))

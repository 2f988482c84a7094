"""Metrics of a binary reading, weighted and vectorised over resamples. The positive class is abnormal (1).

A statistic takes weights (b, n) and answers (b,): b resamples of n images at once. A decision is abnormal when the
probability is at or above the threshold. Ties are handled as scikit-learn does: images of one probability enter together.
Undefined is NaN, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import TableError
from cxreader.evaluation.statistics.intervals import Statistic, Weights

Floats = NDArray[np.float64]
METRIC_NAMES = ("auc", "average_precision", "accuracy", "precision", "recall", "specificity", "f1", "brier")
METRIC_TITLES = {
    "auc": "AUC",
    "average_precision": "Average precision",
    "accuracy": "Accuracy",
    "precision": "Precision (PPV)",
    "recall": "Recall (sensitivity)",
    "specificity": "Specificity",
    "f1": "F1",
    "brier": "Brier score",
}


@dataclass(frozen=True, eq=False)
class Confusion:
    """Weighted counts (b,): true and false positives, true and false negatives."""

    tp: Floats
    fp: Floats
    tn: Floats
    fn: Floats


def confusion(label: NDArray[np.integer], decision: NDArray[np.bool_]) -> dict[str, int]:
    """How many images (n,) are tp, fp, tn and fn; labels are 0 or 1, decisions bool, True where called abnormal."""
    counts = _outcomes(label, decision).sum(axis=0).astype(int).tolist()
    return dict(zip(("tp", "fp", "tn", "fn"), counts, strict=True))


def _outcomes(label: NDArray[np.integer], decision: NDArray[np.bool_]) -> Floats:
    """Indicator columns (n, 4): tp, fp, tn, fn."""
    y, d = np.asarray(label) == 1, np.asarray(decision, dtype=bool)
    return np.stack([y & d, ~y & d, ~y & ~d, y & ~d], axis=1).astype(np.float64)


def ratio(part: Floats, whole: Floats) -> Floats:
    """`part` by `whole`, arrays that broadcast; NaN where `whole` is not above 0."""
    found = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def accuracy(counts: Confusion) -> Floats:
    """Share of decisions that are right."""
    return ratio(counts.tp + counts.tn, counts.tp + counts.fp + counts.tn + counts.fn)


def precision(counts: Confusion) -> Floats:
    """Share of abnormal among those called abnormal (positive predictive value); NaN where nothing was called so."""
    return ratio(counts.tp, counts.tp + counts.fp)


def recall(counts: Confusion) -> Floats:
    """Share of the abnormal that were called abnormal (sensitivity); NaN without abnormal images."""
    return ratio(counts.tp, counts.tp + counts.fn)


def specificity(counts: Confusion) -> Floats:
    """Share of the normal that were called normal; NaN without normal images."""
    return ratio(counts.tn, counts.tn + counts.fp)


def f1(counts: Confusion) -> Floats:
    """Harmonic mean of precision and recall; NaN where nothing is abnormal and nothing was called so."""
    return ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Images ranked once from the most to the least abnormal, so that each resample is only cumulative sums.

    `positives` and `negatives` are image indices in that order. Run k holds the positives of one probability: it begins
    at `starts[k]`; `above[k]` negatives lie strictly above it, `at_least[k]` at or above it.
    """

    positives: NDArray[np.intp]
    negatives: NDArray[np.intp]
    starts: NDArray[np.intp]
    above: NDArray[np.intp]
    at_least: NDArray[np.intp]

    @classmethod
    def of(cls, label: NDArray[np.integer], probability: NDArray[np.floating]) -> Ranking:
        """Rank labels (n,) 0 or 1 and probabilities (n,); raises TableError when the lengths differ."""
        if len(label) != len(probability):
            raise TableError(f"{len(probability)} probabilities for {len(label)} labels", mend="give one an image")
        order = np.argsort(-np.asarray(probability), kind="stable")
        is_positive = np.asarray(label)[order] == 1
        positives, negatives = order[is_positive], order[~is_positive]
        values, starts = np.unique(-probability[positives], return_index=True)
        fall = -probability[negatives]
        return cls(positives, negatives, starts, np.searchsorted(fall, values), np.searchsorted(fall, values, "right"))

    def areas(self, weight: Weights) -> tuple[Floats, Floats]:
        """AUC (ties count one half; Hanley & McNeil 1982) and average precision (the step-wise sum), each (b,)."""
        negative = np.zeros((len(weight), len(self.negatives) + 1))
        negative[:, 1:] = _running(np.take(weight, self.negatives, axis=1))
        run = np.take(weight, self.positives, axis=1)
        if 0 < len(self.starts) < len(self.positives):
            run = np.add.reduceat(run, self.starts, axis=1)
        n_positive, n_negative = run.sum(axis=1), negative[:, -1]
        at_least = np.take(negative, self.at_least, axis=1)
        tied = not np.array_equal(self.above, self.at_least)
        above = np.take(negative, self.above, axis=1) if tied else at_least
        # A positive loses to the negatives above it, and half to those level with it.
        lost = (np.einsum("bk,bk->b", run, above) + np.einsum("bk,bk->b", run, at_least)) / 2
        found = _running(run)
        at_least += found
        np.maximum(at_least, np.finfo(np.float64).tiny, out=at_least)
        found /= at_least
        return 1 - ratio(lost, n_positive * n_negative), ratio(np.einsum("bk,bk->b", run, found), n_positive)


def _running(weight: Weights) -> Floats:
    """Cumulative sums (b, k) along each row. Whole weights, as resamples have them, are added as integers: much faster."""
    whole = weight.astype(np.int64)
    if not np.array_equal(whole, weight):
        return np.cumsum(weight, axis=1)
    return np.cumsum(whole, axis=1, out=whole).astype(np.float64)


def all_metrics(
    label: NDArray[np.integer], probability: NDArray[np.floating], threshold: float | None = None
) -> Statistic:
    """The statistic that gives every metric of `METRIC_NAMES` at once; those of the threshold only when one is given.

    The ranking is sorted here, once; the statistic then costs a few passes over each block of weights.
    """
    ranking = Ranking.of(label, probability)
    squared = np.square(probability - label)[:, None]
    decision = probability >= (np.inf if threshold is None else threshold)
    columns = np.ascontiguousarray(np.hstack([_outcomes(label, decision), squared]))

    def statistic(weight: Weights) -> dict[str, Floats]:
        area, average = ranking.areas(weight)
        *outcomes, error = (weight @ columns).T
        counts = Confusion(*outcomes)
        whole = counts.tp + counts.fp + counts.tn + counts.fn
        values = {"auc": area, "average_precision": average, "brier": ratio(error, whole)}
        if threshold is None:
            return values
        rates = (accuracy, precision, recall, specificity, f1)
        values |= {rate.__name__: rate(counts) for rate in rates}
        return {name: values[name] for name in METRIC_NAMES}

    return statistic


def undefined_reasons(label: NDArray[np.integer]) -> dict[str, str]:
    """Why each metric would be undefined on the whole sample, in words, for those that can be."""
    if len(label) == 0:
        return dict.fromkeys(METRIC_NAMES, "no image")
    has_abnormal = bool(np.any(label == 1))
    missing = "no normal image" if has_abnormal else "no abnormal image"
    return {
        "auc": missing,
        "average_precision": "no abnormal image",
        "recall": "no abnormal image",
        "specificity": "no normal image",
        "precision": "no image was called abnormal",
        "f1": "no image is abnormal and none was called so",
    }

"""How sure a single reading is: inductive Venn-Abers prediction.

Add the new image to `calibrate`, once as normal and once as abnormal; fit isotonic regression to both; what the two say
of the new image is the pair (p0, p1). Whatever the model, if the images are exchangeable with those of `calibrate`, the
one of the two that belongs to the true label is a perfectly calibrated probability (V. Vovk & I. Petej, Venn-Abers
predictors, UAI 2014, 829-838). Another hospital or prevalence breaks that, and several images of one patient weaken it.
The pair is an interval for the probability, not a confidence interval with a level; it is narrow where `calibrate` holds
many images of like scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain, in_words
from cxreader.errors import DataError, TableError
from cxreader.evaluation.calibration.calibrators import checked_scores
from cxreader.evaluation.calibration.temperature import refuse_one_class

Floats = NDArray[np.float64]
Point = tuple[int, int]
_MEND = "fit it again on the calibrate part"


@dataclass(frozen=True)
class VennAbers(Plain):
    """The pair as two rising step functions of the score, which hold only their distinct steps.

    `p0[i]` holds from `p0_from[i - 1]` (included) up to `p0_from[i]`; `p1[i]` above `p1_to[i - 1]` up to `p1_to[i]`
    (included). Each list of probabilities has one entry more than its list of scores: below all scores of `calibrate` p0
    is 0, above all p1 is 1. Raises DataError when lengths, order or range do not fit.
    """

    p0_from: tuple[float, ...]
    p0: tuple[float, ...]
    p1_to: tuple[float, ...]
    p1: tuple[float, ...]
    n_positive: int
    n_negative: int

    def __post_init__(self) -> None:
        for scores, values in ((self.p0_from, self.p0), (self.p1_to, self.p1)):
            if len(values) != len(scores) + 1:
                raise DataError(f"{len(values)} steps between {len(scores)} scores of Venn-Abers", mend=_MEND)
            bounded = values[0] >= 0 and values[-1] <= 1
            if not (bounded and _rises(scores) and _rises(values)):
                raise DataError("the steps of Venn-Abers do not rise from 0 to 1", mend=_MEND)

    def apply(self, score: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """The pair for scores (n,): p0 and p1, each (n,), 0 <= p0 < p1 <= 1. Raises TableError if not finite."""
        scores = checked_scores(score)
        lower = np.asarray(self.p0)[np.searchsorted(self.p0_from, scores, side="right")]
        upper = np.asarray(self.p1)[np.searchsorted(self.p1_to, scores, side="left")]
        return lower, upper

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, exactly. Raises DataError for fields that do not fit."""
        try:
            return super().from_dict(values)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"is no Venn-Abers record ({in_words(error)})", mend=_MEND) from None


def fit_venn_abers(score: NDArray[np.floating], label: NDArray[np.integer]) -> VennAbers:
    """Both step functions from the scores (k,) and labels (k,) 0 or 1 of `calibrate`, in O(k log k).

    The score is the logit of abnormal minus that of normal, or anything that rises with it. The algorithm is that of V.
    Vovk, I. Petej & V. Fedorova, Large-scale probabilistic predictors with and without guarantees of validity, NeurIPS
    2015, algorithms 1 to 4, in whole numbers: ties of scores are exact. A reading then costs one search.
    Raises TableError for other lengths or scores that are not finite, DataError when a class is missing.
    """
    scores = checked_scores(score)
    if len(scores) != len(label):
        raise TableError(f"{len(label)} labels for {len(scores)} scores", mend="give one label an image")
    refuse_one_class(label)
    positive = np.asarray(label) == 1
    values, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    abnormal = np.bincount(index[positive], minlength=len(values))
    upper = np.append(_with_one_more(counts, abnormal), 1.0)
    # Seen from the other side: normal for abnormal, and scores that fall.
    lower = np.append(0.0, 1 - _with_one_more(counts[::-1], (counts - abnormal)[::-1])[::-1])
    starts, ends = np.flatnonzero(np.diff(lower)), np.flatnonzero(np.diff(upper))
    return VennAbers(
        p0_from=tuple(values[starts].tolist()),
        p0=tuple(lower[np.append(0, starts + 1)].tolist()),
        p1_to=tuple(values[ends].tolist()),
        p1=tuple(upper[np.append(ends, len(values))].tolist()),
        n_positive=int(positive.sum()),
        n_negative=int((~positive).sum()),
    )


def _with_one_more(counts: NDArray[np.integer], abnormal: NDArray[np.integer]) -> Floats:
    """Isotonic regression's value (k,) at each distinct score, were one more abnormal image there or just below.

    `counts` (k,) images and `abnormal` (k,) among them, in rising score. The value is the slope, at the added image, of
    the greatest convex minorant of the cumulative sum diagram; the added image moves through the diagram from below, and
    the stack holds the corners from it on.
    """
    points: list[Point] = [(-1, -1), (0, 0)]
    points += zip(np.cumsum(counts).tolist(), np.cumsum(abnormal).tolist(), strict=True)
    corners: list[Point] = []
    for point in reversed(points):
        _push(corners, point)
    values = np.empty(len(counts))
    before = points[0]
    for i in range(len(counts)):
        (x, y), (next_x, next_y) = corners[-1], corners[-2]
        values[i] = (next_y - y) / (next_x - x)
        (x, y), (next_x, next_y) = points[i + 1], points[i + 2]
        before = (before[0] + next_x - x, before[1] + next_y - y)
        if _turn(corners[-1], before, corners[-2]) > 0:
            corners.pop()
            _push(corners, before)
    return values


def _push(corners: list[Point], point: Point) -> None:
    """Put a point to the left of all on the stack; corners that no longer bend the minorant upwards go."""
    while len(corners) > 1 and _turn(point, corners[-1], corners[-2]) <= 0:
        corners.pop()
    corners.append(point)


def _turn(a: Point, b: Point, c: Point) -> int:
    """Above 0 where the way a, b, c turns left (b lies below the line from a to c), 0 where it is straight."""
    return (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])


def _rises(values: tuple[float, ...]) -> bool:
    return all(a < b for a, b in pairwise(values))

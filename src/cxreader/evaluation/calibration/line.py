"""Are the probabilities too bold, too timid or shifted: calibration slope and intercept.

The label is regressed on the log odds of the probability (D. R. Cox, Two further applications of a model for binary
regression, Biometrika 45, 1958, 562-565; E. W. Steyerberg, Clinical Prediction Models, 2nd ed. 2019, chapter 15).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from cxreader.codec import Plain
from cxreader.errors import TableError
from cxreader.evaluation.statistics.intervals import Estimate, Statistic, Weights
from cxreader.evaluation.statistics.logistic import fit_logistic

Floats = NDArray[np.float64]
LINE_NAMES = ("slope", "intercept", "intercept_at_slope")
BOUND = 1e-6
"""Probabilities are held this far from 0 and from 1, where log odds would be infinite."""


@dataclass(frozen=True, slots=True)
class CalibrationLine(Plain):
    """The regression of the label on the log odds of the probability; natural logarithms throughout.

    `slope`: 1 is ideal, below 1 the probabilities are too extreme, above 1 too timid, below 0 they point the wrong way.
    `intercept`: with the slope held at 1, calibration in the large: 0 is ideal, above 0 abnormal images are commoner than
    the probabilities say, by that many log odds. `intercept_at_slope` belongs to the fitted slope, and only the two
    together draw the line: P(abnormal) = sigmoid(intercept_at_slope + slope * log odds of the probability). `bounded`
    images had a probability nearer to 0 or 1 than `BOUND`, and were taken to have that one: a few that are sure and wrong
    flatten the slope, by how much depends on the bound.
    """

    slope: Estimate
    intercept: Estimate
    intercept_at_slope: Estimate
    bounded: int = 0


def n_bounded(probability: NDArray[np.floating]) -> int:
    """How many probabilities (n,) lie nearer to 0 or 1 than `BOUND`."""
    return int(np.count_nonzero(_bounded(probability) != probability))


def _bounded(probability: NDArray[np.floating]) -> Floats:
    return np.clip(np.asarray(probability, dtype=np.float64), BOUND, 1 - BOUND)


def line_statistic(label: NDArray[np.integer], probability: NDArray[np.floating]) -> Statistic:
    """The statistic (b,) of each of `LINE_NAMES` over resamples, for labels (n,) 0 or 1 and probabilities (n,).

    Probabilities are held `BOUND` away from 0 and 1. NaN where the likelihood has no single maximum: a class is missing, or
    the probabilities of the classes do not overlap, so that the best slope is infinite (Albert & Anderson 1984; for the
    slopes only). Raises TableError when the lengths differ.
    """
    if len(label) != len(probability):
        raise TableError(f"{len(probability)} probabilities for {len(label)} labels", mend="give one an image")
    regression = _Regression.of(label, probability)
    line, large = np.array([0.0, 1.0]), np.zeros(1)
    on_all = regression.fit(np.ones((1, len(label))), line, large)
    # A resample lies near the whole sample: from there two or three steps do.
    if np.isfinite(on_all["slope"][0]):
        line = np.append(on_all["intercept_at_slope"], on_all["slope"])
    if np.isfinite(on_all["intercept"][0]):
        large = on_all["intercept"]
    return lambda weight: regression.fit(weight, line, large)


@dataclass(frozen=True, eq=False)
class _Regression:
    """Labels `target` (n,) and finite `log_odds` (n,)."""

    target: Floats
    log_odds: Floats
    overlap: _Overlap

    @classmethod
    def of(cls, label: NDArray[np.integer], probability: NDArray[np.floating]) -> _Regression:
        positive = np.asarray(label) == 1
        log_odds: Floats = logit(_bounded(probability))
        return cls(positive.astype(np.float64), log_odds, _Overlap.of(positive, log_odds))

    def fit(self, weight: Weights, line_start: Floats, large_start: Floats) -> dict[str, Floats]:
        n = len(self.target)
        line, large = np.full((len(weight), 2), np.nan), np.full((len(weight), 1), np.nan)
        both, crossing = self.overlap.found(weight)
        ones = np.ones((n, 1))
        design = np.hstack([ones, self.log_odds[:, None]])
        line[crossing] = fit_logistic(
            design, self.target, _rows(weight, crossing), offset=np.zeros(n), start=line_start
        )
        large[both] = fit_logistic(ones, self.target, _rows(weight, both), offset=self.log_odds, start=large_start)
        return {"slope": line[:, 1], "intercept": large[:, 0], "intercept_at_slope": line[:, 0]}


def _rows(weight: Weights, keep: NDArray[np.bool_]) -> Weights:
    return weight if keep.all() else weight[keep]


@dataclass(frozen=True, eq=False)
class _Overlap:
    """The abnormal and the normal images, each as indices and values in rising log odds."""

    abnormal: NDArray[np.intp]
    normal: NDArray[np.intp]
    log_odds: Floats

    @classmethod
    def of(cls, positive: NDArray[np.bool_], log_odds: Floats) -> _Overlap:
        order = np.argsort(log_odds, kind="stable")
        return cls(order[positive[order]], order[~positive[order]], log_odds)

    def found(self, weight: Weights) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which resamples (b,) hold both classes, and in which the classes overlap on both sides as well."""
        if len(self.abnormal) == 0 or len(self.normal) == 0:
            none = np.zeros(len(weight), dtype=bool)
            return none, none
        some_abnormal, low_abnormal, high_abnormal = self._ends(weight, self.abnormal)
        some_normal, low_normal, high_normal = self._ends(weight, self.normal)
        both = some_abnormal & some_normal
        return both, both & (high_normal > low_abnormal) & (high_abnormal > low_normal)

    def _ends(self, weight: Weights, ranked: NDArray[np.intp]) -> tuple[NDArray[np.bool_], Floats, Floats]:
        """Of one class: is any image drawn (b,), and the lowest and highest log odds drawn, each (b,)."""
        drawn: NDArray[np.bool_] = np.take(weight, ranked, axis=1) > 0
        last = len(ranked) - 1 - drawn[:, ::-1].argmax(axis=1)
        values = self.log_odds[ranked]
        return np.asarray(drawn.any(axis=1)), values[drawn.argmax(axis=1)], values[last]


def line_reasons(label: NDArray[np.integer], probability: NDArray[np.floating]) -> dict[str, str]:
    """Why each of `LINE_NAMES` would be undefined on the whole sample, in words."""
    positive, p = np.asarray(label) == 1, _bounded(probability)
    if len(p) == 0:
        return dict.fromkeys(LINE_NAMES, "no image")
    if positive.all() or not positive.any():
        return dict.fromkeys(LINE_NAMES, "no normal image" if positive.all() else "no abnormal image")
    reasons = dict.fromkeys(LINE_NAMES, "the fit did not settle")
    if p.min() == p.max():
        why = "every image has the same probability: a line needs two"
    elif p[positive].min() >= p[~positive].max() or p[positive].max() <= p[~positive].min():
        why = "the probabilities separate the classes perfectly: the slope has no finite value"
    else:
        return reasons
    return reasons | {"slope": why, "intercept_at_slope": why}

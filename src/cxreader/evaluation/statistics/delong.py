"""How sure an AUC is without resampling: DeLong's variance, by patient, and the difference of two on the same images.

E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson (Biometrics 44, 1988, 837-845), extended to several images of a
patient by N. A. Obuchowski (Biometrics 53, 1997, 567-578). Each abnormal image is placed by the share of normal images
ranked below it, each normal image by the share of abnormal ones above it, ties counting one half. X. Sun and W. Xu (IEEE
Signal Processing Letters 21, 2014, 1389-1393) take these placements from midranks in n log n; the searches in sorted
scores used here give the same at the same cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from cxreader.errors import TableError
from cxreader.evaluation.statistics.hypothesis_tests import HypothesisTest
from cxreader.evaluation.statistics.intervals import LEVEL, Estimate, Sample, numbered
from cxreader.evaluation.statistics.metrics import undefined_reasons

Floats = NDArray[np.float64]
# A standard error below it is rounding; no sample has one so small and not 0.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Placements:
    """The AUCs of k models on one sample, and the structural components of its g patients (DeLong et al. 1988).

    `auc` (k,) in [0, 1], NaN without both classes. `positive` and `negative` (g, k): a patient's sum, over its abnormal and over
    its normal images, of placement less AUC, divided by the images of that class in the sample. Without patients each
    image is its own.
    """

    sample: Sample
    auc: Floats
    positive: Floats
    negative: Floats

    @classmethod
    def of(cls, sample: Sample, scores: NDArray[np.floating]) -> Placements:
        """Place scores (k, n), higher for more abnormal, of any scale; raises TableError for shape and for NaN."""
        values = np.atleast_2d(np.asarray(scores, dtype=np.float64))
        if values.shape[1] != len(sample.label):
            what = f"{values.shape[1]} scores for {len(sample.label)} labels"
            raise TableError(what, mend="give one an image, in the sample's order")
        if np.isnan(values).any():
            raise TableError("a score is no number (NaN)", mend="leave the image out for every model")
        index, n_groups = numbered(sample.groups)
        is_positive = np.asarray(sample.label) == 1
        auc = np.full(len(values), np.nan)
        positive, negative = np.full((2, n_groups, len(values)), np.nan)
        if is_positive.any() and not is_positive.all():
            for k, score in enumerate(values):
                above, below = _placements(score[is_positive], score[~is_positive])
                auc[k] = above.mean()
                positive[:, k] = np.bincount(index[is_positive], (above - auc[k]) / len(above), n_groups)
                negative[:, k] = np.bincount(index[~is_positive], (below - auc[k]) / len(below), n_groups)
        return cls(sample, auc, positive, negative)

    def variance(self, contrast: NDArray[np.floating]) -> float:
        """Obuchowski's variance of a weighted sum (k,) of the AUCs; NaN with fewer than two patients of a class.

        Her factors are kept: I/(I - 1) over the patients with an abnormal image, with a normal one, and over all for
        the covariance of the two. With one image a patient the last is 0 and the others are DeLong's: the variance is
        then DeLong's exactly.
        """
        one, other = self.positive @ contrast, self.negative @ contrast
        with_positive, with_negative = self._patients(1), self._patients(0)
        if min(with_positive, with_negative) < 2:
            return float("nan")
        spread = _factor(with_positive) * (one @ one) + _factor(with_negative) * (other @ other)
        return max(0.0, float(spread + 2 * _factor(len(one)) * (one @ other)))  # below 0 by rounding only

    def covariance(self) -> Floats:
        """(k, k) of the AUCs, with the factors of `variance`; NaN with fewer than two patients of a class."""
        with_positive, with_negative = self._patients(1), self._patients(0)
        if min(with_positive, with_negative) < 2:
            return np.full((len(self.auc),) * 2, np.nan)
        across = _factor(len(self.positive)) * self.positive.T @ self.negative
        spread = _factor(with_positive) * self.positive.T @ self.positive
        return np.asarray(spread + _factor(with_negative) * self.negative.T @ self.negative + across + across.T)

    def estimate(self, k: int = 0) -> Estimate:
        """AUC of model k with its Wald interval, clipped to [0, 1]."""
        return self._estimate(self._weights(k), 0.0)

    def difference(self, first: int, second: int) -> tuple[Estimate, HypothesisTest]:
        """AUC of model `first` minus `second` with its Wald interval, and the two-sided z test that it is 0.

        Undefined, with the reason, as in `auc_delong`, and where no patient is placed otherwise by the one than by the other.
        """
        contrast = self._weights(first) - self._weights(second)
        estimate = self._estimate(contrast, -1.0)
        z = float("nan") if estimate.reason else estimate.value / float(np.sqrt(self.variance(contrast)))
        method = f"{self._method}, z test of the difference of two AUCs on the same images"
        test = HypothesisTest.on(self.sample, "DeLong", z, float(2 * ndtr(-abs(z))), method, reason=estimate.reason)
        return estimate, test

    def _estimate(self, contrast: Floats, least: float) -> Estimate:
        value = float(self.auc @ contrast)
        error = float(np.sqrt(self.variance(contrast)))
        reason = self._reason(error, contrast)
        low, high = float("nan"), float("nan")
        if reason is None:
            half = float(ndtri((1 + LEVEL) / 2)) * error
            low, high = max(least, value - half), min(1.0, value + half)
        method = f"{self._method}, Wald, clipped to {least:g} to 1"
        counts = self.sample.n_positive, self.sample.n_negative, self.sample.n_patients
        return Estimate(value, low, high, *counts, method, reason)

    def _reason(self, error: float, contrast: Floats) -> str | None:
        """Why there is no interval, or None where there is one."""
        if np.isnan(self.auc).any():
            return undefined_reasons(self.sample.label)["auc"]
        who = "patient with {} images" if self.sample.patients_known else "{} image"
        for value, name in ((1, "abnormal"), (0, "normal")):
            if self._patients(value) < 2:
                return f"only one {who.format(name)}: no spread to measure"
        if error > _ROUNDING:
            return None
        alike = "every patient is placed alike" if np.count_nonzero(contrast) == 1 else "no patient tells them apart"
        return f"the variance is 0, which bounds nothing: {alike}"

    def _weights(self, k: int) -> Floats:
        weights = np.zeros(len(self.auc))
        weights[k] = 1.0
        return weights

    def _patients(self, label: int) -> int:
        return len(np.unique(self.sample.groups[self.sample.label == label]))

    @property
    def _method(self) -> str:
        if not self.sample.patients_known:
            return "DeLong by image: no patient known"
        one_each = self.sample.n_groups == len(self.sample.label)
        return "DeLong, one image a patient" if one_each else "DeLong clustered by patient (Obuchowski 1997)"


def _placements(positive: Floats, negative: Floats) -> tuple[Floats, Floats]:
    """For each abnormal score the share of normal ones below it, for each normal the share of abnormal ones above it."""
    rising_negative, rising_positive = np.sort(negative), np.sort(positive)
    below, at_most = (np.searchsorted(rising_negative, positive, side) for side in ("left", "right"))
    under, not_above = (np.searchsorted(rising_positive, negative, side) for side in ("left", "right"))
    return (below + at_most) / (2 * len(negative)), 1 - (under + not_above) / (2 * len(positive))


def _factor(n: int) -> float:
    return n / (n - 1)


def auc_delong(sample: Sample, score: NDArray[np.floating]) -> Estimate:
    """AUC of scores (n,) with DeLong's interval, clustered by the sample's patients (Obuchowski 1997).

    The Wald interval is clipped to [0, 1], as the R package pROC prints it. One class, one patient of a class, and a
    variance of 0 (an AUC of 1, or one score for all) give no interval, with the reason. Raises TableError for another
    length and for NaN.
    """
    return Placements.of(sample, score).estimate()

"""Would other readers, on other patients, do the same: multi-reader multi-case analysis by Obuchowski and Rockette.

N. A. Obuchowski and H. E. Rockette, Communications in Statistics: Simulation and Computation 24, 1995, 285-308; degrees of
freedom by S. L. Hillis, Statistics in Medicine 26, 2007, 596-619. Readers and patients are both drawn at random, so that a
result speaks of readers and patients like these ("random readers"), or the readers are these alone ("fixed readers").
Covariances come from the jackknife by patient, which leaves one patient out in turn. Readers against one model: the
analysis of a single modality, whose figures are the readers' differences from the model (S. L. Hillis, N. A. Obuchowski and
K. S. Berbaum, Academic Radiology 18, 2011, 129-142; D. P. Chakraborty, Observer Performance Methods for Diagnostic
Imaging, 2017, chapter on standalone CAD).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cxreader.errors import DataError
from cxreader.evaluation.statistics.bca import jackknife_weights
from cxreader.evaluation.statistics.intervals import LEVEL, Weights

Floats = NDArray[np.float64]
Figures = Callable[[Weights], Floats]
"""Weights (b, n) -> figures of merit (b, k), one a reader and modality."""


@dataclass(frozen=True, slots=True)
class WaldTest:
    """A `value` that would be 0, with its standard error, interval, `statistic` (t, or z where `df` is infinite) and p."""

    value: float
    error: float
    low: float
    high: float
    statistic: float
    df: float
    p_value: float

    @classmethod
    def of(cls, value: float, error: float, df: float) -> WaldTest:
        """Two-sided; NaN where there is no spread, or no degree of freedom."""
        if not (error > 0 and df > 0):
            nan = float("nan")
            return cls(value, error, nan, nan, nan, df, nan)
        half = float(stats.t.ppf((1 + LEVEL) / 2, df)) * error
        p = 2 * float(stats.t.sf(abs(value / error), df))
        return cls(value, error, value - half, value + half, value / error, df, p)


@dataclass(frozen=True, eq=False)
class ModalityAnalysis:
    """Figures (m, r) of r readers under m modalities, judged.

    `means` (m,): each modality's with its interval. `f`, `df`, `p_value`: of "all modalities are alike", random readers; `df`
    of the numerator and of the denominator. `random` and `fixed`: the differences of every two modalities (first minus
    second), in the order of `pairs`.
    """

    means: tuple[WaldTest, ...]
    f: float
    df: tuple[float, float]
    p_value: float
    pairs: tuple[tuple[int, int], ...]
    random: tuple[WaldTest, ...]
    fixed: tuple[WaldTest, ...]


def jackknife_covariance(figures: Figures, groups: NDArray[np.integer], *, seed: int = 0) -> tuple[Floats, Floats]:
    """The figures (k,) on all images and their covariance (k, k), by leaving out each patient of `groups` (n,) in turn.

    (g - 1) / g times the sum of squares about the mean (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
    chapter 11). Raises DataError where a figure is undefined without one of the patients.
    """
    whole = figures(np.ones((1, len(groups))))[0]
    left_out = np.concatenate([figures(weight) for weight in jackknife_weights(groups, seed)])
    if np.isnan(whole).any() or np.isnan(left_out).any():
        raise DataError(
            "a reader's figure is undefined where a patient is left out", mend="read more patients of each class"
        )
    return whole, covariance_left_out(left_out)


def covariance_left_out(left_out: Floats) -> Floats:
    """The covariance (k, k) of k figures by the jackknife: `left_out` (g, k), each patient left out in turn."""
    apart = left_out - left_out.mean(axis=0)
    return np.asarray((len(left_out) - 1) / len(left_out) * apart.T @ apart)


def analyse_modalities(figures: Floats, covariance: Floats) -> ModalityAnalysis:
    """Figures (m, r) and their covariance (m * r, m * r), modality by modality, as `jackknife_covariance` gives it.

    Raises DataError for fewer than two modalities or two readers.
    """
    m, r = figures.shape
    if m < 2 or r < 2:
        what = f"{m} modalities and {r} readers"
        raise DataError(what, mend="random readers are compared by at least two readers under two modalities")
    variance, cov1, cov2, cov3 = _components(covariance.reshape(m, r, m, r))
    means = figures.mean(axis=1)
    apart = figures - means[:, None] - figures.mean(axis=0) + figures.mean()
    between = r * float(np.square(means - means.mean()).sum()) / (m - 1)
    together = float(np.square(apart).sum()) / ((m - 1) * (r - 1))
    noise = together + max(r * (cov2 - cov3), 0.0)
    df = noise**2 / (together**2 / ((m - 1) * (r - 1))) if together > 0 else float("inf")
    f = between / noise if noise > 0 else float("nan")
    pairs = tuple((i, j) for i in range(m) for j in range(i + 1, m))
    alone = variance - cov1 + (r - 1) * max(cov2 - cov3, 0.0)
    blocks = covariance.reshape(m, r, m, r)
    return ModalityAnalysis(
        means=tuple(analyse_readers(figures[k], blocks[k, :, k, :])[0] for k in range(m)),
        f=f,
        df=(float(m - 1), df),
        p_value=float(stats.f.sf(f, m - 1, df)) if np.isfinite(df) else float(stats.chi2.sf(f * (m - 1), m - 1)),
        pairs=pairs,
        random=tuple(WaldTest.of(float(means[i] - means[j]), float(np.sqrt(2 * noise / r)), df) for i, j in pairs),
        fixed=tuple(
            WaldTest.of(float(means[i] - means[j]), float(np.sqrt(max(0.0, 2 * alone / r))), float("inf"))
            for i, j in pairs
        ),
    )


def analyse_readers(figures: Floats, covariance: Floats) -> tuple[WaldTest, WaldTest]:
    """The mean of figures (r,) under one modality against 0: random readers, fixed readers. `covariance` (r, r).

    Of the readers' differences from a model, it is the comparison of readers with that model. Raises DataError for one reader.
    """
    r = len(figures)
    if r < 2:
        raise DataError("one reader says nothing of other readers", mend="random readers need at least two")
    variance = float(np.trace(covariance)) / r
    cov2 = float(covariance.sum() - np.trace(covariance)) / (r * (r - 1))
    spread = float(np.var(figures, ddof=1))
    noise = spread + max(r * cov2, 0.0)
    df = noise**2 / (spread**2 / (r - 1)) if spread > 0 else float("inf")
    mean = float(figures.mean())
    fixed = max(0.0, variance + (r - 1) * max(cov2, 0.0))
    return (
        WaldTest.of(mean, float(np.sqrt(noise / r)), df),
        WaldTest.of(mean, float(np.sqrt(fixed / r)), float("inf")),
    )


def _components(blocks: Floats) -> tuple[float, float, float, float]:
    """Means of the covariances (m, r, m, r): of one figure, of one reader, of one modality, and of neither."""
    m, r = blocks.shape[:2]
    same_modality = np.eye(m, dtype=bool)[:, None, :, None]
    same_reader = np.eye(r, dtype=bool)[None, :, None, :]
    kinds = (same_modality & same_reader, ~same_modality & same_reader, same_modality & ~same_reader)
    found = [float(blocks[np.broadcast_to(kind, blocks.shape)].mean()) for kind in kinds]
    neither = np.broadcast_to(~same_modality & ~same_reader, blocks.shape)
    return found[0], found[1], found[2], float(blocks[neither].mean())

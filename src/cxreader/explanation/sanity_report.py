"""Likeness of two heat maps (rank correlation, SSIM), and the record of the randomisation test. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from cxreader.codec import Plain
from cxreader.errors import DataError
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Weights, bootstrap
from cxreader.explanation.boxes import Floats
from cxreader.explanation.localisation import stretched
from cxreader.explanation.map_scores import is_flat

SIGMA, RADIUS = 1.5, 5
"""The window of SSIM: a Gaussian, 11 pixels wide."""
_C1, _C2 = 0.01**2, 0.03**2
INSENSITIVE = 0.5
"""Mean rank correlation, from which on maps of wholly random weights count as too like the model's own: our choice."""
SSIM_SIDE = 64
"""Side in pixels to which maps are stretched for SSIM."""


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's rank correlation of two maps of one shape, over their pixels; NaN where one of them is flat."""
    if is_flat(one) or is_flat(other):
        return float("nan")
    return float(stats.spearmanr(one.ravel(), other.ravel()).statistic)


def ssim(one: Floats, other: Floats) -> float:
    """Mean structural similarity of two maps (H, W) of values in [0, 1], in [-1, 1] (Wang et al., IEEE TIP 2004).

    Gaussian window of 11 x 11 pixels, deviation 1.5, K1 0.01, K2 0.03, over the pixels whose window lies inside. Raises
    DataError for maps of different shapes or smaller than the window.
    """
    if one.shape != other.shape or min(one.shape) <= 2 * RADIUS:
        what = f"maps of shapes {one.shape} and {other.shape} have no SSIM"
        raise DataError(what, mend=f"give two of one shape, at least {2 * RADIUS + 1} pixels wide and high")

    def windowed(values: Floats) -> Floats:
        smooth = ndimage.gaussian_filter(values, SIGMA, radius=RADIUS)
        return np.asarray(smooth[RADIUS:-RADIUS, RADIUS:-RADIUS])

    a, b = windowed(one), windowed(other)
    va, vb, cov = (
        windowed(p * q) - u * v for p, q, u, v in ((one, one, a, a), (other, other, b, b), (one, other, a, b))
    )
    similar = (2 * a * b + _C1) * (2 * cov + _C2) / ((a * a + b * b + _C1) * (va + vb + _C2))
    return float(similar.mean())


@dataclass(frozen=True, eq=False)
class SanityStage(Plain):
    """Likeness of the maps to the model's own when `stage` and all behind it are random: means over images, in [-1, 1].

    `flat` counts images whose map has one value everywhere now: they have no rank correlation, and their SSIM is a zero map's.
    """

    stage: str
    rank_correlation: Estimate
    ssim: Estimate
    flat: int


@dataclass(frozen=True, eq=False)
class SanityReport(Plain):
    """The randomisation test (Adebayo et al., NeurIPS 2018): `stages` from the head to the first, each adding to the last.

    `images` were given; on `flat` of them the model's own map is flat, and they are left out. `side`: of the maps for
    SSIM, in pixels. `seed`: of the random weights.
    """

    stages: tuple[SanityStage, ...]
    images: int
    flat: int
    side: int
    seed: int

    @property
    def verdict(self) -> Literal["sensitive", "insensitive", "undefined"]:
        """`insensitive` when the mean rank correlation at wholly random weights is `INSENSITIVE` or more.

        `undefined` when the model's own map is flat in every image.
        """
        last = self.stages[-1]
        if np.isnan(last.ssim.value):
            return "undefined"
        # A map that is flat for random weights in every image has changed as much as it can.
        return "insensitive" if last.rank_correlation.value >= INSENSITIVE else "sensitive"

    def statement(self) -> str:
        """The verdict in one sentence for people."""
        last = self.stages[-1].rank_correlation
        correlation = (
            "undefined, as a map of each pair is flat"
            if np.isnan(last.value)
            else f"{last.value:.2f} ({last.interval})"
        )
        means = {
            "sensitive": "the maps depend on what the model learnt",
            "insensitive": "the maps hardly depend on what the model learnt: do not read them as its reasons",
            "undefined": "nothing can be said, the model's own maps are flat",
        }[self.verdict]
        return f"With all weights random, the maps' rank correlation with the model's own is {correlation}: {means}."


def sanity_report(
    own: NDArray[np.floating],
    randomised: Sequence[tuple[str, NDArray[np.floating]]],
    sample: Sample,
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> SanityReport:
    """Compare a model's own raw maps (n, h, w) with those after each randomised stage, image by image.

    Rank correlations are of the raw maps; for SSIM each map is divided by its maximum and stretched to `SSIM_SIDE` pixels.
    `sample` has a row an image: whose patients are resampled. Raises DataError for no image, no stage and shapes that differ.
    """
    shapes = {own.shape, *(maps.shape for _, maps in randomised)}
    if len(shapes) > 1 or own.ndim != 3 or len(own) == 0 or len(own) != len(sample.label) or not randomised:
        what = f"maps of shapes {sorted(map(str, shapes))} for {len(sample.label)} images and {len(randomised)} stages"
        raise DataError(what, mend="give one (h, w) map an image for each stage")
    stages = [_stage(name, own, maps, sample, n_resamples) for name, maps in randomised]
    return SanityReport(tuple(stages), len(own), sum(map(is_flat, own)), SSIM_SIDE, seed)


def _stage(
    name: str, own: NDArray[np.floating], maps: NDArray[np.floating], sample: Sample, n_resamples: int
) -> SanityStage:
    pairs = zip(own.astype(np.float64), maps.astype(np.float64), strict=True)
    alike = np.array([_alike(one, other) for one, other in pairs])
    defined = ~np.isnan(alike)
    values = np.where(defined, alike, 0.0)

    def statistic(weight: Weights) -> dict[str, Floats]:
        sums, counts = weight @ values, weight @ defined.astype(np.float64)
        means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
        return {"rank_correlation": means[:, 0], "ssim": means[:, 1]}

    reasons = {
        "rank_correlation": "in no image are both maps other than flat",
        "ssim": "the model's own map is flat in every image",
    }
    found = bootstrap(statistic, sample, n_resamples=n_resamples, reasons=reasons)
    return SanityStage(name, found["rank_correlation"], found["ssim"], sum(map(is_flat, maps)))


def _alike(own: Floats, other: Floats) -> tuple[float, float]:
    """Rank correlation and SSIM of an image's two maps; both NaN where the model's own is flat."""
    if is_flat(own):
        return float("nan"), float("nan")
    return rank_correlation(own, other), ssim(_shown(own), _shown(other))


def _shown(raw: Floats) -> Floats:
    """A map on `SSIM_SIDE` pixels a side, its maximum at 1; a flat one is 0 everywhere."""
    return np.zeros((SSIM_SIDE, SSIM_SIDE)) if is_flat(raw) else stretched(raw / raw.max(), SSIM_SIDE)

"""Do the probabilities come true: the reliability diagram, its expected calibration error, and the Brier score apart.

Images are put into bins of equal mass by their probability; in each, the mean probability is held against the share
that is abnormal. The bins are those of the whole sample and stay as they are in every resample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import TableError
from cxreader.evaluation.statistics.exact import bounded_share
from cxreader.evaluation.statistics.intervals import Estimate, Sample, Statistic, Weights, estimates

Floats = NDArray[np.float64]
N_BINS = 10
EXACT_UP_TO = 200
"""Images of a bin up to which the chance of every number of abnormal ones is computed."""
BRIER_TERMS = ("brier", "reliability", "resolution", "uncertainty", "within_bin_variance", "within_bin_covariance")


@dataclass(frozen=True, slots=True)
class ReliabilityBin(Plain):
    """One bin: its images have probabilities from `low` to `high`, both found, with the mean `mean_probability`.

    `observed`: the share that is abnormal, with its band by patient; it counts the images and patients of this bin.
    """

    low: float
    high: float
    mean_probability: float
    observed: Estimate


@dataclass(frozen=True, eq=False)
class Reliability(Plain):
    """The reliability diagram and what is computed from its bins; all in [0, 1].

    `bins` in rising probability: `n_bins_asked` or fewer, for images of one probability are never parted. `prevalence`
    is the share of abnormal images, `mean_probability` what the probabilities would make it.

    `ece`: the mean of |mean probability - observed share| over the bins, each weighted by its images. It is biased
    upwards, because chance alone parts the two in every bin; a resample adds its own chance once more, so both ends
    of the percentile interval lie too high too, and where calibration is good `low` may exceed `value`. Read `high` as
    a careful upper bound, and take no `low` above 0 for a proof of miscalibration: `ece_if_calibrated` is the mean ECE
    that chance alone would give in these bins (exact in bins of at most `EXACT_UP_TO` images, normal theory above; widened
    by the design effect where patients have several images; NaN for one patient), and only an ECE well above it is
    evidence. The term `reliability` below is biased alike.

    `brier` by the names of `BRIER_TERMS`: Brier score = reliability - resolution + uncertainty (Murphy, Journal of
    Applied Meteorology 12, 1973, 595-600) + within_bin_variance - within_bin_covariance (Stephenson, Coelho & Jolliffe,
    Weather and Forecasting 23, 2008, 752-757), without a remainder. The covariance holds its factor of 2 and may be
    negative.
    """

    bins: tuple[ReliabilityBin, ...]
    n_bins_asked: int
    prevalence: Estimate
    mean_probability: Estimate
    ece: Estimate
    ece_if_calibrated: float
    brier: dict[str, Estimate]


def equal_mass_bins(probability: NDArray[np.floating], n_bins: int = N_BINS) -> NDArray[np.intp]:
    """The bin (n,) of each probability, numbered from 0 in rising probability: as equal in images as ties allow.

    Images of one probability share the bin in which their middle rank falls; a bin that gets none is dropped.
    Raises TableError for `n_bins` below 1.
    """
    if n_bins < 1:
        raise TableError(f"{n_bins} bins", mend="ask for at least one")
    _, index, counts = np.unique(np.asarray(probability), return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    _, dense = np.unique((middle * n_bins / max(1, len(index))).astype(np.intp), return_inverse=True)
    return np.asarray(dense[index], dtype=np.intp)


def reliability_statistic(
    label: NDArray[np.integer], probability: NDArray[np.floating], bins: NDArray[np.intp]
) -> Statistic:
    """The statistic of the diagram, for labels (n,) 0 or 1, probabilities (n,) and their bins (n,) from 0 to k - 1.

    `ece`, `prevalence`, `mean_probability` and each of `BRIER_TERMS` are (b,); `bin_probability` and `bin_observed`
    (b, k), NaN where a resample leaves a bin empty. Raises TableError when the lengths differ.
    """
    if not len(label) == len(probability) == len(bins):
        raise TableError(f"{len(probability)} probabilities for {len(label)} labels", mend="give one an image")
    order = np.argsort(bins, kind="stable")
    starts = np.flatnonzero(np.diff(bins[order], prepend=-1))
    y, p = (np.asarray(label)[order] == 1).astype(np.float64), np.asarray(probability, dtype=np.float64)[order]
    moments = np.stack([y, p, np.square(p), 2 * y * p, np.square(p - y)], axis=1)

    def statistic(weight: Weights) -> dict[str, Floats]:
        ranked = np.take(weight, order, axis=1)
        mass, abnormal, expected = (np.add.reduceat(part, starts, axis=1) for part in (ranked, ranked * y, ranked * p))
        whole = mass.sum(axis=1, keepdims=True)
        share = mass / whole
        observed, mean = abnormal / np.maximum(mass, 1e-300), expected / np.maximum(mass, 1e-300)
        base, forecast, squares, products, brier = (ranked @ moments / whole).T
        return {
            "ece": (share * np.abs(mean - observed)).sum(axis=1),
            "prevalence": base,
            "mean_probability": forecast,
            "brier": brier,
            "reliability": (share * np.square(mean - observed)).sum(axis=1),
            "resolution": (share * np.square(observed - base[:, None])).sum(axis=1),
            "uncertainty": base * (1 - base),
            "within_bin_variance": squares - (share * np.square(mean)).sum(axis=1),
            "within_bin_covariance": products - 2 * (share * mean * observed).sum(axis=1),
            "bin_probability": np.where(mass > 0, mean, np.nan),
            "bin_observed": np.where(mass > 0, observed, np.nan),
        }

    return statistic if len(label) else _nothing


_SINGLE = ("ece", "prevalence", "mean_probability", *BRIER_TERMS)


def _nothing(weight: Weights) -> dict[str, Floats]:
    empty = {name: np.empty((len(weight), 0)) for name in ("bin_probability", "bin_observed")}
    return {name: np.full(len(weight), np.nan) for name in _SINGLE} | empty


def reliability_from(
    points: Mapping[str, Floats],
    draws: Mapping[str, Floats],
    sample: Sample,
    probability: NDArray[np.floating],
    bins: NDArray[np.intp],
    n_bins: int,
) -> Reliability:
    """The record, from what `reliability_statistic` gave on the whole sample and on resamples (empty: no intervals)."""
    reasons = dict.fromkeys(_SINGLE, "no image")
    found = estimates({name: points[name] for name in _SINGLE}, draws, sample, reasons=reasons)
    return Reliability(
        bins=tuple(_bin(k, points, draws, sample, probability, bins) for k in range(points["bin_observed"].shape[1])),
        n_bins_asked=n_bins,
        prevalence=found["prevalence"],
        mean_probability=found["mean_probability"],
        ece=found["ece"],
        ece_if_calibrated=_chance(sample, probability, bins),
        brier={name: found[name] for name in BRIER_TERMS},
    )


def _bin(
    k: int,
    points: Mapping[str, Floats],
    draws: Mapping[str, Floats],
    sample: Sample,
    probability: NDArray[np.floating],
    bins: NDArray[np.intp],
) -> ReliabilityBin:
    inside = bins == k
    drawn = {"observed": draws["bin_observed"][:, k]} if draws else {}
    observed = estimates({"observed": points["bin_observed"][:, k]}, drawn, sample.part(inside))["observed"]
    observed = bounded_share(observed, np.ones(int(inside.sum()), np.bool_), sample.part(inside))
    low, high = float(probability[inside].min()), float(probability[inside].max())
    return ReliabilityBin(low, high, float(points["bin_probability"][0, k]), observed)


def _chance(sample: Sample, probability: NDArray[np.floating], bins: NDArray[np.intp]) -> float:
    """The mean of |gap| over the bins, were the answers calibrated: `expected_gap`, widened for images of one patient.

    It is widened by the square root of the design effect: how much more the deviations of one patient's images in a bin
    add up than those of independent images would.
    """
    if len(bins) == 0 or sample.n_groups < 2:
        return float("nan")
    p, counts = np.asarray(probability, dtype=np.float64), np.bincount(bins)
    rate = np.bincount(bins, weights=sample.label) / np.maximum(counts, 1)
    deviation = sample.label - rate[bins]
    together = np.unique(np.stack([bins, sample.groups]), axis=1, return_inverse=True)[1].ravel()
    single = float(np.square(deviation).sum())
    effect = max(1.0, float(np.square(np.bincount(together, weights=deviation)).sum()) / single) if single else 1.0
    return float(np.sqrt(effect)) * sum(expected_gap(p[bins == k]) for k in range(len(counts))) / len(bins)


def expected_gap(probability: Floats) -> float:
    """The mean of |abnormal images - those expected| among images with probabilities (n,) that come true.

    Up to `EXACT_UP_TO` images from the chance of each number of abnormal ones (the Poisson binomial distribution), above
    from the normal one of the same spread.
    """
    if len(probability) > EXACT_UP_TO:
        return float(np.sqrt(2 / np.pi * (probability * (1 - probability)).sum()))
    chance = np.ones(1)
    for p in probability:
        chance = np.append(chance * (1 - p), 0.0) + np.append(0.0, chance * p)
    return float(chance @ np.abs(np.arange(len(chance)) - probability.sum()))

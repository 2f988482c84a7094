"""All that is said about the calibration of one set of predictions, from one set of resamples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.evaluation.calibration.line import CalibrationLine, line_reasons, line_statistic, n_bounded
from cxreader.evaluation.calibration.reliability import (
    N_BINS,
    Reliability,
    equal_mass_bins,
    reliability_from,
    reliability_statistic,
)
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Sample, Statistic, Weights, estimates, resample

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CalibrationReport(Plain):
    """The reliability diagram with ECE and the Brier score apart, and the calibration slope and intercept."""

    reliability: Reliability
    line: CalibrationLine


def calibration_report(
    label: NDArray[np.integer],
    probability: NDArray[np.floating],
    groups: NDArray[np.integer],
    *,
    patients_known: bool = True,
    n_bins: int = N_BINS,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> CalibrationReport:
    """Judge probabilities (n,) in [0, 1] against labels (n,) 0 or 1, patients resampled by `groups` (n,).

    `patients_known` is False when each image is its own group because no patient is known.
    Raises TableError when the lengths differ or `n_bins` is below 1.
    """
    sample = Sample(np.asarray(label), np.asarray(groups), patients_known)
    p = np.asarray(probability, dtype=np.float64)
    bins = equal_mass_bins(p, n_bins)
    statistic = _both(reliability_statistic(sample.label, p, bins), line_statistic(sample.label, p))
    points, draws = resample(statistic, sample, n_resamples=n_resamples, seed=seed)
    reasons = line_reasons(sample.label, p)
    line = estimates({name: points[name] for name in reasons}, draws, sample, reasons=reasons)
    return CalibrationReport(
        reliability_from(points, draws, sample, p, bins, n_bins), CalibrationLine(**line, bounded=n_bounded(p))
    )


def _both(first: Statistic, second: Statistic) -> Statistic:
    def statistic(weight: Weights) -> dict[str, Floats]:
        return first(weight) | second(weight)

    return statistic

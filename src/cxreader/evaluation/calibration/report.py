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
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Sample, estimates, resample


@dataclass(frozen=True, eq=False)
class CalibrationReport(Plain):
    """The reliability diagram with ECE and the Brier score apart, and the calibration slope and intercept."""

    reliability: Reliability
    line: CalibrationLine


def calibration_report(
    sample: Sample,
    probability: NDArray[np.floating],
    *,
    n_bins: int = N_BINS,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> CalibrationReport:
    """Judge probabilities (n,) in [0, 1] of the images of `sample`, in its order; the diagram has at most `n_bins` bins.

    Raises TableError when the lengths differ or `n_bins` is below 1.
    """
    p = np.asarray(probability, dtype=np.float64)
    bins = equal_mass_bins(p, n_bins)
    diagram, line = reliability_statistic(sample.label, p, bins), line_statistic(sample.label, p)
    points, draws = resample(lambda w: diagram(w) | line(w), sample, n_resamples=n_resamples, seed=seed)
    reasons = line_reasons(sample.label, p)
    found = estimates({name: points[name] for name in reasons}, draws, sample, reasons=reasons)
    return CalibrationReport(
        reliability_from(points, draws, sample, p, bins, n_bins), CalibrationLine(**found, bounded=n_bounded(p))
    )

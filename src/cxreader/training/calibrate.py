"""What is fitted on the calibrate part once the weights are chosen: probabilities, decisions, the interval of a reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.config import CalibrationSection
from cxreader.evaluation.calibration.bounded import BoundedCalibrator
from cxreader.evaluation.calibration.calibrators import Calibrator, fit_calibrator
from cxreader.evaluation.calibration.temperature import margin
from cxreader.evaluation.calibration.venn_abers import VennAbers, fit_venn_abers
from cxreader.evaluation.decisions.fitting import Decisions, fit_decisions


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What the calibrate part gave; `probability` (n,) of its images, as a reading shows it."""

    calibrator: Calibrator
    decisions: Decisions
    venn_abers: VennAbers
    probability: NDArray[np.float64]


def calibrate(logits: NDArray[np.floating], label: NDArray[np.integer], section: CalibrationSection) -> Calibrated:
    """Fit on logits (n, 2), normal and abnormal, and labels (n,) 0 or 1 of the calibrate part.

    Raises UsageError for an operating point that cannot be read, DataError for a part of one class, for an unreachable
    first point and for a map that would turn the ranking round.
    """
    score = margin(logits)
    calibrator = fit_calibrator(section.method, score, label)
    venn_abers = fit_venn_abers(score, label)
    probability = BoundedCalibrator(calibrator, venn_abers).apply(score)
    decisions = fit_decisions(label, probability, section.operating_points, section.alpha)
    return Calibrated(calibrator, decisions, venn_abers, probability)

"""What is fitted on the calibrate part once the weights are chosen: probabilities, operating points, error bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError
from cxreader.evaluation.calibration import margin
from cxreader.evaluation.calibrators import Calibrator, fit_calibrator
from cxreader.evaluation.conformal import ConformalRule, fit_conformal
from cxreader.evaluation.operating_points import parse_rules
from cxreader.evaluation.venn_abers import VennAbers, fit_venn_abers
from cxreader.records import OperatingPoint


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What the calibrate part gave. `notes` say which wishes it could not fulfil, and why."""

    calibrator: Calibrator
    operating_points: tuple[OperatingPoint, ...]
    venn_abers: VennAbers
    conformal: ConformalRule | None
    notes: tuple[str, ...]


def calibrate(
    logits: NDArray[np.floating],
    label: NDArray[np.integer],
    *,
    method: str,
    operating_points: Sequence[str],
    alpha: float | Literal["none"],
) -> Calibrated:
    """Fit on logits (n, 2), normal and abnormal, and labels (n,) 0 or 1 of the calibrate part.

    `operating_points` are lines as `parse_rule` reads them; the first must be reached, another that is not is left out
    with a note. So is the error bound `alpha` where a class has too few images for it.
    Raises UsageError for a line that cannot be read, DataError for a part of one class or an unreachable first point.
    """
    score = margin(logits)
    calibrator = fit_calibrator(method, score, label)
    probability = calibrator.apply(score)
    points: list[OperatingPoint] = []
    notes: list[str] = []
    for name, rule in parse_rules(operating_points).items():
        try:
            points.append(rule.fit(name, label, probability))
        except DataError as error:
            if not points:
                raise
            notes.append(f"operating point {name} left out: {error.what}")
    conformal = None
    try:
        conformal = None if alpha == "none" else fit_conformal(label, probability, alpha)
    except DataError as error:
        notes.append(f"no conformal mode: {error.what}")
    return Calibrated(calibrator, tuple(points), fit_venn_abers(score, label), conformal, tuple(notes))

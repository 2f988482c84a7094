"""How probabilities become decisions: the operating points and the error bound that `calibrate` allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError
from cxreader.evaluation.decisions.conformal import ConformalRule, fit_conformal
from cxreader.evaluation.decisions.operating_points import parse_rules
from cxreader.records import OperatingPoint


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was fitted; `notes` say which wishes could not be fulfilled, and why."""

    points: tuple[OperatingPoint, ...]
    conformal: ConformalRule | None
    notes: tuple[str, ...]


def fit_decisions(
    label: NDArray[np.integer],
    probability: NDArray[np.floating],
    rules: Iterable[str],
    alpha: float | Literal["none"],
) -> Decisions:
    """Fit on labels (n,) 0 or 1 and probabilities (n,) of abnormal of the calibrate part.

    `rules` are lines as `parse_rule` reads them. The first must be reached; another that is not is left out with a
    note, and so is the error bound `alpha` where a class has too few images for it.
    Raises UsageError for a line that cannot be read, DataError for a part of one class or an unreachable first point.
    """
    points: list[OperatingPoint] = []
    notes: list[str] = []
    for name, rule in parse_rules(rules).items():
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
    return Decisions(tuple(points), conformal, tuple(notes))

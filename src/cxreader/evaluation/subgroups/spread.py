"""Whether the patients of a side vary enough for the bootstrap to know how its rate or its AUC would vary."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.statistics.delong import Placements
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.subgroups.rates import Metric

FEW_ANSWERS = 5
NEARLY_ALL = f"fewer than {FEW_ANSWERS} {{unit}}s are right, or wrong, on one side"
NEARLY_PARTED = f"fewer than {FEW_ANSWERS} {{unit}}s in effect make up its spread on one side"
_ROUNDING = 1e-12


def varies(
    metric: Metric,
    sample: Sample,
    probability: NDArray[np.floating],
    flag: NDArray[np.bool_],
    side: NDArray[np.bool_],
) -> bool:
    """Whether enough patients of a side are answered rightly, and enough wrongly, for the bootstrap to know the spread.

    A group of which every image is called rightly has no spread of its own, and its gap would seem sure. An AUC has no
    right and wrong answers: there patients count as far as they pull at it (`effective_patients`).
    """
    if metric == "auc":
        return effective_patients(sample, probability, side) >= FEW_ANSWERS
    own = side & (sample.label == (1 if metric == "sensitivity" else 0))
    return all(len(np.unique(sample.groups[own & way])) >= FEW_ANSWERS for way in (flag, ~flag))


def effective_patients(sample: Sample, probability: NDArray[np.floating], side: NDArray[np.bool_]) -> float:
    """How many patients, were they to pull alike, make up DeLong's variance of a side's AUC.

    With d the pull of each, (sum d^2)^2 / sum d^4: k where k patients pull alike and the others not at all. Of a rate
    it is about the number of the rarer answers.
    """
    own = Sample(sample.label[side], sample.groups[side], sample.patients_known)
    placements = Placements.of(own, probability[side])
    squares = np.square(placements.positive + placements.negative)
    fourth = float(np.square(squares).sum())
    return float(squares.sum()) ** 2 / fourth if squares.max() > _ROUNDING**2 else 0.0

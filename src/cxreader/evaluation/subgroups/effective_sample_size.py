"""Whether a side of a comparison has enough effective patients for the bootstrap to measure its spread."""

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
    """Whether a metric on the images `side` (n,) varies enough over patients for the bootstrap to measure its spread.

    Sensitivity and specificity need `FEW_ANSWERS` patients with correctly and as many with wrongly classified images of
    their class: where all are alike, resampling gives no spread and any gap would look certain. An AUC has no right and
    wrong answers; it needs as many effective patients (`effective_patients`).
    """
    if metric == "auc":
        return effective_patients(sample, probability, side) >= FEW_ANSWERS
    own = side & (sample.label == (1 if metric == "sensitivity" else 0))
    return all(len(np.unique(sample.groups[own & way])) >= FEW_ANSWERS for way in (flag, ~flag))


def effective_patients(sample: Sample, probability: NDArray[np.floating], side: NDArray[np.bool_]) -> float:
    """The effective number of patients behind DeLong's variance of the AUC on the images `side` (n,); 0 without spread.

    (sum d^2)^2 / sum d^4 over the patients' structural components d (L. Kish's effective sample size, Survey Sampling,
    1965, of weights d^2): k where k patients contribute alike and all others nothing.
    """
    placements = Placements.of(sample.part(side), probability[side])
    squares = np.square(placements.positive + placements.negative)
    fourth = float(np.square(squares).sum())
    return float(squares.sum()) ** 2 / fourth if squares.max() > _ROUNDING**2 else 0.0

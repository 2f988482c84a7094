"""Operating points: the threshold at which a probability becomes a decision. Fitted on `calibrate`, never on test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.calibration import refuse_one_class
from cxreader.records import OperatingPoint


def youden(label: NDArray[np.integer], probability: NDArray[np.floating]) -> OperatingPoint:
    """The threshold with the largest J = sensitivity + specificity - 1 (Youden, Cancer 1950).

    It lies halfway between two neighbouring probabilities, so that a later rounding flips no image of the part. Of
    several equally good ones the lowest is taken: a second reader would rather look once more than miss.
    Raises DataError when the part has only one class.
    """
    refuse_one_class(label)
    positive = np.asarray(label) == 1
    values, index = np.unique(np.asarray(probability, dtype=np.float64), return_inverse=True)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    # Flagged when the probability is at least values[k]: counted from the top.
    tp = np.cumsum(np.bincount(index[positive], minlength=len(values))[::-1])[::-1]
    fp = np.cumsum(np.bincount(index[~positive], minlength=len(values))[::-1])[::-1]
    best = int(np.argmax(tp * n_negative - fp * n_positive))  # J in whole numbers: ties stay ties
    below = values[best - 1] if best > 0 else 0.0
    halfway = below + (values[best] - below) / 2
    threshold = halfway if halfway > below else values[best]  # neighbours in float have nothing between them
    return OperatingPoint("youden", float(threshold), "largest sensitivity + specificity - 1", n_positive, n_negative)

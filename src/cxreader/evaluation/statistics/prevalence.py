"""What a reading would be worth where abnormal images are rarer or commoner than in the sample it was judged on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import TableError
from cxreader.evaluation.statistics.metrics import ratio

Floats = NDArray[np.float64]
PREVALENCE_METRICS = ("accuracy", "precision", "f1")


def at_prevalence(recall: Floats, specificity: Floats, prevalence: float) -> dict[str, Floats]:
    """Accuracy, precision and F1, each (b,), had the sample this share of abnormal images; Bayes' rule.

    `recall` and `specificity` (b,) in [0, 1] belong to the classes and stay as they are, if the abnormal images there
    are abnormal in the same ways. NaN where either is, and for precision where nothing would be called abnormal.
    Raises TableError for a prevalence that does not lie between 0 and 1.
    """
    if not 0 < prevalence < 1:
        raise TableError(f"the prevalence {prevalence} lies not between 0 and 1", mend="give a share such as 0.2")
    found = prevalence * recall
    false = (1 - prevalence) * (1 - specificity)
    called = found + false
    return {
        "accuracy": found + (1 - prevalence) * specificity,
        "precision": ratio(found, called),
        "f1": 2 * found / (called + prevalence),
    }

"""Operating points: the threshold at which a probability becomes a decision. Fitted on `calibrate`, never on test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError
from cxreader.evaluation.calibration import refuse_one_class


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A named threshold and where it comes from: an image is flagged abnormal when its probability >= `threshold`.

    `rule` says in words how it was chosen; `n_positive` and `n_negative` count the images it was fitted on. A threshold
    that a user typed is `fitted_on` "given" and rests on none. Raises DataError for a threshold outside 0 to 1.
    """

    name: str
    threshold: float
    rule: str
    n_positive: int
    n_negative: int
    fitted_on: Literal["calibrate", "given"] = "calibrate"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise DataError(
                f"threshold {self.threshold} of operating point {self.name!r} is outside 0 to 1",
                mend="give the probability from which on an image is called abnormal",
            )

    @classmethod
    def given(cls, threshold: float) -> OperatingPoint:
        """The point of a threshold that a user typed."""
        return cls("given", float(threshold), "given by the user", 0, 0, "given")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OperatingPoint:
        """The inverse of `to_dict`, exactly."""
        return cls(**values)


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

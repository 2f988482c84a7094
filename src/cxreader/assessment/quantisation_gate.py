"""Whether a quantised model answers as the one it was made from: on the images that both were calibrated on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import ModelError
from cxreader.evaluation.statistics.delong import Placements
from cxreader.evaluation.statistics.exact import bounded_share
from cxreader.evaluation.statistics.intervals import Estimate, Sample, Weights, bootstrap

GATE = {"probability": 0.02, "decisions": 0.02, "acceptance": 0.02, "auc": 0.01}
"""The most that may change: the mean change of a probability, the share of images called otherwise, the share accepted or refused
otherwise, and what the AUC may lose.

They bound the estimates. The intervals beside them say how sure those are; on some hundred images no bound of a per cent could
be proved.
"""
Answers = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]
"""Of n images: probabilities (n,), called abnormal (n,), refused (n,)."""


@dataclass(frozen=True, slots=True)
class Gate(Plain):
    """How a model's answers differ from another's, with intervals by patient.

    `probability`: the mean absolute change; `largest`: the greatest. `decisions`, `acceptance`: shares of images. `auc`: the
    other's less this one's, negative where this one ranks better.
    """

    probability: Estimate
    largest: float
    decisions: Estimate
    acceptance: Estimate
    auc: Estimate

    def over(self) -> list[str]:
        """What is over its limit, in words; what is no number is over."""
        found = {name: getattr(self, name) for name in GATE}
        return [
            f"{WORDS[name]} {one.value:.3f} (95 % interval {one.low:.3f} to {one.high:.3f}, allowed {GATE[name]:g})"
            for name, one in found.items()
            if not one.value <= GATE[name]
        ]

    def check(self) -> None:
        """Raise ModelError with the figures when one is over its limit."""
        over = self.over()
        if over:
            images = self.decisions.n_positive + self.decisions.n_negative
            where = f"on {images:,} calibration images; nothing was written"
            raise ModelError(
                f"in 8 bits the model answers otherwise: {'; '.join(over)}, {where}",
                mend="read the artifact as it is; in bfloat16 it is sooner too: --backend openvino-bf16",
            )


WORDS = {
    "probability": "mean change of a probability",
    "decisions": "share of images called otherwise",
    "acceptance": "share accepted or refused otherwise",
    "auc": "AUC lost",
}


def compare_answers(sample: Sample, before: Answers, after: Answers) -> Gate:
    """How far `after` is from `before` on the images of `sample`, in its order."""
    change = np.abs(after[0] - before[0])
    called, judged = (before[n] != after[n] for n in (1, 2))

    def shares(weight: Weights) -> dict[str, NDArray[np.float64]]:
        whole = weight.sum(axis=1)
        each = {"probability": change, "decisions": called, "acceptance": judged}
        return {name: weight @ values / whole for name, values in each.items()}

    found = bootstrap(shares, sample)
    everyone = np.ones(len(change), np.bool_)
    lost, _ = Placements.of(sample, np.stack([before[0], after[0]])).difference(0, 1)
    return Gate(
        probability=found["probability"],
        largest=float(change.max()),
        decisions=bounded_share(found["decisions"], everyone, sample),
        acceptance=bounded_share(found["acceptance"], everyone, sample),
        auc=lost,
    )

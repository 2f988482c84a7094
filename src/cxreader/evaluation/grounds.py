"""What the verdict looks at, computed on the resamples of an evaluation: net benefit at the threshold, and informedness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.calibration.prior_shift import shift_prevalence
from cxreader.evaluation.decisions.decision_curve import advantage
from cxreader.evaluation.decisions.refusals import Refusals
from cxreader.evaluation.evidence import EvaluationOptions
from cxreader.evaluation.statistics.intervals import Estimate, Sample, Weights
from cxreader.evaluation.statistics.metrics import confusion, ratio
from cxreader.evaluation.verdict import THUMBNAIL, Background, Grounds
from cxreader.records import OperatingPoint

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exchange:
    """At which share of abnormal images, and at which rate of exchange, the decisions of a threshold are weighed.

    `prevalence`: the stated one, None for the sample's own. `probability`: the threshold as a probability there, in [0, 1]:
    one abnormal image found is worth (1 - p) / p false alarms.
    """

    prevalence: float | None
    probability: float

    @classmethod
    def of(cls, threshold: float, sample: Sample, options: EvaluationOptions | None) -> Exchange:
        """At the prevalence that the options state, the threshold shifted to it as probabilities are (Saerens et al. 2002).

        It is shifted from the prevalence at which the probabilities were calibrated; where that is not known, from the sample's.
        """
        stated, own = None if options is None else options.prevalence, sample.n_positive / max(1, len(sample.label))
        if options is None or stated is None or not 0 < own < 1:
            return cls(stated, threshold)
        there = options.calibrated_at or own
        return cls(stated, float(shift_prevalence(np.array([threshold]), there, stated)[0]))

    def weigh(self, label: NDArray[np.integer], weight: Weights, rates: Mapping[str, Floats]) -> dict[str, Floats]:
        """`informedness` and `advantage` (b,) of resamples (b, n) whose `recall` and `specificity` are known."""
        share = ratio(weight @ (label == 1).astype(np.float64), weight.sum(axis=1))
        if self.prevalence is not None:
            share = np.full_like(share, self.prevalence)
        found, spared = rates["recall"], rates["specificity"]
        return {
            "informedness": found + spared - 1,
            "advantage": advantage(share * found, (1 - share) * (1 - spared), share, self.probability),
        }


def grounds_of(
    found: Mapping[str, Estimate],
    sample: Sample,
    decision: NDArray[np.bool_],
    point: OperatingPoint,
    exchange: Exchange,
    *,
    refusals: Refusals | None,
    background: Background,
) -> Grounds:
    """What the rules look at: the estimates of `all_metrics` and of `Exchange.weigh`, and `auc minus NAME` of each baseline."""
    abnormal, normal = (len(np.unique(sample.groups[sample.label == value])) for value in (1, 0))
    gains = [gain for name, gain in found.items() if name.startswith(f"auc minus {THUMBNAIL}")]
    known = sorted((gain for gain in gains if not np.isnan(gain.value)), key=lambda gain: gain.value)
    own = background.thumbnail
    here = not known and own is not None and not np.isnan(own.value)
    if here and own is not None:
        known = [own]
    share = sample.n_positive / len(sample.label) if len(sample.label) else float("nan")
    return Grounds(
        point=point,
        confusion=confusion(sample.label, decision),
        people=(abnormal, normal),
        auc=found["auc"],
        informedness=found["informedness"],
        advantage=found["advantage"],
        prevalence=share if exchange.prevalence is None else exchange.prevalence,
        stated=exchange.prevalence is not None,
        exchange=exchange.probability,
        thumbnails=tuple(known),
        learnt_here=here,
        refused=None if refusals is None else refusals.shares["all"],
        background=background,
    )

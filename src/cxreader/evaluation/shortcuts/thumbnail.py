"""Several networks beside one thumbnail baseline on the same images: what each sees that its coarsest shades do not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.evaluation.comparison.networks import NetworkRuns
from cxreader.evaluation.shortcuts.audit import decide
from cxreader.evaluation.shortcuts.records import BaselineComparison, Limits, Verdict
from cxreader.evaluation.statistics.exact import bounded_auc
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Weights, bootstrap
from cxreader.evaluation.statistics.metrics import all_metrics, undefined_reasons
from cxreader.evaluation.verdict import THUMBNAIL

Floats = NDArray[np.float64]
ONLY_THIS = "Of shortcuts, a study tests the thumbnail alone; cxreader evaluate tests the others, of each network."


@dataclass(frozen=True, eq=False)
class ThumbnailComparison(Plain):
    """`auc` of the thumbnail; by network the `gains`: mean AUC over its trainings minus it, paired by patient.

    `verdicts`: what an audit for shortcuts says of each gain, by its own limits.
    """

    auc: Estimate
    gains: dict[str, Estimate]
    verdicts: dict[str, Verdict]

    def suspicion(self, name: str) -> str:
        """The sentence for a network in which a shortcut is suspected."""
        return (
            f"A shortcut is suspected in {name}: its AUC minus that of a {THUMBNAIL} ({self.auc.value:.3f}) is "
            f"{self.gains[name].value:+.3f} ({self.gains[name].interval})."
        )


def compare_with_thumbnail(
    sample: Sample,
    thumbnail: Floats,
    networks: Sequence[NetworkRuns],
    *,
    limits: Limits | None = None,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> ThumbnailComparison:
    """Probabilities (n,) of `baselines.thumbnail_logistic` beside those of each network, in the order of `sample`."""
    label = sample.label
    own = all_metrics(label, thumbnail)
    others = {network.name: [all_metrics(label, p) for p in network.probability] for network in networks}

    def statistic(weight: Weights) -> dict[str, Floats]:
        base = own(weight)["auc"]
        values = {"thumbnail": base}
        for name, trainings in others.items():
            auc = np.mean([training(weight)["auc"] for training in trainings], axis=0)
            values |= {f"auc {name}": auc, f"gain {name}": auc - base}
        return values

    reason = undefined_reasons(label)["auc"]
    names = ["thumbnail", *(f"{what} {name}" for what in ("auc", "gain") for name in others)]
    reasons = dict.fromkeys(names, reason)
    found = bootstrap(statistic, sample, n_resamples=n_resamples, seed=seed, reasons=reasons)
    gains = {name: found[f"gain {name}"] for name in others}
    verdicts = {
        name: _verdict(found[f"auc {name}"], found["thumbnail"], gain, limits or Limits())
        for name, gain in gains.items()
    }
    return ThumbnailComparison(bounded_auc(found["thumbnail"], sample), gains, verdicts)


def _verdict(auc: Estimate, thumbnail: Estimate, gain: Estimate, limits: Limits) -> Verdict:
    if np.isnan(gain.low) and not np.isnan(gain.value):  # every resample says the same: the value bounds itself
        gain = replace(gain, low=gain.value, high=gain.value)
    best = BaselineComparison(
        THUMBNAIL, "a thumbnail", shortcut=False, counts=True, view=False, auc=thumbnail, gain=gain
    )
    return decide(auc, None if np.isnan(gain.value) else best, (), (), limits)[0]

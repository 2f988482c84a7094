"""Several networks beside one thumbnail baseline on the same images: what each sees that its coarsest shades do not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.evaluation.comparison.networks import NetworkRuns
from cxreader.evaluation.comparison.trainings import over_trainings
from cxreader.evaluation.shortcuts.audit import decide
from cxreader.evaluation.shortcuts.records import (
    ELSEWHERE,
    HERE,
    BaselineComparison,
    Limits,
    Verdict,
    learnt_title,
)
from cxreader.evaluation.statistics.exact import bounded_auc
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Statistic, Weights, bootstrap
from cxreader.evaluation.statistics.metrics import Ranking, undefined_reasons
from cxreader.evaluation.verdict import THUMBNAIL

Floats = NDArray[np.float64]
ONLY_THIS = "Of shortcuts, a study tests the thumbnail alone; cxreader evaluate tests the others, of each network."


@dataclass(frozen=True, eq=False)
class ThumbnailComparison(Plain):
    """`auc` of the thumbnail learnt elsewhere, on the training images; by network the `gains`: its mean AUC minus that.

    `auc_here`, `gains_here`: of the one learnt here, cross-fitted on the judged images; None and empty where none could be
    learnt, and `here_reason` says why. `verdicts`: what an audit for shortcuts says of each gain by its own limits, as there of
    the thumbnail learnt here, or else of the other.
    """

    auc: Estimate
    gains: dict[str, Estimate]
    verdicts: dict[str, Verdict]
    auc_here: Estimate | None = None
    gains_here: dict[str, Estimate] = field(default_factory=dict)
    here_reason: str | None = None

    @property
    def deciding(self) -> dict[str, Estimate]:
        """The gains by which `verdicts` were given: over the thumbnail learnt here, where one could be."""
        return self.gains if self.auc_here is None else self.gains_here

    def suspicions(self, names: Sequence[str]) -> tuple[str, ...]:
        """What is said of networks in which a shortcut is suspected: once of them all, and once of those below the thumbnail."""
        gains = self.deciding
        title = learnt_title(THUMBNAIL, ELSEWHERE if self.auc_here is None else HERE)
        known = f"a {title} ({(self.auc_here or self.auc).value:.3f})"
        told = {name: f"{gains[name].value:+.3f} ({gains[name].interval})" for name in names}
        below = [name for name in names if gains[name].high < 0]
        found = []
        for some, one, many in (
            (
                [name for name in names if name not in below],
                "A shortcut is suspected in {}: its AUC minus that of {}, is {}.",
                "A shortcut is suspected in {} networks. AUC minus that of {}: {}.",
            ),
            (
                below,
                "{} ranks worse than {}: its AUC minus that is {}.",
                "{} networks rank worse than {}. AUC minus that: {}.",
            ),
        ):
            if len(some) == 1:
                found.append(one.format(some[0], known, told[some[0]]))
            elif some:
                each = "; ".join(f"{name} {told[name]}" for name in some)
                found.append(many.format(f"{len(some)} of {len(gains)}", known, each))
        return tuple(found)


def compare_with_thumbnail(
    sample: Sample,
    thumbnail: Floats,
    networks: Sequence[NetworkRuns],
    *,
    here: Floats | None = None,
    here_reason: str | None = None,
    limits: Limits | None = None,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> ThumbnailComparison:
    """Probabilities (n,) of `baselines.thumbnail_logistic` beside those of each network, in the order of `sample`.

    `here` (n,): those of a thumbnail cross-fitted on the judged images, or None with the reason.
    """
    limits = limits or Limits()
    auc, areas, gains = _beside(sample, thumbnail, networks, seed, n_resamples)
    told, against = auc, gains
    if here is not None:
        told, areas, against = _beside(sample, here, networks, seed, n_resamples)
    return ThumbnailComparison(
        bounded_auc(auc, sample),
        gains,
        {name: _verdict(areas[name], told, gain, limits) for name, gain in against.items()},
        None if here is None else bounded_auc(told, sample),
        {} if here is None else against,
        here_reason,
    )


def _beside(
    sample: Sample, thumbnail: Floats, networks: Sequence[NetworkRuns], seed: int, n_resamples: int
) -> tuple[Estimate, dict[str, Estimate], dict[str, Estimate]]:
    """The thumbnail's AUC, and by network its own and the gain over the thumbnail's, for other trainings and patients."""
    base = Ranking.of(sample.label, thumbnail)
    rankings = {network.name: [Ranking.of(sample.label, p) for p in network.probability] for network in networks}
    each = {name: [_gain(own, base) for own in trainings] for name, trainings in rankings.items()}

    def statistic(weight: Weights) -> dict[str, Floats]:
        values = {"thumbnail": base.areas(weight)[0]}
        for name, trainings in rankings.items():
            auc = np.mean([own.areas(weight)[0] for own in trainings], axis=0)
            values |= {f"auc {name}": auc, f"gain {name}": auc - values["thumbnail"]}
        return values

    reason = undefined_reasons(sample.label)["auc"]
    names = ["thumbnail", *(f"{what} {name}" for what in ("auc", "gain") for name in rankings)]
    found = bootstrap(statistic, sample, n_resamples=n_resamples, seed=seed, reasons=dict.fromkeys(names, reason))
    gains = {
        name: over_trainings({"gain": found[f"gain {name}"]}, each[name], sample, least=-1.0, seed=seed)["gain"]
        for name in rankings
    }
    return found["thumbnail"], {name: found[f"auc {name}"] for name in rankings}, gains


def _gain(own: Ranking, base: Ranking) -> Statistic:
    return lambda weight: {"gain": own.areas(weight)[0] - base.areas(weight)[0]}


def _verdict(auc: Estimate, thumbnail: Estimate, gain: Estimate, limits: Limits) -> Verdict:
    if np.isnan(gain.low) and not np.isnan(gain.value):  # every resample says the same: the value bounds itself
        gain = replace(gain, low=gain.value, high=gain.value)
    best = BaselineComparison(
        THUMBNAIL, "a thumbnail", shortcut=False, counts=True, view=False, auc=thumbnail, gain=gain
    )
    return decide(auc, None if np.isnan(gain.value) else best, (), (), limits)[0]

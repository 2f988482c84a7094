"""Do readers agree with each other, with the model and with the table's label: Cohen's kappa of every two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.evaluation.statistics.agreement import agreement_and_kappa
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Weights, bootstrap

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Agreement(Plain):
    """Two who called the same images: observed `agreement` and Cohen's `kappa`; the counts are those of the first's calls."""

    first: str
    second: str
    agreement: Estimate
    kappa: Estimate


def agreements_of(
    votes: Mapping[str, NDArray[np.int8]], sample: Sample, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> tuple[Agreement, ...]:
    """Every two by name -> votes (n,), -1 where not read, on the images that both called; intervals by patient."""
    return tuple(
        _pair(first, second, (votes[first], votes[second]), sample, seed, n_resamples)
        for first, second in combinations(votes, 2)
    )


def _pair(
    first: str,
    second: str,
    votes: tuple[NDArray[np.int8], NDArray[np.int8]],
    sample: Sample,
    seed: int,
    n_resamples: int,
) -> Agreement:
    both = (votes[0] >= 0) & (votes[1] >= 0)
    one, other = (vote[both] == 1 for vote in votes)
    rates = agreement_and_kappa(one, other)

    def statistic(weight: Weights) -> dict[str, Floats]:
        observed, kappa = rates(weight)
        return {"agreement": observed[:, 0], "kappa": kappa[:, 0]}

    shared = Sample(one.astype(np.int64), sample.groups[both], sample.patients_known)
    why = "no image was called by both" if not both.any() else "both call every image the same"
    reasons = {"agreement": why, "kappa": why}
    found = bootstrap(statistic, shared, n_resamples=n_resamples, seed=seed, reasons=reasons)
    return Agreement(first, second, found["agreement"], found["kappa"])

"""Probabilities where abnormal images are rarer or commoner than in the part that calibrated them.

All here rests on one assumption: abnormal images look like the abnormal ones of `calibrate`, and normal like normal; only
their shares differ (prior or label shift). Other machines or other diseases break it, and no number shows that they did.
M. Saerens, P. Latinne & C. Decaestecker, Adjusting the outputs of a classifier to new a priori probabilities, Neural
Computation 14, 2002, 21-41.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import TableError
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Statistic, Weights, bootstrap

Floats = NDArray[np.float64]
_EDGE = 1e-12
_TOLERANCE = 1e-8
_MAX_STEPS = 100


@dataclass(frozen=True, slots=True)
class PriorShift(Plain):
    """Whether probabilities meet another share of abnormal images than they were calibrated at.

    `calibrated_at` in (0, 1): the share in `calibrate`. `estimated`: the share here as the probabilities alone tell it.
    """

    calibrated_at: float
    estimated: Estimate


def shift_prevalence(probability: NDArray[np.floating], fitted: float, deployed: float) -> Floats:
    """Probabilities (n,) in [0, 1] where a share `deployed` is abnormal, from those calibrated where `fitted` was.

    The odds are multiplied by the odds of `deployed` over those of `fitted`; 0 and 1 stay.
    Raises TableError for a prevalence that does not lie between 0 and 1, or a probability outside 0 to 1.
    """
    p = _checked(probability, fitted)
    _between(deployed, "deployed")
    abnormal = p * (deployed / fitted)
    return np.asarray(abnormal / (abnormal + (1 - p) * ((1 - deployed) / (1 - fitted))), dtype=np.float64)


def estimate_prevalence(
    probability: NDArray[np.floating],
    groups: NDArray[np.integer],
    fitted: float,
    *,
    patients_known: bool = True,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """The share of abnormal images among unlabelled ones, from their probabilities (n,), calibrated at share `fitted`.

    The maximum of the likelihood to which Saerens' EM climbs, with its percentile interval by patient (`groups` (n,)).
    The interval knows the chance in these images, not that in the calibration, and holds under the assumption of this
    module only. No label is known: `n_positive` and `n_negative` are 0 and `method` counts the images.
    Raises TableError as `shift_prevalence`, and when the lengths differ.
    """
    p = _checked(probability, fitted)
    if len(groups) != len(p):
        raise TableError(f"{len(groups)} groups for {len(p)} probabilities", mend="give one group an image")
    sample = Sample(np.zeros(len(p), dtype=np.int64), groups, patients_known)
    constant = "every probability is the prevalence it was calibrated at, which tells nothing of another"
    reasons = {"prevalence": constant if len(p) else "no image"}
    found = bootstrap(prevalence_statistic(p, fitted), sample, n_resamples=n_resamples, seed=seed, reasons=reasons)
    estimate = found["prevalence"]
    method = f"EM under prior shift on {len(p)} unlabelled images; {estimate.method}"
    return replace(estimate, n_negative=0, method=method)


def prevalence_statistic(probability: NDArray[np.floating], fitted: float) -> Statistic:
    """The statistic `prevalence` (b,) in [0, 1] of unlabelled probabilities (n,), calibrated at share `fitted`.

    The log likelihood, the sum of log(share * p / fitted + (1 - share) * (1 - p) / (1 - fitted)), is concave in the
    share; its maximum is found by Newton's method inside a shrinking bracket, where EM would creep. NaN where every p
    of a resample is `fitted`. Raises TableError as `shift_prevalence`.
    """
    p = _checked(probability, fitted)
    normal = (1 - p) / (1 - fitted)
    excess = p / fitted - normal
    start = _maximum(np.ones((1, len(p))), normal, excess, 0.5)[0]

    def statistic(weight: Weights) -> dict[str, Floats]:
        share = _maximum(weight, normal, excess, float(start))
        return {"prevalence": np.where(weight @ np.abs(excess) > _EDGE * weight.sum(axis=1), share, np.nan)}

    return statistic


def _maximum(weight: Weights, normal: Floats, excess: Floats, start: float) -> Floats:
    """Where the sum of weight * log(normal + share * excess) is largest, share in [0, 1]: (b,)."""
    rises_at_0, falls_at_1 = (
        sign * (weight @ (excess / (normal + end * excess))) > 0 for sign, end in ((1, _EDGE), (-1, 1 - _EDGE))
    )
    low, high, share = np.zeros(len(weight)), np.ones(len(weight)), np.full(len(weight), start)
    for _ in range(_MAX_STEPS):
        slope, bend = _slope(weight, normal, excess, share)
        low, high = np.where(slope > 0, share, low), np.where(slope > 0, high, share)
        newton = share + slope / np.maximum(bend, np.finfo(np.float64).tiny)
        following = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        moved = np.abs(following - share).max(initial=0.0)
        share = following
        if moved < _TOLERANCE:
            break
    return np.where(rises_at_0, np.where(falls_at_1, share, 1.0), 0.0)


def _slope(weight: Weights, normal: Floats, excess: Floats, share: Floats) -> tuple[Floats, Floats]:
    """First derivative of the log likelihood and minus the second, each (b,)."""
    ratio = share[:, None] * excess
    ratio += normal
    np.divide(excess, ratio, out=ratio)
    weighted = weight * ratio
    return weighted.sum(axis=1), np.einsum("bn,bn->b", weighted, ratio)


def _checked(probability: NDArray[np.floating], fitted: float) -> Floats:
    _between(fitted, "fitted")
    p = np.asarray(probability, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise TableError("a probability is outside 0 to 1", mend="give the probability of abnormal, not a logit")
    return p


def _between(prevalence: float, name: str) -> None:
    if not 0 < prevalence < 1:
        raise TableError(
            f"the {name} prevalence {prevalence} lies not between 0 and 1", mend="give a share such as 0.2"
        )

"""BCa intervals: bootstrap percentiles corrected for bias and for a spread that changes with the value.

B. Efron, Better bootstrap confidence intervals, Journal of the American Statistical Association 82, 1987, 171-185. The
resamples are those of `intervals`; what is added is a jackknife by patient, which measures the acceleration. Of more than
2,000 patients, groups of patients are left out in turn: the cubes and the squares of their influence values add up to what
those of single patients do, so that the acceleration stays the same but for noise of about 0.6 over the number of groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from cxreader.evaluation.statistics.intervals import (
    BLOCK_ELEMENTS,
    LEVEL,
    N_RESAMPLES,
    Estimate,
    Resampled,
    Sample,
    Statistic,
    Weights,
    estimates,
    numbered,
    resample,
)

Floats = NDArray[np.float64]
MAX_GROUPS = 2000
# Resamples and the whole sample may sum in another order; what differs by less is a tie.
_ROUNDING = 1e-12


def jackknife_weights(
    groups: NDArray[np.integer], seed: int = 0, *, max_groups: int = MAX_GROUPS, block: int | None = None
) -> Iterator[Weights]:
    """Every group left out in turn, as weights 0 and 1 in blocks (b, n) float64; at most `max_groups` rows in all.

    Of more groups, equally many (to one) are left out together, dealt at random by `seed`. `block`: rows a block.
    """
    index, n_groups = numbered(groups)
    n_rows = min(n_groups, max_groups)
    dealt = np.arange(n_groups)
    if n_rows < n_groups:
        dealt = np.random.default_rng(seed).permutation(n_groups) % n_rows
    row = dealt[index]
    rows = block or max(1, BLOCK_ELEMENTS // max(1, len(index)))
    for start in range(0, n_rows, rows):
        left_out = np.arange(start, min(start + rows, n_rows))
        yield (row != left_out[:, None]).astype(np.float64)


def jackknife(
    statistic: Statistic, groups: NDArray[np.integer], *, seed: int = 0, max_groups: int = MAX_GROUPS
) -> dict[str, Floats]:
    """What `statistic` computes as one number, with each group left out in turn: name -> (at most `max_groups`,)."""
    parts = [statistic(weight) for weight in jackknife_weights(groups, seed, max_groups=max_groups)]
    names = [name for name, values in parts[0].items() if values.ndim == 1] if parts else []
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def acceleration(left_out: Floats) -> float:
    """Efron's acceleration from jackknife values (g,): a sixth of the skewness of the influence values; NaN without spread."""
    influence = left_out.mean() - left_out if len(left_out) else np.empty(0)
    squares = float(np.square(influence).sum())
    if not squares > len(influence) * _ROUNDING**2:  # NaN among them too
        return float("nan")
    return float(np.power(influence, 3).sum() / (6 * squares**1.5))


def bca(
    found: Mapping[str, Estimate],
    draws: Mapping[str, Floats],
    left_out: Mapping[str, Floats],
) -> dict[str, Estimate]:
    """The estimates `found` with BCa intervals in place of their percentile intervals, from the same `draws`.

    `draws` (n_resamples,) and `left_out` (g,) by name, as `resample` and `jackknife` give them; undefined draws are left
    out. An estimate without an interval stays as it is. Where the correction is undefined (the statistic does not
    survive leaving a patient out, every resample lies on one side of the value) the interval is NaN with its reason.
    """
    return {name: _corrected(e, draws, left_out, name) for name, e in found.items()}


def bootstrap_bca(
    statistic: Statistic,
    sample: Sample,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    reasons: Mapping[str, str] | None = None,
    drawn: Resampled | None = None,
) -> dict[str, Estimate]:
    """As `intervals.bootstrap` from the same resamples, with BCa in place of percentile intervals.

    `drawn`: what `intervals.resample` gave of this statistic, sample, number and seed, where it was called before.
    """
    points, draws = drawn or resample(statistic, sample, n_resamples=n_resamples, seed=seed)
    found = estimates(points, draws, sample, reasons=reasons)
    return bca(found, draws, jackknife(statistic, sample.groups, seed=seed) if draws else {})


def _corrected(estimate: Estimate, draws: Mapping[str, Floats], left_out: Mapping[str, Floats], name: str) -> Estimate:
    if np.isnan(estimate.low):
        return estimate
    method = estimate.method.replace("percentile", f"BCa, jackknife over {len(left_out[name])} groups")
    defined = draws[name][~np.isnan(draws[name])]
    ends, reason = _levels(estimate.value, defined, acceleration(left_out[name]))
    if reason is not None:
        return replace(estimate, low=float("nan"), high=float("nan"), method=method, reason=reason)
    low, high = np.quantile(defined, ends)
    return replace(estimate, low=float(low), high=float(high), method=method)


def _levels(value: float, defined: Floats, a: float) -> tuple[Floats, str | None]:
    """Which quantiles (2,) of the resamples bound the value, or NaN and why they are undefined."""
    unknown = np.full(2, np.nan)
    if np.isnan(a):
        return unknown, "undefined, or unchanged, where a patient is left out: no acceleration"
    below = np.count_nonzero(defined < value - _ROUNDING)
    not_above = np.count_nonzero(defined <= value + _ROUNDING)
    bias = ndtri((below + not_above) / (2 * len(defined)))  # ties count one half
    if np.isinf(bias):
        return unknown, "every resample lies on one side of the value: no bias correction"
    z = bias + ndtri([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    stretch = 1 - a * z
    if (stretch <= 0).any():
        return unknown, "the acceleration is too large for a correction"
    return ndtr(bias + z / stretch), None

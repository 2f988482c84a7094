"""How good is each reader when nobody knows the truth: a latent class with two states, estimated by EM.

A. P. Dawid and A. M. Skene, Applied Statistics 28, 1979, 20-28. The truth is a hidden class of each image; a rater (a reader,
or a label mined from a report) has a sensitivity and a specificity, and given the truth raters err independently. That
last is the assumption to doubt: what is hard for one is hard for the next, and then all look better than they are. Three raters
are needed for the class to be determined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import DataError
from cxreader.evaluation.readers.truths import majority
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Weights, bootstrap

Floats = NDArray[np.float64]
Votes = NDArray[np.int8]
MAX_STEPS = 2000
_TOLERANCE = 1e-7
_EDGE = 1e-9


@dataclass(frozen=True, eq=False)
class RaterQuality(Plain):
    """What the latent class says of one rater; `votes` counts the images that he called."""

    rater: str
    votes: int
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, eq=False)
class LatentClass(Plain):
    """All raters, and the `prevalence` of abnormal images.

    `n_abnormal` images are more likely abnormal than not, as the estimates count them; on `n_other` images the class is
    another than the majority of the raters.
    """

    raters: tuple[RaterQuality, ...]
    prevalence: Estimate
    n_abnormal: int
    n_other: int


@dataclass(frozen=True, eq=False)
class Fitted:
    """Maximum likelihood for b samples: `values` (b, 1 + 2 r), and `posterior` (b, n) of abnormal."""

    values: Floats
    posterior: Floats

    @property
    def prevalence(self) -> Floats:
        """(b,) the share of abnormal images."""
        return self.values[:, 0]

    @property
    def sensitivity(self) -> Floats:
        """(b, r) of each rater."""
        return self.values[:, 1 : 1 + self.values.shape[1] // 2]

    @property
    def specificity(self) -> Floats:
        """(b, r) of each rater."""
        return self.values[:, 1 + self.values.shape[1] // 2 :]


def fit_latent_class(votes: Votes, weight: Weights, start: Fitted | None = None) -> Fitted:
    """EM from votes (r, n), -1 where not read, for weights (b, n) at once.

    It starts from the share of abnormal votes, or from the first row of what `start` found. Stops when nothing moves by
    1e-7; NaN where 2,000 steps do not bring that about. Of the two mirrored solutions the one in which raters are better than
    chance on the whole is given. Raises DataError for fewer than three raters.
    """
    r = len(votes)
    if r < 3:
        raise DataError(f"{r} raters do not determine a latent class", mend="three or more are needed")
    patterns, at = np.unique(votes, axis=1, return_inverse=True)
    at = np.ravel(at)
    counts = np.stack([np.bincount(at, row, patterns.shape[1]) for row in weight]).astype(np.float64)
    one, zero = (patterns == 1).astype(np.float64), (patterns == 0).astype(np.float64)
    read = one.sum(axis=0) + zero.sum(axis=0)
    share = np.where(read > 0, one.sum(axis=0) / np.maximum(read, 1), 0.5)
    posterior = np.tile(share if start is None else _expected(start.values[:1], one, zero), (len(counts), 1))
    values = _converged(posterior, counts, one, zero)
    turned = values[:, 1:].mean(axis=1) < 0.5
    values[turned] = 1 - np.hstack([values[turned, :1], values[turned, 1 + r :], values[turned, 1 : 1 + r]])
    return Fitted(values, _expected(values, one, zero)[:, at])


def _converged(posterior: Floats, counts: Floats, one: Floats, zero: Floats) -> Floats:
    """The values (b, 1 + 2 r) at which EM stands still, from posteriors (b, p) of the patterns; rows that do leave the loop."""
    found = np.full((len(counts), 1 + 2 * len(one)), np.nan)
    rows, before = np.arange(len(counts)), np.full_like(found, np.inf)
    for _ in range(MAX_STEPS):
        values = _maximised(posterior, counts, one, zero)
        moving = np.abs(values - before).max(axis=1) > _TOLERANCE
        found[rows[~moving]] = values[~moving]
        rows, counts, before = rows[moving], counts[moving], values[moving]
        if not len(rows):
            break
        posterior = _expected(before, one, zero)
    return found


def _maximised(posterior: Floats, counts: Floats, one: Floats, zero: Floats) -> Floats:
    """Prevalence, sensitivities and specificities (b, 1 + 2 r) that the posterior (b, p) of the patterns gives."""
    abnormal, normal = counts * posterior, counts * (1 - posterior)
    found, missed = abnormal @ one.T, abnormal @ zero.T
    false, spared = normal @ one.T, normal @ zero.T
    prevalence = abnormal.sum(axis=1, keepdims=True) / counts.sum(axis=1, keepdims=True)
    rates = [part / np.maximum(part + rest, _EDGE) for part, rest in ((found, missed), (spared, false))]
    return np.asarray(np.clip(np.hstack([prevalence, *rates]), _EDGE, 1 - _EDGE))


def _expected(values: Floats, one: Floats, zero: Floats) -> Floats:
    """The posterior (b, p) of abnormal for each pattern of votes."""
    r = len(one)
    prevalence, sensitivity, specificity = values[:, :1], values[:, 1 : 1 + r], values[:, 1 + r :]
    log_odds = np.log(prevalence) - np.log1p(-prevalence)
    log_odds = log_odds + (np.log(sensitivity) - np.log1p(-specificity)) @ one
    log_odds = log_odds + (np.log1p(-sensitivity) - np.log(specificity)) @ zero
    return np.asarray(0.5 * (1 + np.tanh(log_odds / 2)))


def latent_class(
    votes: Mapping[str, Votes], sample: Sample, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> LatentClass:
    """The quality of raters by name -> votes (n,), -1 where not read; intervals by patients of `sample`, its labels unused.

    An image that nobody read is left out. Raises as `fit_latent_class`.
    """
    names, stack = list(votes), np.stack(list(votes.values()))
    read = (stack >= 0).any(axis=0)
    stack = stack[:, read]
    whole = fit_latent_class(stack, np.ones((1, stack.shape[1])))
    likely = (whole.posterior[0] > 0.5).astype(np.int64)

    def statistic(weight: Weights) -> dict[str, Floats]:
        fitted = fit_latent_class(stack, weight, whole)
        values = {"prevalence": fitted.prevalence}
        for k in range(len(names)):
            values |= {f"sensitivity {k}": fitted.sensitivity[:, k], f"specificity {k}": fitted.specificity[:, k]}
        return values

    own = Sample(likely, sample.groups[read], sample.patients_known)
    found = bootstrap(statistic, own, n_resamples=n_resamples, seed=seed)
    most = majority(stack)
    return LatentClass(
        raters=tuple(
            RaterQuality(
                name, int(np.count_nonzero(stack[k] >= 0)), found[f"sensitivity {k}"], found[f"specificity {k}"]
            )
            for k, name in enumerate(names)
        ),
        prevalence=found["prevalence"],
        n_abnormal=int(likely.sum()),
        n_other=int(np.count_nonzero((most >= 0) & (most != likely))),
    )

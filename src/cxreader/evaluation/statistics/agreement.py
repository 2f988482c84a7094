"""Do two readers decide alike: observed agreement and Cohen's kappa, weighted and vectorised over resamples.

Kappa is the agreement beyond what two readers would reach who call as many images abnormal but blindly
(J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20, 1960, 37-46):
1 is full agreement, 0 none beyond chance, below 0 less than chance. It falls with lopsided decisions at equal agreement,
so the agreement itself belongs beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import TableError
from cxreader.evaluation.statistics.intervals import Statistic, Weights
from cxreader.evaluation.statistics.metrics import ratio
from cxreader.evaluation.statistics.side_by_side import value_name

Floats = NDArray[np.float64]
Decisions = NDArray[np.bool_]


def agreement_and_kappa(first: Decisions, second: Decisions) -> Callable[[Weights], tuple[Floats, Floats]]:
    """Of m pairs of decisions (m, n), or of one pair (n,): weights (b, n) -> observed agreement and Cohen's kappa, each (b, m).

    Agreement lies in [0, 1], NaN where a resample holds no image; kappa in [-1, 1], NaN also where both always give one
    and the same answer. Raises TableError when the shapes differ.
    """
    readers = [np.atleast_2d(np.asarray(decisions, dtype=bool)) for decisions in (first, second)]
    if readers[0].shape != readers[1].shape:
        what = f"decisions {readers[0].shape} against {readers[1].shape}"
        raise TableError(what, mend="give both readers the same images")
    columns = np.ascontiguousarray(np.concatenate([*readers, readers[0] & readers[1]]).T, dtype=np.float64)

    def rates(weight: Weights) -> tuple[Floats, Floats]:
        one, other, both = np.split(_share(weight, columns), 3, axis=1)
        observed = 1 - one - other + 2 * both
        expected = one * other + (1 - one) * (1 - other)
        room = 1 - expected  # at most rounding where both always give the same answer
        kappa = np.divide(observed - expected, room, out=np.full_like(room, np.nan), where=room > 1e-12)
        return observed, kappa

    return rates


def all_alike(decisions: Sequence[Decisions] | Decisions, weight: Weights) -> Floats:
    """Share (b,) of images on which all readers (each (n,)) decide alike; NaN where a resample holds no image."""
    stack = np.asarray(decisions, dtype=bool)
    alike = np.asarray(stack.all(axis=0) | ~stack.any(axis=0), dtype=np.float64)
    share: Floats = _share(weight, alike[:, None])[:, 0]
    return share


def _share(weight: Weights, columns: Floats) -> Floats:
    """Weighted means (b, m) of indicator columns (n, m)."""
    return ratio(weight @ columns, weight.sum(axis=1, keepdims=True))


def agreements(decisions: Sequence[Decisions]) -> Statistic:
    """The statistic of several networks, each trained k times and deciding (k, n).

    It gives `all_agree` and, for every two networks by their places, `kappa` and `agreement` (named by
    `side_by_side.value_name`). A pair's numbers are means over its trainings paired in order, the first with the first;
    where one network has more trainings than the other, those left over stay out. `all_agree` takes the first training
    of each.
    Raises TableError when the numbers of images differ.
    """
    pairs = list(combinations(range(len(decisions)), 2))
    sizes = [min(len(decisions[a]), len(decisions[b])) for a, b in pairs]
    if len({d.shape[1] for d in decisions}) > 1:
        raise TableError("the networks decided on different numbers of images", mend="give all the same images")
    firsts = [decisions[a][:k] for (a, _), k in zip(pairs, sizes, strict=True)]
    seconds = [decisions[b][:k] for (_, b), k in zip(pairs, sizes, strict=True)]
    both = agreement_and_kappa(np.concatenate(firsts), np.concatenate(seconds)) if pairs else None
    starts = np.cumsum([0, *sizes[:-1]])
    leading = [d[0] for d in decisions]

    def statistic(weight: Weights) -> dict[str, Floats]:
        values = {"all_agree": all_alike(leading, weight)}
        if both is None:
            return values
        for name, rates in zip(("agreement", "kappa"), both(weight), strict=True):
            means = np.add.reduceat(rates, starts, axis=1) / np.asarray(sizes)
            values |= {value_name(name, *pair): means[:, k] for k, pair in enumerate(pairs)}
        return values

    return statistic

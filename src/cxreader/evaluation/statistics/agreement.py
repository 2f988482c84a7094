"""Do two readers decide alike: observed agreement and Cohen's kappa, weighted and vectorised over resamples.

Kappa is the agreement beyond what two readers would reach who call as many images abnormal but blindly
(J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20, 1960, 37-46):
1 is full agreement, 0 none beyond chance, below 0 less than chance. It falls with lopsided decisions at equal agreement,
so the agreement itself belongs beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import TableError
from cxreader.evaluation.statistics.intervals import Statistic, Weights
from cxreader.evaluation.statistics.metrics import ratio
from cxreader.evaluation.statistics.side_by_side import value_name

Floats = NDArray[np.float64]
Decisions = NDArray[np.bool_]


def agreement(first: Decisions, second: Decisions, weight: Weights | None = None) -> Floats:
    """Share of images decided alike, in [0, 1]: m pairs of decisions (m, n) or one pair (n,) -> (b, m), weights (b, n).

    Without weights each image counts once, b = 1. NaN where a resample holds no image.
    """
    return _Pairs.of(first, second).rates(weight)[0]


def cohen_kappa(first: Decisions, second: Decisions, weight: Weights | None = None) -> Floats:
    """Cohen's kappa in [-1, 1] (1960): shapes as in `agreement`; NaN where both always give one and the same answer."""
    return _Pairs.of(first, second).rates(weight)[1]


class _Pairs:
    """m pairs of readers as indicator columns (n, 3m): the first says abnormal, the second does, both do."""

    def __init__(self, columns: Floats) -> None:
        self.columns = columns

    @classmethod
    def of(cls, first: Decisions, second: Decisions) -> _Pairs:
        """Raises TableError when the shapes differ."""
        one, other = (np.atleast_2d(np.asarray(d, dtype=bool)) for d in (first, second))
        if one.shape != other.shape:
            raise TableError(f"decisions {one.shape} against {other.shape}", mend="give both readers the same images")
        return cls(np.ascontiguousarray(np.concatenate([one, other, one & other]).T, dtype=np.float64))

    def rates(self, weight: Weights | None) -> tuple[Floats, Floats]:
        """Observed agreement and kappa, each (b, m)."""
        rows = _rows(weight, len(self.columns))
        one, other, both = np.split(_share(rows, self.columns), 3, axis=1)
        observed = 1 - one - other + 2 * both
        expected = one * other + (1 - one) * (1 - other)
        room = 1 - expected  # at most rounding where both always give the same answer
        kappa = np.divide(observed - expected, room, out=np.full_like(room, np.nan), where=room > 1e-12)
        return observed, kappa


def all_alike(decisions: Sequence[Decisions] | Decisions, weight: Weights | None = None) -> Floats:
    """Share (b,) of images on which all readers (each (n,)) decide alike; NaN where a resample holds no image."""
    stack = np.asarray(decisions, dtype=bool)
    alike = np.asarray(stack.all(axis=0) | ~stack.any(axis=0), dtype=np.float64)
    rows = _rows(weight, len(alike))
    share: Floats = _share(rows, alike[:, None])[:, 0]
    return share


def _rows(weight: Weights | None, n: int) -> Weights:
    return np.ones((1, n)) if weight is None else np.atleast_2d(np.asarray(weight, dtype=np.float64))


def _share(rows: Weights, columns: Floats) -> Floats:
    """Weighted means (b, m) of indicator columns (n, m)."""
    return ratio(rows @ columns, rows.sum(axis=1, keepdims=True))


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
    columns = _Pairs.of(np.concatenate(firsts), np.concatenate(seconds)) if pairs else None
    starts = np.cumsum([0, *sizes[:-1]])
    leading = [d[0] for d in decisions]

    def statistic(weight: Weights) -> dict[str, Floats]:
        values = {"all_agree": all_alike(leading, weight)}
        if columns is None:
            return values
        for name, rates in zip(("agreement", "kappa"), columns.rates(weight), strict=True):
            means = np.add.reduceat(rates, starts, axis=1) / np.asarray(sizes)
            values |= {value_name(name, *pair): means[:, k] for k, pair in enumerate(pairs)}
        return values

    return statistic

"""AUC, sensitivity and specificity of many groups and of each one's rest, over resamples in a few passes.

An AUC is a sum over pairs of an abnormal and a normal image, 1 where the abnormal one ranks higher, half where they are
level. So the pairs of a rest are all pairs less those that touch the group, and no rest is ever sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.statistics.intervals import Weights
from cxreader.evaluation.statistics.metrics import ratio
from cxreader.evaluation.subgroups.groupings import Grouping

Floats = NDArray[np.float64]
Metric = Literal["auc", "sensitivity", "specificity"]
METRICS: tuple[Metric, ...] = get_args(Metric)


class PartitionRates:
    """The statistic of groups that do not overlap: each of METRICS and `gap METRIC` to the rest, (b, k) of k groups.

    `label` (n,) 0 or 1, `probability` (n,), `flag` (n,) bool. NaN where a side lacks the class.
    """

    def __init__(
        self,
        grouping: Grouping,
        label: NDArray[np.integer],
        probability: NDArray[np.floating],
        flag: NDArray[np.bool_],
    ) -> None:
        positive = np.asarray(label) == 1
        abnormal, normal = (np.flatnonzero(grouping.known & of_class) for of_class in (positive, ~positive))
        k = len(grouping.names)
        # Images of a known value whose group is not judged share a cell that belongs to every rest.
        cell = np.where(grouping.member.any(axis=1), grouping.member.argmax(axis=1), k)
        one = np.zeros(len(cell), dtype=np.intp)
        self._within = _Wins.of(abnormal, normal, probability, cell)
        self._over = _Wins.of(abnormal, normal, probability, one)
        self._under = _Wins.of(normal, abnormal, -np.asarray(probability), one)
        self._member = grouping.member.astype(np.float64)
        self._counts = _Counts.of(grouping.known, grouping.member, positive, flag)

    def __call__(self, weight: Weights) -> dict[str, Floats]:
        """Weights (b, n) -> name -> (b, k)."""
        own, rest = self._counts(weight)
        within = self._within(weight) @ self._member[self._within.winners]
        over, under = self._over(weight), self._under(weight)
        touching = over @ self._member[self._over.winners] + under @ self._member[self._under.winners]
        return _metrics_and_gaps(own, within, rest, over.sum(axis=1, keepdims=True) - touching + within)


class FindingRates:
    """The statistic of findings: abnormal images with it, and the other abnormal ones, against the same normal images.

    As PartitionRates otherwise; groups may overlap, and there is no specificity: NaN.
    """

    def __init__(
        self,
        grouping: Grouping,
        label: NDArray[np.integer],
        probability: NDArray[np.floating],
        flag: NDArray[np.bool_],
    ) -> None:
        positive = np.asarray(label) == 1
        abnormal, normal = (np.flatnonzero(grouping.known & of_class) for of_class in (positive, ~positive))
        self._wins = _Wins.of(abnormal, normal, probability, np.zeros(len(positive), dtype=np.intp))
        self._member = grouping.member.astype(np.float64)
        self._counts = _Counts.of(grouping.known, grouping.member, positive, flag)

    def __call__(self, weight: Weights) -> dict[str, Floats]:
        """Weights (b, n) -> name -> (b, k)."""
        own, rest = self._counts(weight)
        normal = rest.normal  # no normal image has the finding: all of them
        won = self._wins(weight)
        with_it = won @ self._member[self._wins.winners]
        own = _Cells(own.abnormal, normal, own.found, np.full_like(normal, np.nan))
        rest = _Cells(rest.abnormal, normal, rest.found, np.full_like(normal, np.nan))
        return _metrics_and_gaps(own, with_it, rest, won.sum(axis=1, keepdims=True) - with_it)


@dataclass(frozen=True, eq=False)
class _Cells:
    """Weights (b, k): abnormal, normal, abnormal flagged (found), normal not flagged (spared)."""

    abnormal: Floats
    normal: Floats
    found: Floats
    spared: Floats


@dataclass(frozen=True, eq=False)
class _Counts:
    """Indicator columns of each group (n, 4k) and of all whose value is known (n, 4)."""

    groups: Floats
    everyone: Floats

    @classmethod
    def of(
        cls,
        known: NDArray[np.bool_],
        member: NDArray[np.bool_],
        positive: NDArray[np.bool_],
        flag: NDArray[np.bool_],
    ) -> _Counts:
        outcomes = [positive, ~positive, positive & flag, ~positive & ~flag]
        groups = np.concatenate([member & outcome[:, None] for outcome in outcomes], axis=1)
        everyone = np.stack([known & outcome for outcome in outcomes], axis=1)
        return cls(groups.astype(np.float64), everyone.astype(np.float64))

    def __call__(self, weight: Weights) -> tuple[_Cells, _Cells]:
        """The groups' own and their rests'."""
        own = np.split(weight @ self.groups, 4, axis=1)
        everyone = np.split(weight @ self.everyone, 4, axis=1)
        return _Cells(*own), _Cells(*(whole - part for whole, part in zip(everyone, own, strict=True)))


@dataclass(frozen=True, eq=False)
class _Wins:
    """What each image of one class, `winners`, wins against the `losers` of its cell: their weight below it, ties half.

    Losers stand in rising order inside their cell; a winner's lie from `start` to `low`, those level with it to `high`.
    """

    winners: NDArray[np.intp]
    losers: NDArray[np.intp]
    start: NDArray[np.intp]
    low: NDArray[np.intp]
    high: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        winners: NDArray[np.intp],
        losers: NDArray[np.intp],
        score: NDArray[np.floating],
        cell: NDArray[np.intp],
    ) -> _Wins:
        values, rank = np.unique(np.asarray(score, dtype=np.float64), return_inverse=True)
        key = cell * len(values) + rank.ravel()
        losers = losers[np.argsort(key[losers], kind="stable")]
        level, first, own = key[losers], (cell * len(values))[winners], key[winners]
        low, high = np.searchsorted(level, own, "left"), np.searchsorted(level, own, "right")
        return cls(winners, losers, np.searchsorted(level, first, "left"), low, high)

    def __call__(self, weight: Weights) -> Floats:
        """(b, winners): the weight each wins, times its own."""
        below = np.zeros((len(weight), len(self.losers) + 1))
        np.cumsum(np.take(weight, self.losers, axis=1), axis=1, out=below[:, 1:])
        won = np.take(below, self.low, axis=1)
        won += np.take(below, self.high, axis=1)
        won /= 2
        won -= np.take(below, self.start, axis=1)
        won *= np.take(weight, self.winners, axis=1)
        return won


def _metrics_and_gaps(own: _Cells, own_wins: Floats, rest: _Cells, rest_wins: Floats) -> dict[str, Floats]:
    values: dict[str, Floats] = {}
    sides = [
        (ratio(wins, c.abnormal * c.normal), ratio(c.found, c.abnormal), ratio(c.spared, c.normal))
        for c, wins in ((own, own_wins), (rest, rest_wins))
    ]
    for metric, ours, theirs in zip(METRICS, *sides, strict=True):
        values |= {metric: ours, f"gap {metric}": ours - theirs}
    return values

"""Rejected alarms, week by week: readers who follow a second reader more and more reject ever fewer of its alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.statistics.exact import bounded_share
from cxreader.evaluation.statistics.intervals import Estimate, Sample, Weights, bootstrap
from cxreader.evaluation.statistics.metrics import ratio
from cxreader.serving.review import weeks
from cxreader.serving.store.reading.judged import Judged
from cxreader.serving.zone import SiteZone

RESAMPLES = 1000
NONE = "no alarm got a final verdict"


@dataclass(frozen=True, slots=True)
class Week:
    """The alarms that got their final verdict in a week, told by its Monday: how many, how many were rejected, and the share."""

    name: str
    begins: float
    alarms: int
    rejected: int
    share: Estimate


@dataclass(frozen=True, slots=True)
class Alarms:
    """`weeks` in their order; the shares of the first and the second half of the time, and `change`: the second less the first.

    `half`: the Monday from which the second half counts.
    """

    weeks: tuple[Week, ...]
    half: str
    first: Estimate
    second: Estimate
    change: Estimate

    @property
    def falls(self) -> bool:
        """Whether the share fell, the whole interval of its change below 0."""
        return bool(self.change.high < 0)


def rejected_alarms(verdicts: Sequence[Judged], of: range, zone: SiteZone) -> Alarms:
    """Of the final verdicts on alarms, the latest of each study, by the week in which it was given. Intervals by patient."""
    own = {one.study: one for one in verdicts if one.stage == "final" and one.decision == "abnormal"}
    alarms = list(own.values())
    week = np.array([weeks.week_of(one.given_at, zone) for one in alarms], np.int64)
    rejected = np.array([one.kind == "rejected" for one in alarms], bool)
    groups = np.unique([one.patient for one in alarms], return_inverse=True)[1] if alarms else np.empty(0, np.int64)
    half = of[len(of) // 2]
    late = week >= half
    each = tuple(_week((n, weeks.begins(n, zone)), rejected, groups, week == n) for n in of)
    first, second = (_share(rejected, groups, part) for part in (~late, late))
    return Alarms(each, weeks.name(half), first, second, _change(rejected, groups, late))


def _week(
    week: tuple[int, float], rejected: NDArray[np.bool_], groups: NDArray[np.integer], own: NDArray[np.bool_]
) -> Week:
    """A week by its number and its beginning."""
    share = _share(rejected, groups, own)
    counts = int(own.sum()), int((own & rejected).sum())
    return Week(weeks.name(week[0]), week[1], *counts, share)


def _share(rejected: NDArray[np.bool_], groups: NDArray[np.integer], own: NDArray[np.bool_]) -> Estimate:
    """The share rejected of the alarms `own`; its counts are those rejected and those not."""
    label = rejected[own].astype(np.int64)
    sample = Sample(label, groups[own])

    def statistic(weight: Weights) -> dict[str, NDArray[np.float64]]:
        return {"share": ratio(weight @ label, weight.sum(axis=1))}

    found = bootstrap(statistic, sample, n_resamples=RESAMPLES, reasons={"share": NONE})["share"]
    return bounded_share(found, np.ones(len(label), bool), sample)


def _change(rejected: NDArray[np.bool_], groups: NDArray[np.integer], late: NDArray[np.bool_]) -> Estimate:
    label = rejected.astype(np.float64)

    def statistic(weight: Weights) -> dict[str, NDArray[np.float64]]:
        parts = [ratio(weight @ (label * part), weight @ part.astype(np.float64)) for part in (late, ~late)]
        return {"change": parts[0] - parts[1]}

    why = f"{NONE} in one of the halves"
    sample = Sample(rejected.astype(np.int64), groups)
    return bootstrap(statistic, sample, n_resamples=RESAMPLES, reasons={"change": why})["change"]

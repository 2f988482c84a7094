"""How long studies waited for their final verdict, by band; and what first-come would have done with the same arrivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError
from cxreader.evaluation.statistics.intervals import Estimate, Sample, Weights, bootstrap
from cxreader.evaluation.worklist.policies import FIRST_COME, WorklistPolicy
from cxreader.evaluation.worklist.reading_room import Arrivals, ReadingRoom, Shift
from cxreader.evaluation.worklist.triage import Triage, simulate_triage
from cxreader.records import LABEL_NAMES, OperatingPoint, PredictionTable
from cxreader.serving.order.places import BANDS
from cxreader.serving.store.reading.judged import Judged
from cxreader.serving.zone import SiteZone

RESAMPLES = 1000
FEWEST = 20
"""Studies with a known reading time, below which nothing is simulated."""
MOST, REPLICATIONS = 2_000, 40
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Waited:
    """Minutes from received to the first final verdict of the studies of a band: median and 95th percentile, and the longest."""

    band: str
    studies: int
    median: Estimate
    p95: Estimate
    longest: float


@dataclass(frozen=True, slots=True)
class Simulated:
    """The simulation; `read_minutes` of its `studies` have a reading time of their own, the others the median of those."""

    triage: Triage
    studies: int
    read_minutes: int


def first_verdicts(verdicts: Sequence[Judged]) -> list[Judged]:
    """Of each study its first final verdict, where it came after the study; in the order in which the studies came."""
    first: dict[int, Judged] = {}
    for one in verdicts:
        if one.stage == "final":
            first.setdefault(one.study, one)
    return sorted((one for one in first.values() if one.given_at >= one.received_at), key=lambda one: one.received_at)


def waited(verdicts: Sequence[Judged]) -> list[Waited]:
    """By the band in which a study stands, the most urgent first, and of all; intervals by patient."""
    own = first_verdicts(verdicts)
    bands = {name: [one for one in own if one.step == step] for step, name in BANDS.items()}
    return [_waited(name, of) for name, of in {**bands, "all": own}.items() if of]


def simulated(
    verdicts: Sequence[Judged], point: dict[str, Any] | None, shift: str, longest: float, zone: SiteZone
) -> Simulated:
    """The worklist simulated with the real arrivals and reading times, first-come against alarms first.

    `point`: the operating point as plain values; `shift`: when readers are there, as `8-18x2@mon-fri`, by the clocks
    of `zone`; `longest`: minutes after which a study goes before all. Raises DataError where too little is known, UsageError
    for a shift that is none.
    """
    own = first_verdicts(verdicts)[-MOST:]
    known = np.array([one.seconds / 60 if one.seconds else np.nan for one in own])
    told = [one for one in own if one.label in LABEL_NAMES and one.value is not None]
    if point is None or np.isfinite(known).sum() < FEWEST or len(told) < FEWEST:
        what = (
            f"{int(np.isfinite(known).sum()):,} studies have a reading time, and {len(told):,} an answer and a verdict"
        )
        raise DataError(what, mend=f"{FEWEST} of each are needed")
    minutes = np.where(np.isfinite(known), known, np.nanmedian(known))
    room = ReadingRoom(None, recorded=Arrivals(arrivals(own, zone), minutes), shifts=(Shift.parse(shift),))
    policies = (FIRST_COME, WorklistPolicy("flagged"), WorklistPolicy("probability", longest))
    triage = simulate_triage(
        _table(told), OperatingPoint(**point), room, policies=policies, n_replications=REPLICATIONS
    )
    return Simulated(triage, len(own), int(np.isfinite(known).sum()))


def _waited(band: str, own: Sequence[Judged]) -> Waited:
    minutes = np.array([(one.given_at - one.received_at) / 60 for one in own])
    label = np.array([one.label == "abnormal" for one in own], np.int64)
    groups = np.unique([one.patient for one in own], return_inverse=True)[1]
    order = np.argsort(minutes)

    def statistic(weight: Weights) -> dict[str, Floats]:
        grown = np.cumsum(weight[:, order], axis=1)
        return {name: _quantile(minutes[order], grown, q) for name, q in (("median", 0.5), ("p95", 0.95))}

    found = bootstrap(statistic, Sample(label, groups), n_resamples=RESAMPLES)
    return Waited(band, len(own), found["median"], found["p95"], float(minutes.max()))


def _quantile(rising: Floats, grown: Floats, q: float) -> Floats:
    """The smallest value at which the share q is reached, by resample: `grown` (b, n) are cumulated weights."""
    reached = grown >= q * grown[:, -1:] - 1e-9
    found: Floats = rising[np.argmax(reached, axis=1)]
    return found


def arrivals(own: Sequence[Judged], zone: SiteZone) -> Floats:
    """Minutes since Monday 00:00 of the first week, as the clocks of the zone show them."""
    shown = [zone.at(one.received_at).replace(tzinfo=None) for one in own]
    monday = datetime.combine(shown[0].date() - timedelta(days=shown[0].weekday()), time())
    return np.array([(one - monday).total_seconds() / 60 for one in shown])


def _table(told: Sequence[Judged]) -> PredictionTable:
    return PredictionTable(
        image=np.array([str(one.study) for one in told]),
        label=np.array([LABEL_NAMES.index(one.label) for one in told], np.int8),
        probability=np.array([one.value for one in told], np.float64),
        patient=np.array([one.patient for one in told]),
    )

"""Triage: a worklist simulated as a queue. How much sooner is an abnormal image read, and how much later a normal one.

Every policy is given the same arrivals, reading times,
labels and probabilities (common random numbers), so that its difference to first-come is paired. With exponential times
and one reader the means are those of A. Cobham (Operations Research 2, 1954, 70-76).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from cxreader.codec import Plain, key
from cxreader.errors import DataError, TableError, UsageError
from cxreader.evaluation.statistics.intervals import LEVEL, Estimate
from cxreader.evaluation.worklist.policies import FIRST_COME, POLICIES, WorklistPolicy
from cxreader.evaluation.worklist.queueing import serve
from cxreader.evaluation.worklist.reading_room import ReadingRoom, ReadingTime, Shift
from cxreader.records import ABNORMAL, NORMAL, OperatingPoint, PredictionTable

Floats = NDArray[np.float64]
N_IMAGES, N_REPLICATIONS = 2000, 200
MOST_ARRIVALS, FEWEST_REPLICATIONS = 2_000_000, 20
"""Recorded times get fewer replications where more than `MOST_ARRIVALS` would be simulated in all, but never fewer than these."""
WHO = ("abnormal", "normal", "all")
MEASURES = ("mean", "p95", "maximum")


@dataclass(frozen=True, eq=False)
class Turnaround(Plain):
    """Minutes from arrival to the end of the reading under one policy: `times[who][measure]` by WHO and MEASURES.

    `maximum` is the mean over replications of the longest. `change` is the same minus first-come, paired; empty for
    first-come itself.
    """

    policy: WorklistPolicy = field(metadata=key("discipline"))
    times: dict[str, dict[str, Estimate]]
    change: dict[str, dict[str, Estimate]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Triage(Plain):
    """A worklist simulated under several policies, first-come first.

    `images_a_day` and `load` (reading minutes asked for over minutes that readers are there) describe the room, NaN where
    the recorded times do not tell; `note` says what a reader of the numbers must know of it. `reading` is None
    where real reading times were used. `prevalence` is the share of abnormal images, the sample's own unless `deployed`.
    `n_images` were counted in each replication.
    """

    results: tuple[Turnaround, ...]
    point: OperatingPoint
    prevalence: float
    deployed: bool
    images_a_day: float
    recorded: bool
    reading: ReadingTime | None
    shifts: tuple[Shift, ...]
    load: float
    n_images: int
    n_replications: int
    seed: int
    note: str | None = None


def simulate_triage(
    table: PredictionTable,
    point: OperatingPoint,
    room: ReadingRoom,
    *,
    policies: Sequence[WorklistPolicy] = POLICIES,
    prevalence: float | None = None,
    n_images: int = N_IMAGES,
    n_replications: int = N_REPLICATIONS,
    margin: int | None = None,
    seed: int = 0,
) -> Triage:
    """Simulate the worklist of `room`; label and probability of each arrival are drawn together from the table.

    `prevalence` in (0, 1) is the share of abnormal arrivals, by default the table's own. Of Poisson arrivals `margin`
    more (a tenth of `n_images`) come before and after the counted ones, so that the room is neither empty at the start
    nor drained at the end; recorded times are all counted, once a replication, with fewer
    replications where more than `MOST_ARRIVALS` would be simulated. The intervals are Student's over
    replications with seeds of their own: they tell how exact the simulation is, with these predictions held fixed.
    Raises UsageError for fewer than one image or two replications, TableError for a prevalence that does not lie between
    0 and 1, DataError for a table that lacks a class it needs.
    """
    if n_images < 1 or n_replications < 2 or (margin or 0) < 0:
        what = f"{n_images} images with a margin of {margin or 0} in {n_replications} replications bound nothing"
        raise UsageError(what, mend="take one image and two replications at least")
    asked = (FIRST_COME, *(d for d in dict.fromkeys(policies) if d != FIRST_COME))
    draw = _Draws.of(table, point, prevalence)
    if room.recorded is not None:
        n_images, margin = len(room.recorded.minutes), 0
        n_replications = min(n_replications, max(FEWEST_REPLICATIONS, MOST_ARRIVALS // max(1, n_images)))
    margin = n_images // 10 if margin is None else margin
    measured = np.empty((len(asked), n_replications, len(WHO), len(MEASURES)))
    for r, child in enumerate(np.random.SeedSequence(seed).spawn(n_replications)):
        generator = np.random.default_rng(child)
        arrival, reading = room.draw(generator, n_images + 2 * margin)
        images = draw(generator, len(arrival))
        counted = slice(margin, margin + n_images)
        for d, policy in enumerate(asked):
            finish = serve(arrival, reading, images.urgency(policy), room.shifts, policy.max_wait)
            measured[d, r] = _measure((finish - arrival)[counted], images.label[counted])
    return Triage(
        results=tuple(_turnaround(policy, measured[d], measured[0], table) for d, policy in enumerate(asked)),
        point=point,
        prevalence=float(np.mean(table.label)) if prevalence is None else prevalence,
        deployed=prevalence is not None,
        images_a_day=room.images_a_day,
        recorded=room.recorded is not None,
        reading=None if room.recorded is not None and room.recorded.reading is not None else room.reading,
        shifts=room.shifts,
        load=room.load,
        n_images=n_images,
        n_replications=n_replications,
        seed=seed,
        note=_note(room),
    )


def require_drawable(label: NDArray[np.integer], prevalence: float | None) -> None:
    """Nothing, if a worklist can be drawn from images of labels (n,) at this prevalence, by default their own.

    Raises TableError for a prevalence that does not lie between 0 and 1, DataError where a class is missing.
    """
    if prevalence is not None and not 0 < prevalence < 1:
        raise TableError(f"the prevalence {prevalence} lies not between 0 and 1", mend="give a share such as 0.1")
    needed = () if prevalence is None else (NORMAL, ABNORMAL)
    if len(label) == 0 or not all(np.any(label == value) for value in needed):
        raise DataError("the predictions lack a class to draw from", mend="give normal and abnormal images")


@dataclass(frozen=True, eq=False)
class _Images:
    """Arrivals (n,): label, probability of abnormal, and whether it is flagged."""

    label: NDArray[np.integer]
    probability: Floats
    flagged: NDArray[np.bool_]

    def urgency(self, policy: WorklistPolicy) -> Floats:
        """(n,): the lowest is read next."""
        if policy.order == "probability":
            return -self.probability
        return np.where(self.flagged & (policy.order == "flagged"), 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class _Draws:
    """Draws images of the table with replacement, at its own prevalence or at a stated one."""

    everyone: _Images
    prevalence: float | None

    @classmethod
    def of(cls, table: PredictionTable, point: OperatingPoint, prevalence: float | None) -> _Draws:
        require_drawable(table.label, prevalence)
        probability = np.asarray(table.probability, dtype=np.float64)
        return cls(_Images(np.asarray(table.label), probability, probability >= point.threshold), prevalence)

    def __call__(self, generator: np.random.Generator, n: int) -> _Images:
        label = self.everyone.label
        if self.prevalence is None:
            drawn = generator.integers(0, len(label), n)
        else:
            normal, abnormal = (generator.choice(np.flatnonzero(label == value), n) for value in (NORMAL, ABNORMAL))
            drawn = np.where(generator.random(n) < self.prevalence, abnormal, normal)
        return _Images(label[drawn], self.everyone.probability[drawn], self.everyone.flagged[drawn])


def _measure(minutes: Floats, label: NDArray[np.integer]) -> Floats:
    """MEASURES (columns) of WHO (rows); NaN where nobody came."""
    rows = np.full((len(WHO), len(MEASURES)), np.nan)
    for k, own in enumerate((minutes[label == ABNORMAL], minutes[label == NORMAL], minutes)):
        if len(own):
            rows[k] = own.mean(), np.quantile(own, 0.95), own.max()
    return rows


def _turnaround(policy: WorklistPolicy, own: Floats, first_come: Floats, table: PredictionTable) -> Turnaround:
    def estimates(values: Floats, how: str) -> dict[str, dict[str, Estimate]]:
        return {
            who: {measure: _estimate(values[:, i, j], how, table) for j, measure in enumerate(MEASURES)}
            for i, who in enumerate(WHO)
        }

    change = {} if policy == FIRST_COME else estimates(own - first_come, "paired with first come")
    return Turnaround(policy, estimates(own, "predictions held fixed"), change)


def _estimate(values: Floats, how: str, table: PredictionTable) -> Estimate:
    """Mean over replications (r,) with Student's interval."""
    defined = values[~np.isnan(values)]
    value = low = high = float("nan")
    reason = None
    if len(defined):
        value = float(defined.mean())
    if len(defined) < 2:
        reason = f"such an image came in {len(defined)} of {len(values)} replications"
    elif np.ptp(defined) <= 1e-12 * max(1.0, abs(value)):
        reason = "every replication gives the same value, which bounds nothing"
    else:
        half = student.ppf((1 + LEVEL) / 2, len(defined) - 1) * float(defined.std(ddof=1)) / np.sqrt(len(defined))
        low, high = value - float(half), value + float(half)
    n_positive = int(np.count_nonzero(table.label == ABNORMAL))
    n_patients = None if table.patient is None else len(np.unique(table.patient))
    method = f"Student's t over {len(defined)} replications, {how}"
    return Estimate(value, low, high, n_positive, len(table) - n_positive, n_patients, method, reason)


def _note(room: ReadingRoom) -> str | None:
    if not room.load >= 1:
        return None
    return (
        f"The readers cannot keep up: {room.load:.2f} reading minutes are asked for each minute that one is there, so "
        "the worklist grows, and with it every turnaround the longer it is simulated."
    )

"""Which image is read next, and when each is read: a queue of several readers whose places open and close."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import UsageError, nearest
from cxreader.evaluation.worklist.reading_room import WEEK, Shift

Floats = NDArray[np.float64]
Order = Literal["first-come", "flagged", "probability"]


@dataclass(frozen=True, slots=True)
class WorklistPolicy:
    """Which image is read next: `first-come`, the `flagged` ones first, or the one of highest `probability`.

    Images alike are read in the order of arrival. With `max_wait` in minutes those that have waited so long are read
    before all others, the oldest first. Raises UsageError for an unknown order and a wait that is not above 0 or stands
    beside first-come.
    """

    order: Order
    max_wait: float | None = None

    def __post_init__(self) -> None:
        if self.order not in get_args(Order):
            raise UsageError(f"no discipline is named {self.order!r}", mend=nearest(self.order, get_args(Order)))
        if self.max_wait is not None and (self.order == "first-come" or not 0 < self.max_wait < math.inf):
            what = f"a maximum wait of {self.max_wait} minutes does not fit {self.order!r}"
            raise UsageError(what, mend="give minutes above 0, with flagged or probability")

    def __str__(self) -> str:
        name = {"first-come": "first come", "flagged": "flagged first", "probability": "by probability"}[self.order]
        return name if self.max_wait is None else f"{name}, whoever waited {self.max_wait:g} min before all"


FIRST_COME = WorklistPolicy("first-come")
POLICIES = (FIRST_COME, WorklistPolicy("flagged"), WorklistPolicy("probability"))


def serve(
    arrival: Floats, reading: Floats, urgency: Floats, shifts: Sequence[Shift], max_wait: float | None = None
) -> Floats:
    """When each image is read, (n,) minutes: arrivals (n,) rising, reading times (n,), the lowest `urgency` (n,) next.

    A reader who is free takes from what has arrived; who finds nothing waits for the next arrival.
    """
    come, minutes, rank = arrival.tolist(), reading.tolist(), urgency.tolist()
    patience = np.inf if max_wait is None else max_wait
    desks = [desk for shift in shifts for desk in [_Desk(shift)] * shift.readers]
    finish: list[float | None] = [None] * len(come)
    waiting: list[tuple[float, int]] = []
    free = [(desk.opens(come[0]), k) for k, desk in enumerate(desks)] if come else []
    heapq.heapify(free)
    arrived = read = oldest = 0
    while read < len(come):
        now, k = heapq.heappop(free)
        while arrived < len(come) and come[arrived] <= now:
            heapq.heappush(waiting, (rank[arrived], arrived))
            arrived += 1
        if read == arrived:
            heapq.heappush(free, (desks[k].opens(come[arrived]), k))
            continue
        while finish[oldest] is not None:
            oldest += 1
        image = oldest
        if now - come[oldest] < patience:
            while finish[waiting[0][1]] is not None:
                heapq.heappop(waiting)
            image = heapq.heappop(waiting)[1]
        done = finish[image] = now + minutes[image]
        read += 1
        heapq.heappush(free, (desks[k].opens(done), k))
    return np.array(finish, dtype=np.float64)


class _Desk:
    """One reader's place: open in the hours of a shift, week after week."""

    def __init__(self, shift: Shift) -> None:
        self._begins, self._ends = zip(*shift.hours(), strict=True)

    def opens(self, time: float) -> float:
        """The first minute from `time` on at which it is open."""
        week, minute = divmod(time, WEEK)
        k = bisect_right(self._begins, minute) - 1
        if k >= 0 and minute < self._ends[k]:
            return time
        if k + 1 < len(self._begins):
            return float(week * WEEK + self._begins[k + 1])
        return float((week + 1) * WEEK + self._begins[0])

"""A queue of several readers whose shifts open and close: when each image is read."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.worklist.reading_room import WEEK, Shift

Floats = NDArray[np.float64]


def serve(
    arrival: Floats, reading: Floats, urgency: Floats, shifts: Sequence[Shift], max_wait: float | None = None
) -> Floats:
    """When the reading of each image ends, (n,) minutes since Monday 00:00.

    `arrival` (n,) rising and `reading` (n,) durations, in minutes; of the images that wait, the one of lowest `urgency`
    (n,) is read next, ties in the order of arrival, and one that has waited `max_wait` minutes before all. A queue without
    preemption: a reading that was begun is finished, past the end of its shift if need be. A free reader takes the next
    image at once, or waits for the next arrival.
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

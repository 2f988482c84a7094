from __future__ import annotations

import numpy as np

from cxreader.evaluation.worklist.queueing import serve
from cxreader.evaluation.worklist.reading_room import (
    ALWAYS,
    DAY,
    Shift,
)


def test_who_is_served_when_by_hand() -> None:
    arrival, reading = np.array([0.0, 1, 2, 3]), np.full(4, 10.0)
    urgency = np.array([0.5, 0.9, 0.9, 0.1])
    assert serve(arrival, reading, np.zeros(4), ALWAYS).tolist() == [10, 20, 30, 40]
    assert serve(arrival, reading, urgency, ALWAYS).tolist() == [10, 30, 40, 20]
    # At 10 the second has waited 9 minutes, at 20 the third 18.
    assert serve(arrival, reading, urgency, ALWAYS, 9).tolist() == [10, 20, 30, 40]
    assert serve(arrival, reading, urgency, ALWAYS, 9.5).tolist() == [10, 30, 40, 20]
    assert serve(arrival, reading, np.array([0, 3, 2, 1.0]), ALWAYS, 18).tolist() == [10, 30, 40, 20]
    assert serve(arrival, reading, np.zeros(4), (Shift(0, 24, 2),)).tolist() == [10, 11, 20, 21]
    assert serve(np.empty(0), np.empty(0), np.empty(0), ALWAYS).tolist() == []


def test_a_wait_of_nothing_is_first_come_and_of_for_ever_is_no_limit() -> None:
    generator = np.random.default_rng(0)
    arrival, reading = np.cumsum(generator.exponential(1, 500)), generator.exponential(1.1, 500)
    urgency = generator.random(500)
    for shifts in (ALWAYS, (Shift(8, 17, 2), Shift(17, 23))):
        first_come, by_urgency = (serve(arrival, reading, u, shifts) for u in (np.zeros(500), urgency))
        assert not np.array_equal(first_come, by_urgency)
        np.testing.assert_array_equal(serve(arrival, reading, urgency, shifts, 1e-9), first_come)
        np.testing.assert_array_equal(serve(arrival, reading, urgency, shifts, 1e9), by_urgency)


def test_readings_wait_for_the_shift_and_one_begun_is_finished() -> None:
    hour = 60.0
    shift = (Shift(8, 18),)
    arrival = np.array([7.0, 17.9, 18.0, 20.0]) * hour
    finish = serve(arrival, np.full(4, 30.0), np.zeros(4), shift)
    assert finish.tolist() == [8.5 * hour, 18.4 * hour, 32.5 * hour, 33 * hour]
    friday_evening = 4 * DAY + 20 * hour
    weekdays = (Shift(8, 18, 1, (0, 1, 2, 3, 4)),)
    assert serve(np.array([friday_evening]), np.array([5.0]), np.zeros(1), weekdays).tolist() == [
        7 * DAY + 8 * hour + 5
    ]
    night = (Shift(22, 6, 1, (6,)),)  # Sunday night, into the next week
    early = 7 * DAY + 3 * hour
    assert serve(np.array([early]), np.array([5.0]), np.zeros(1), night).tolist() == [early + 5]
    late = 7 * DAY + 6 * hour
    assert serve(np.array([late]), np.array([5.0]), np.zeros(1), night).tolist() == [13 * DAY + 22 * hour + 5]

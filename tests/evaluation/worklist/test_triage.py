from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from cxreader.errors import DataError, TableError, UsageError
from cxreader.evaluation.worklist import triage as simulation
from cxreader.evaluation.worklist.policies import FIRST_COME, POLICIES, WorklistPolicy
from cxreader.evaluation.worklist.queueing import serve
from cxreader.evaluation.worklist.reading_room import (
    ALWAYS,
    DAY,
    Arrivals,
    ReadingRoom,
    ReadingTime,
    Shift,
)
from cxreader.evaluation.worklist.triage import Triage, Turnaround, simulate_triage
from cxreader.records import OperatingPoint, PredictionTable

HALF = OperatingPoint("half", 0.5, "r", 1, 1)
# The standard error of the mean wait of n images in a M/M/1 queue of load r is, in parts of that mean, the square root of
# (2 + 5r - 4r^2 + r^3) / (r (1 - r)^2 n) (D. J. Daley, Journal of the Australian Mathematical Society 8, 1968, 683-699):
# 1.8 % at a load of 0.7 for these replications of 2,000 images. A reading that takes 3 % longer moves the turnaround
# by 8 % at a load of 0.6, which the bounds below, of three standard errors, do not let pass.
N_CHECKED = 100
FLAGGED, BY_PROBABILITY = WorklistPolicy("flagged"), WorklistPolicy("probability")


def _table(
    sensitivity: float = 1.0, specificity: float = 1.0, n: int = 1000, prevalence: float = 0.3
) -> PredictionTable:
    """A reader who flags exactly these shares, with 0.9 or 0.1."""
    n_abnormal = round(n * prevalence)
    label = np.repeat([1, 0], [n_abnormal, n - n_abnormal])
    hit, spared = round(n_abnormal * sensitivity), round((n - n_abnormal) * specificity)
    flagged = np.concatenate([np.arange(n_abnormal) < hit, np.arange(n - n_abnormal) >= spared])
    return PredictionTable(np.array([str(k) for k in range(n)]), label, np.where(flagged, 0.9, 0.1))


def _mean(result: Turnaround, who: str, within: float, expected: float, measure: str = "mean") -> None:
    """The closed form lies within one and a half half-widths (three standard errors), and these are narrow."""
    estimate = result.times[who][measure]
    half = (estimate.high - estimate.low) / 2
    assert half < within * expected
    assert abs(estimate.value - expected) < 1.5 * half, f"{estimate} is not {expected}"


def _room(kind: str, mean: float, load: float, sd: float | None = None, readers: int = 1) -> ReadingRoom:
    reading = ReadingTime(kind, mean, sd)  # type: ignore[arg-type]
    return ReadingRoom(reading, rate=load * readers * DAY / mean, shifts=(Shift(0, 24, readers),))


def test_one_reader_first_come_is_the_m_m_1_queue() -> None:
    """The turnaround is exponential with the mean m / (1 - load): 95 of 100 are done within ln 20 means."""
    room = _room("exponential", 6, 0.6)
    assert room.load == pytest.approx(0.6)
    (result,) = simulate_triage(_table(), HALF, room, policies=[FIRST_COME], n_replications=N_CHECKED).results
    _mean(result, "all", 0.02, 6 / 0.4)
    _mean(result, "abnormal", 0.02, 6 / 0.4)
    _mean(result, "all", 0.03, 6 / 0.4 * np.log(20), "p95")


@pytest.mark.parametrize(("sensitivity", "specificity"), [(1.0, 1.0), (0.8, 0.9)])
def test_flagged_first_is_cobhams_priority_queue(sensitivity: float, specificity: float) -> None:
    """Cobham 1954: waits W0 / (1 - high) and W0 / ((1 - high)(1 - load)), W0 = load x mean for exponential times."""
    load, mean, prevalence = 0.7, 6.0, 0.3
    table, room = _table(sensitivity, specificity, prevalence=prevalence), _room("exponential", mean, load)
    _, result = simulate_triage(table, HALF, room, policies=[FLAGGED], n_replications=N_CHECKED).results
    high = load * (prevalence * sensitivity + (1 - prevalence) * (1 - specificity))
    first, last = (mean + load * mean / (1 - high) / slow for slow in (1, 1 - load))
    _mean(result, "abnormal", 0.03, sensitivity * first + (1 - sensitivity) * last)
    _mean(result, "normal", 0.03, (1 - specificity) * first + specificity * last)


@pytest.mark.parametrize(("kind", "sd"), [("fixed", None), ("lognormal", 4.0)])
def test_other_reading_times_are_the_m_g_1_queue(kind: str, sd: float | None) -> None:
    """Pollaczek and Khinchine: the wait is rate x E[S^2] / (2 (1 - load))."""
    mean, load = 6.0, 0.6
    _, result = simulate_triage(
        _table(), HALF, _room(kind, mean, load, sd), policies=[FLAGGED], n_replications=N_CHECKED
    ).results
    residual = load / mean * (mean**2 + (sd or 0) ** 2) / 2
    _mean(result, "abnormal", 0.03, mean + residual / (1 - 0.3 * load))
    _mean(result, "normal", 0.05, mean + residual / (1 - 0.3 * load) / (1 - load))


def test_two_readers_are_the_m_m_2_queue() -> None:
    """Erlang C for two: the turnaround is m / (1 - load^2)."""
    (result,) = simulate_triage(
        _table(), HALF, _room("exponential", 6, 0.7, readers=2), policies=[], n_replications=N_CHECKED
    ).results
    _mean(result, "all", 0.02, 6 / (1 - 0.7**2))


def test_by_probability_is_the_queue_of_many_priorities() -> None:
    """With a share s of images above one's own, the wait is W0 / (1 - load s)^2 (Cobham's classes made ever finer)."""
    load, mean, n = 0.7, 6.0, 4000
    rank = (np.arange(n) + 0.5) / n
    label = (np.random.default_rng(0).random(n) < rank).astype(int)
    table = PredictionTable(np.array([str(k) for k in range(n)]), label, rank)
    _, result = simulate_triage(
        table, HALF, _room("exponential", mean, load), policies=[BY_PROBABILITY], n_replications=N_CHECKED
    ).results
    wait = load * mean / (1 - load * (1 - rank)) ** 2
    _mean(result, "abnormal", 0.03, mean + wait[label == 1].mean())
    _mean(result, "normal", 0.04, mean + wait[label == 0].mean())


def test_fixed_reading_times_leave_the_mean_of_all_alone_and_triage_only_moves_it() -> None:
    table, room = _table(0.8, 0.9), _room("fixed", 5, 0.8)
    first, *others = simulate_triage(table, HALF, room, n_images=300, margin=0, n_replications=10).results
    assert first.change == {}
    for result in others:
        change = result.change["all"]["mean"]
        assert change.value == pytest.approx(0, abs=1e-9)
        assert result.change["abnormal"]["mean"].high < 0 < result.change["normal"]["mean"].low


def test_intervals_are_students_and_changes_are_paired() -> None:
    table, room = _table(0.8, 0.9), _room("exponential", 5, 0.8)
    first, result = simulate_triage(
        table, HALF, room, policies=[FLAGGED], n_images=200, n_replications=12, seed=3
    ).results
    means: list[list[float]] = []
    for child in np.random.SeedSequence(3).spawn(12):
        generator = np.random.default_rng(child)
        arrival, reading = room.draw(generator, 240)
        drawn = generator.integers(0, 1000, 240)
        abnormal = table.label[drawn][20:220] == 1
        orders = np.zeros(240), (table.probability[drawn] < 0.5).astype(float)
        means.append([(serve(arrival, reading, u, ALWAYS) - arrival)[20:220][abnormal].mean() for u in orders])
    each = np.array(means)
    for found, values in (
        (first.times["abnormal"]["mean"], each[:, 0]),
        (result.times["abnormal"]["mean"], each[:, 1]),
        (result.change["abnormal"]["mean"], each[:, 1] - each[:, 0]),
    ):
        low, high = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
        assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high))
    assert "Student's t over 12 replications, paired with first come" in result.change["abnormal"]["mean"].method


def test_a_stated_prevalence_is_drawn() -> None:
    """Cobham's low class almost alone: the abnormal wait hardly behind their own kind."""
    room = _room("exponential", 6, 0.7)
    triage = simulate_triage(_table(), HALF, room, policies=[FLAGGED], prevalence=0.05, n_replications=N_CHECKED)
    assert (triage.prevalence, triage.deployed) == (0.05, True)
    _mean(triage.results[1], "abnormal", 0.04, 6 + 0.7 * 6 / (1 - 0.05 * 0.7))


def test_same_seed_same_numbers_and_first_come_is_always_there() -> None:
    table, room = _table(0.8, 0.9), _room("exponential", 5, 0.8)
    one, other, third = (
        simulate_triage(table, HALF, room, n_images=50, n_replications=3, seed=s).to_dict() for s in (1, 1, 2)
    )
    assert one == other != third
    only = simulate_triage(table, HALF, room, policies=[FLAGGED, FLAGGED], n_images=50, n_replications=3)
    assert [r.policy for r in only.results] == [FIRST_COME, FLAGGED]
    assert [r.policy for r in Triage.from_dict(one).results] == list(POLICIES)


def test_readers_who_cannot_keep_up_are_said() -> None:
    triage = simulate_triage(_table(), HALF, _room("fixed", 5, 1.25), n_images=20, n_replications=2)
    assert triage.note is not None
    assert "cannot keep up: 1.25 reading minutes" in triage.note
    assert simulate_triage(_table(), HALF, _room("fixed", 5, 0.9), n_images=20, n_replications=2).note is None
    # 120 images of 6 minutes against ten hours of two readers on five days of seven.
    room = ReadingRoom(ReadingTime("exponential", 6), rate=120, shifts=(Shift.parse("8-18x2@mon-fri"),))
    assert room.load == pytest.approx(120 * 6 * 7 / (5 * 2 * 600))


def test_a_large_record_has_fewer_replications_and_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (simulation.MOST_ARRIVALS, simulation.FEWEST_REPLICATIONS) == (2_000_000, 20)
    monkeypatch.setattr(simulation, "MOST_ARRIVALS", 3000)
    for n, asked, taken in ((100, 200, 30), (300, 200, 20), (100, 7, 7)):
        room = ReadingRoom(ReadingTime("exponential", 4), recorded=Arrivals(np.linspace(0, 6.0 * n, n)))
        triage = simulate_triage(_table(), HALF, room, policies=[FIRST_COME], n_replications=asked)
        assert triage.n_replications == taken
        assert f"over {taken} replications" in triage.results[0].times["all"]["mean"].method


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (0, "such an image came in 0 of 3 replications"),
        (1, "every replication gives the same value, which bounds nothing"),
    ],
)
def test_undefined_is_said_and_everything_round_trips(label: int, reason: str) -> None:
    table = PredictionTable(np.array(["a"]), np.array([label]), np.array([0.7]))
    arrivals = Arrivals(np.array([0.0]), np.array([4.0]))
    triage = simulate_triage(table, HALF, ReadingRoom(None, recorded=arrivals), n_replications=3)
    estimate = triage.results[0].times["abnormal"]["mean"]
    assert estimate.reason == reason
    assert np.isnan(estimate.low)
    assert np.isnan(triage.load)
    assert triage.reading is None
    text = json.dumps(triage.to_dict(), allow_nan=False)
    assert json.dumps(Triage.from_dict(json.loads(text)).to_dict(), allow_nan=False) == text


def test_round_trip() -> None:
    room = ReadingRoom(ReadingTime("lognormal", 5, 3), rate=80, shifts=(Shift(8, 18, 2), Shift(20, 8, 1, (5, 6))))
    asked = [*POLICIES, WorklistPolicy("probability", 90.0)]
    triage = simulate_triage(
        _table(0.8, 0.9), HALF, room, policies=asked, prevalence=0.1, n_images=40, n_replications=3
    )
    again = Triage.from_dict(json.loads(json.dumps(triage.to_dict(), allow_nan=False)))
    assert again.to_dict() == triage.to_dict()
    assert (again.shifts, again.reading, again.point) == (room.shifts, room.reading, HALF)
    assert str(again.results[-1].policy) == "by probability, whoever waited 90 min before all"


def test_real_times_are_served_as_they_stand() -> None:
    friday = 4 * DAY
    recorded = Arrivals(friday + np.array([480.0, 481, 1200]), np.array([10.0, 20, 5]))
    room = ReadingRoom(None, recorded=recorded, shifts=(Shift(8, 18),))
    triage = simulate_triage(_table(), HALF, room, policies=[], n_replications=5)
    assert (triage.n_images, triage.recorded, triage.reading) == (3, True, None)
    turnaround = [10.0, 29.0, 12 * 60 + 5.0]
    assert triage.results[0].times["all"]["mean"].value == pytest.approx(np.mean(turnaround))
    assert triage.results[0].times["all"]["maximum"].value == pytest.approx(725)
    assert triage.images_a_day == 3


def test_nonsense_is_refused() -> None:
    reading, table = ReadingTime("fixed", 5), _table()
    wrong_rooms = [
        lambda: ReadingTime("normal", 5),  # type: ignore[arg-type]
        lambda: ReadingTime("fixed", 5, 1),
        lambda: ReadingTime("lognormal", 5),
        lambda: ReadingTime("fixed", 0),
        lambda: ReadingTime("lognormal", 5, float("nan")),
        lambda: Shift(8, 18, 1, ()),
        lambda: Shift(8, 18, 1001),
        lambda: ReadingRoom(reading, rate=5, shifts=(Shift(8, 18, 600), Shift(18, 8, 600))),
        lambda: ReadingRoom(reading),
        lambda: ReadingRoom(reading, rate=5, recorded=Arrivals(np.zeros(1))),
        lambda: ReadingRoom(reading, rate=0),
        lambda: ReadingRoom(None, rate=5),
        lambda: ReadingRoom(reading, rate=5, shifts=()),
        lambda: WorklistPolicy("random"),  # type: ignore[arg-type]
        lambda: WorklistPolicy("first-come", 5),
        lambda: WorklistPolicy("flagged", 0),
        lambda: WorklistPolicy("flagged", float("inf")),
    ]
    for make in wrong_rooms:
        with pytest.raises(UsageError):
            make()
    room = ReadingRoom(reading, rate=5)
    for options in ({"n_images": 0}, {"n_replications": 1}, {"margin": -1}):
        with pytest.raises(UsageError, match="bound nothing"):
            simulate_triage(table, HALF, room, **options)  # type: ignore[arg-type]
    with pytest.raises(TableError, match="prevalence 0 lies not"):
        simulate_triage(table, HALF, room, prevalence=0)
    one_class = PredictionTable(np.array(["a"]), np.array([1]), np.array([0.7]))
    with pytest.raises(DataError, match="lack a class to draw from"):
        simulate_triage(one_class, HALF, room, prevalence=0.5)

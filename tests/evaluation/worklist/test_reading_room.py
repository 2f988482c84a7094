from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cxreader.errors import TableError, UsageError
from cxreader.evaluation.worklist.reading_room import (
    DAY,
    Arrivals,
    ReadingRoom,
    ReadingTime,
    Shift,
    read_arrivals,
)


def _recorded(days: tuple[int, ...]) -> Arrivals:
    """A hundred arrivals on each of these days, all of them between 8 and 18."""
    return Arrivals(np.concatenate([day * DAY + np.linspace(8 * 60, 18 * 60 - 1, 100) for day in days]))


@pytest.mark.parametrize(
    ("days", "shift", "a_day", "load"),
    [
        ((0, 1, 2, 3, 4), "8-18@mon-fri", 100, 400 / 600),
        ((2,), "8-18", 100, 400 / 600),
        ((2,), "8-18@wed", 100, 400 / 600),
        ((0, 1, 2, 3, 4, 7, 8, 9, 10, 11), "8-18x2@mon-fri", 1000 / 12, 4000 / (10 * 2 * 600)),
        ((3, 5), "20-8x1@fri-sat", 200 / 3, 800 / (16 * 60)),
        ((5, 6), "8-18@mon-fri", 100, float("nan")),
    ],
)
def test_recorded_times_ask_for_reading_on_the_days_they_cover(
    days: tuple[int, ...], shift: str, a_day: float, load: float
) -> None:
    """Friday 20 to midnight and Saturday 0 to 8 and 20 to midnight are the 16 hours of Thursday to Saturday by night."""
    room = ReadingRoom(ReadingTime("fixed", 4), recorded=_recorded(days), shifts=(Shift.parse(shift),))
    assert room.images_a_day == pytest.approx(a_day)
    assert room.load == pytest.approx(load, nan_ok=True)


def _csv(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_real_times_are_read_from_a_csv(tmp_path: Path) -> None:
    # 2024-03-01 was a Friday.
    text = "arrival,reading_minutes,who\n2024-03-04T08:30,3,x\n2024-03-01 08:15,4.5,y\n2024-03-01T10:00:30,2,z\n"
    arrivals = read_arrivals(_csv(tmp_path / "a.csv", text))
    friday = 4 * DAY
    assert arrivals.minutes.tolist() == [friday + 495, friday + 600.5, 7 * DAY + 510]
    assert arrivals.reading is not None
    assert arrivals.reading.tolist() == [4.5, 2, 3]
    zones = "arrival\n2024-03-01T08:00+01:00\n2024-03-01T07:30Z\n"
    in_zone = read_arrivals(_csv(tmp_path / "z.csv", zones))
    assert in_zone.minutes.tolist() == [friday + 480, friday + 510]
    assert in_zone.reading is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time\n2024-03-01T08:00\n", "has no column 'arrival'"),
        ("arrival\n", "has no arrival"),
        ("arrival\nyesterday\n", "row 2, column arrival: 'yesterday' is no time; write it as 2024-03-01T08:15"),
        ("arrival\n2024-03-01T08:00\n2024-03-01T08:00Z\n", "row 3, column arrival: a time has an offset, another has"),
        ("arrival,reading_minutes\n2024-03-01T08:00,0\n", "row 2, column reading_minutes: 0 minutes are not above 0"),
        ("arrival,reading_minutes\n2024-03-01T08:00,\n", "column reading_minutes"),
    ],
)
def test_a_damaged_table_of_times_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TableError) as error:
        read_arrivals(_csv(tmp_path / "a.csv", text))
    assert message in str(error.value)


def test_shifts_are_read_from_words() -> None:
    assert Shift.parse("8-18") == Shift(8, 18)
    assert Shift.parse("7.5-20x3@sat") == Shift(7.5, 20, 3, (5,))
    assert Shift.parse("20-8x1@SAT-mon") == Shift(20, 8, 1, (0, 5, 6))
    for wrong in ("8 to 18", "8-25", "24-8", "8-18x0", "8-18x1001", "8-18x" + "9" * 5000, "8-18@Samstag", "1.2.3-4"):
        with pytest.raises(UsageError):
            Shift.parse(wrong)


def test_reading_times_have_the_moments_asked_for() -> None:
    generator = np.random.default_rng(0)
    for reading, sd in (
        (ReadingTime("lognormal", 5, 3), 3),
        (ReadingTime("exponential", 5), 5),
        (ReadingTime("fixed", 5), 0),
    ):
        drawn: NDArray[np.float64] = reading.draw(generator, 200_000)
        assert drawn.mean() == pytest.approx(5, rel=0.01)
        assert drawn.std() == pytest.approx(sd, rel=0.02)

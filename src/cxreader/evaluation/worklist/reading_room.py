"""A reading room: when images arrive, how long a reading takes, and who is there to read.

All times are minutes since Monday 00:00.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import TableError, UsageError, nearest
from cxreader.evaluation.prediction_cells import Cells, numbers
from cxreader.tables import read_table

Floats = NDArray[np.float64]
HOUR, DAY, WEEK = 60.0, 1440.0, 10080.0
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TimeKind = Literal["exponential", "lognormal", "fixed"]
MOST_READERS = 1000
_HOUR = r"\d+(?:\.\d+)?"
_SHIFT = re.compile(
    rf"(?P<start>{_HOUR})-(?P<end>{_HOUR})(?:x(?P<readers>\d{{1,9}}))?(?:@(?P<first>[a-z]+)(?:-(?P<last>[a-z]+))?)?"
)


@dataclass(frozen=True, slots=True)
class ReadingTime:
    """How long one reading takes: its `mean` in minutes, and for `lognormal` its standard deviation `sd` in minutes.

    Raises UsageError for an unknown kind, a mean or sd that is not above 0, and an sd with another kind.
    """

    kind: TimeKind
    mean: float
    sd: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(TimeKind):
            raise UsageError(f"no reading time is named {self.kind!r}", mend=nearest(self.kind, get_args(TimeKind)))
        if (self.sd is not None) != (self.kind == "lognormal"):
            wants = "needs a standard deviation" if self.sd is None else "takes no standard deviation"
            raise UsageError(f"the reading time {self.kind!r} {wants}", mend="only lognormal has one of its own")
        for value in (self.mean, 1.0 if self.sd is None else self.sd):
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"a reading time of {value} minutes is not above 0", mend="give minutes such as 5")

    def draw(self, generator: np.random.Generator, n: int) -> Floats:
        """Reading times (n,) in minutes."""
        if self.kind == "fixed":
            return np.full(n, self.mean)
        if self.sd is None:
            return generator.exponential(self.mean, n)
        variance = math.log1p((self.sd / self.mean) ** 2)
        return generator.lognormal(math.log(self.mean) - variance / 2, math.sqrt(variance), n)


@dataclass(frozen=True, slots=True)
class Shift:
    """Readers who are there from hour `start` to hour `end` of each of `days` (0 Monday to 6 Sunday).

    Past midnight if `end` is not after `start`. Raises UsageError for hours outside 0 to 24, for no reader and more
    than `MOST_READERS`, and for no or an unknown day.
    """

    start: float
    end: float
    readers: int = 1
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)

    def __post_init__(self) -> None:
        if not (0 <= self.start < 24 and 0 < self.end <= 24):
            raise UsageError(
                f"a shift from {self.start:g} to {self.end:g} is not within a day", mend="write hours as 8-18"
            )
        if self.readers < 1 or not self.days or not set(self.days) <= set(range(7)):
            raise UsageError(f"a shift has {self.readers} readers on days {self.days}", mend="give one or more of each")
        _refuse_crowds(self.readers)

    @classmethod
    def parse(cls, text: str) -> Shift:
        """`8-18`, `8-18x2` (two readers) or `8-18x2@mon-fri`; raises UsageError."""
        match = _SHIFT.fullmatch(text.strip().lower())
        if match is None:
            raise UsageError(f"{text!r} is no shift", mend="write for example 8-18, 8-18x2 or 20-8x1@sat-sun")
        first, last = match["first"] or "mon", match["last"] or match["first"] or "sun"
        for day in (first, last):
            if day not in DAYS:
                raise UsageError(f"{day!r} is no day of {text!r}", mend=nearest(day, DAYS))
        a, b = DAYS.index(first), DAYS.index(last)
        days = tuple((a + k) % 7 for k in range((b - a) % 7 + 1))
        return cls(float(match["start"]), float(match["end"]), int(match["readers"] or 1), tuple(sorted(days)))

    def hours(self) -> list[tuple[float, float]]:
        """The open stretches of a week in minutes, each inside the week."""
        length = (self.end - self.start) % 24 or 24.0
        stretches = []
        for day in self.days:
            begin = day * DAY + self.start * HOUR
            end = begin + length * HOUR
            stretches.append((begin, min(end, WEEK)))
            if end > WEEK:
                stretches.append((0.0, end - WEEK))
        return sorted(stretches)


def _refuse_crowds(readers: int) -> None:
    if readers > MOST_READERS:
        raise UsageError(f"{readers:,} readers are too many to simulate", mend=f"give at most {MOST_READERS:,} in all")


ALWAYS = (Shift(0, 24),)


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Real times: `minutes` (n,) rising since Monday 00:00 of the first week, `reading` (n,) minutes each or None."""

    minutes: Floats
    reading: Floats | None = None


@dataclass(frozen=True, eq=False)
class ReadingRoom:
    """Arrivals, reading times and shifts. Either `rate` images a day (Poisson), or `recorded` times.

    `reading` is needed unless the recorded times have their own. Raises UsageError for both or neither, for a rate that
    is not above 0, where no reading time is known, and for more than `MOST_READERS` readers over all shifts.
    """

    reading: ReadingTime | None
    rate: float | None = None
    recorded: Arrivals | None = None
    shifts: tuple[Shift, ...] = ALWAYS

    def __post_init__(self) -> None:
        if (self.rate is None) == (self.recorded is None):
            raise UsageError("give either a rate a day or recorded arrivals", mend="leave one of them out")
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise UsageError(f"a rate of {self.rate} images a day is not above 0", mend="give a number such as 120")
        if self.reading is None and (self.recorded is None or self.recorded.reading is None):
            raise UsageError("no reading time is known", mend="give a mean in minutes, or a column reading_minutes")
        if not self.shifts:
            raise UsageError("nobody reads: there is no shift", mend="give a shift such as 8-18")
        _refuse_crowds(sum(shift.readers for shift in self.shifts))

    @property
    def load(self) -> float:
        """Reading minutes asked for over minutes that readers are there; from 1 on they cannot keep up.

        Of recorded times both are those of the days that the record covers; NaN where nobody reads on any of them.
        """
        manned = self._manned_a_day()
        return self.images_a_day * self.minutes_a_reading / manned if manned else float("nan")

    @property
    def images_a_day(self) -> float:
        """The rate, or recorded images over the calendar days from the first to the last, both whole.

        NaN for fewer than two different times.
        """
        if self.recorded is None:
            return float(self.rate or 0)
        covered = self._covered_days()
        return len(self.recorded.minutes) / len(covered) if len(covered) else float("nan")

    def _covered_days(self) -> range:
        """Days since Monday of the first week, from the first recorded time to the last; none where they do not differ."""
        minutes = np.empty(0) if self.recorded is None else self.recorded.minutes
        if len(minutes) == 0 or np.ptp(minutes) == 0:
            return range(0)
        return range(int(minutes.min() // DAY), int(minutes.max() // DAY) + 1)

    def _manned_a_day(self) -> float:
        """Minutes that readers are there, a day: over a week, or over the days that the recorded times cover."""
        week = np.zeros(7)
        for shift in self.shifts:
            for begin, end in shift.hours():
                midnights = np.arange(8) * DAY
                week += shift.readers * np.diff(np.clip(midnights, begin, end))
        covered = np.array(self._covered_days() or range(7))
        return float(week[covered % 7].mean())

    @property
    def minutes_a_reading(self) -> float:
        """Mean reading time in minutes."""
        if self.recorded is not None and self.recorded.reading is not None:
            return float(self.recorded.reading.mean())
        return self.reading.mean if self.reading else float("nan")

    def draw(self, generator: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        """Arrivals (n,) rising and reading times (n,) in minutes; of recorded times all, whatever `n`."""
        recorded = self.recorded or Arrivals(np.cumsum(generator.exponential(DAY / (self.rate or 1), n)))
        if recorded.reading is not None or self.reading is None:
            return recorded.minutes, np.empty(0) if recorded.reading is None else recorded.reading
        return recorded.minutes, self.reading.draw(generator, len(recorded.minutes))


def read_arrivals(path: str | os.PathLike[str]) -> Arrivals:
    """Real times from a table: `arrival` as ISO 8601 (`2024-03-01T08:15`), and `reading_minutes` if it is there.

    Rows may stand in any order. Times with an offset are taken as the clock of the first row shows them, times without
    one as they stand. Raises TableError naming file, row and column.
    """
    table = read_table(path)
    if "arrival" not in table:
        raise TableError(
            "has no column 'arrival'", where=path, mend=f"name one so; {nearest('arrival', table.names())}"
        )
    cells = Cells.of(table)
    if not len(cells):
        raise TableError("has no arrival", where=path, mend="give one row an image")
    times = [_time(text, cells.at(n, "arrival")) for n, text in enumerate(cells.columns["arrival"])]
    zone = times[0].tzinfo
    for n, time in enumerate(times):
        if (time.tzinfo is None) != (zone is None):
            what = "a time has an offset, another has none"
            raise TableError(what, where=cells.at(n, "arrival"), mend="write all of them alike")
    clock = [time if zone is None else time.astimezone(zone) for time in times]
    minutes = np.array([(time - _monday(min(clock))) / timedelta(minutes=1) for time in clock])
    order = np.argsort(minutes, kind="stable")
    return Arrivals(minutes[order], _reading_minutes(cells)[order] if "reading_minutes" in table else None)


def _time(text: str, where: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise TableError(f"{text!r} is no time", where=where, mend="write it as 2024-03-01T08:15") from None


def _monday(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=time.weekday())


def _reading_minutes(cells: Cells) -> Floats:
    reading = numbers(cells, "reading_minutes", empty=False)
    wrong = np.flatnonzero(~(np.isfinite(reading) & (reading > 0)))
    if len(wrong):
        place = cells.at(int(wrong[0]), "reading_minutes")
        raise TableError(f"{reading[wrong[0]]:g} minutes are not above 0", where=place, mend="give minutes such as 5")
    return reading

"""What the benchmarks share: repetitions that take turns, the median with its range, and one row of the table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some repetitions, and the smallest and largest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of one value a repetition."""
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1])

    def text(self, digits: int, unit: str = "") -> str:
        """Such as `12.3 (11.8-12.9) s`, or `12.3 s` of one repetition; the unit stands behind."""
        numbers = f"{self.median:,.{digits}f}"
        if self.low < self.high:
            numbers += f" ({self.low:,.{digits}f}-{self.high:,.{digits}f})"
        return f"{numbers} {unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: what was measured (sizes in it), ours, the peer's, their ratio (above 1: ours is faster).

    `goal` in words and `met`: None where there is no goal.
    """

    what: str
    ours: str
    peer: str = ""
    ratio: Spread | None = None
    goal: str = ""
    met: bool | None = None


def take_turns(tasks: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, tuple[float, ...]]:
    """Seconds of each task in each repetition. Each runs once unmeasured; then all run in each repetition, in turning order.

    What disturbs the machine for a while so disturbs all of them, and a ratio is taken inside one repetition.
    """
    names = list(tasks)
    for name in names:
        tasks[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repetitions):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            start = time.perf_counter()
            tasks[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: tuple(values) for name, values in seconds.items()}


def rates(count: int, seconds: Iterable[float]) -> Spread:
    """Things a second, over the repetitions."""
    return Spread.of(count / s for s in seconds)


def ratios(peer: Iterable[float], ours: Iterable[float]) -> Spread:
    """How many times as long the peer took, repetition by repetition."""
    return Spread.of(p / o for p, o in zip(peer, ours, strict=True))


def peak_mib() -> float:
    """The most memory this process has held so far, in MiB; of Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))

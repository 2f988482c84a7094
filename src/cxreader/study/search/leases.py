"""Who tries which point: a worker holds the lock in the point's folder while it trains, and the system frees it when it dies.

A point's folder tells how it stands. `record.json`: it is finished, unless it failed in an earlier start. A lock held on
`attempts.lock`: a worker is at it. The lines of that file: `SESSION PID` for each attempt, then `SESSION failed` if it
failed, so that an attempt of this session with neither a record nor a lock is a worker that died.
"""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from cxreader.config import Config, with_values
from cxreader.locks import lock, try_lock
from cxreader.runs import RunFolder, write_json
from cxreader.study.search.record import (
    ATTEMPTS,
    LOCK,
    POINTS,
    RECORD,
    TRIALS,
    State,
    Trial,
    begin_record,
    read_trial,
    trial_folder,
    write_record,
)
from cxreader.study.search.space import Point, Space, key_of, read_space

if TYPE_CHECKING:
    import optuna

DEATHS = 3
"""A point whose worker dies so often in one session is given up: it is likely to be what kills it."""
DIED = f"its worker died {DEATHS} times (killed, perhaps for want of memory)"


@dataclass(frozen=True, slots=True)
class TrialLease:
    """A point that belongs to one worker until it closes `file` or ends.

    `place`: the point's number from 0. `attempt`: from 1, over all sessions. `trial`: Optuna's, None for a plain grid.
    """

    place: int
    point: Point
    attempt: int
    trial: optuna.Trial | None
    file: FileIO


class SearchLeases:
    """Leases on the points of one search folder, for one session of it. Safe between processes; each opens its own.

    Optuna is used for points drawn by TPE and for pruning; a plain grid needs its folders alone.
    """

    def __init__(self, folder: Path, config: Config, session: str) -> None:
        self.folder, self.config, self.session = folder, config, session
        self.space = read_space(config)
        self._over: set[int] = set()
        self.study = None
        if not self.space.is_grid or config.study.pruning != "none":
            from cxreader.study.search.optuna_study import OptunaStudy

            with lock(folder / LOCK):
                self.study = OptunaStudy(folder, self.space, config)

    def close(self) -> None:
        """Close Optuna's database."""
        if self.study is not None:
            self.study.close()

    def take(self) -> TrialLease | None:
        """The first point that is neither finished nor held, or one newly drawn; None where there is none."""
        with lock(self.folder / LOCK):
            while True:
                if self.study is not None:
                    self.study.reclaim_dead()
                points = self._points()
                for place, point in points.items():
                    if (lease := self._lease(place, point)) is not None:
                        return lease
                if self.study is None or len(points) >= self.space.n_trials:
                    return None
                drawn = self.study.draw(len(points))
                if (lease := self._lease(len(points), drawn.params, drawn)) is not None:
                    return lease

    def end(self, lease: TrialLease, state: State, score: float | None = None) -> None:
        """The lease's trial is over and its record written: `score` is that of a complete one."""
        if state == "failed":
            _note(lease.file, f"{self.session} failed")
        if self.study is not None and lease.trial is not None:
            with lock(self.folder / LOCK):
                self.study.tell(lease.trial, state, score)

    def _points(self) -> dict[int, Point]:
        if not self.space.is_grid:
            assert self.study is not None  # noqa: S101 - what is drawn, Optuna draws
            return self.study.points()
        return dict(enumerate(grid_points(self.folder, self.space)))

    def _lease(self, place: int, point: Point, trial: optuna.Trial | None = None) -> TrialLease | None:
        """None where the point is finished, held, or now given up; without a `trial` Optuna makes another."""
        folder = trial_folder(self.folder, place, point)
        if place in self._over or (file := try_lock(folder / ATTEMPTS, make_folder=True)) is None:
            return None
        attempts = _attempts(folder)
        if finished_trial(folder, self.session) is None:
            if sum(line.startswith(f"{self.session} ") for line in attempts) < DEATHS:
                _note(file, f"{self.session} {os.getpid()}")
                if self.study is not None and trial is None:
                    trial = self.study.ask(place, point)
                before = sum(not line.endswith(" failed") for line in attempts)
                return TrialLease(place, point, before + 1, trial, file)
            about = with_values(self.config, point).model_dump(mode="json")
            write_record(folder, begin_record(place, point, about), "failed", DIED, phases=[])
            _note(file, f"{self.session} failed")
        file.close()
        self._over.add(place)
        return None


def grid_points(search: Path, space: Space) -> list[Point]:
    """All points of a grid in the order of their numbers: those the search was begun with, then those it gained."""
    file = search / POINTS
    kept: list[Point] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    known = {key_of(point) for point in kept}
    return kept + [point for point in space.points() if key_of(point) not in known]


def keep_points(search: Path, space: Space) -> None:
    """Write down the numbers of a grid's points, so that they stay when it grows."""
    write_json(search / POINTS, grid_points(search, space))


def keep_begun_points(search: Path) -> None:
    """`keep_points` of a grid that an earlier version began in the folder, if there is one."""
    if (search / TRIALS).exists() and not (search / POINTS).exists():
        space = read_space(RunFolder(search).load_config())
        if space.is_grid:
            keep_points(search, space)


def finished_trial(folder: Path, session: str) -> Trial | None:
    """The trial of a point's folder, None where it waits or runs: what failed before this session is tried again."""
    trial = read_trial(folder) if (folder / RECORD).exists() else None
    if trial is not None and trial.state == "failed" and f"{session} failed" not in _attempts(folder):
        return None
    return trial


def finished_trials(search: Path, session: str, known: Container[Path] = ()) -> Iterator[Trial]:
    """Trials that are over for this session, but those whose folders are `known`."""
    for folder in (search / TRIALS).glob("*"):
        if folder not in known and (trial := finished_trial(folder, session)) is not None:
            yield trial


def attempted_by(search: Path) -> set[str]:
    """Process numbers of all that ever began a point."""
    return {line.split()[-1] for folder in (search / TRIALS).glob("*") for line in _attempts(folder)}


def _attempts(folder: Path) -> list[str]:
    file = folder / ATTEMPTS
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _note(file: FileIO, line: str) -> None:
    file.seek(0, os.SEEK_END)
    file.write(f"{line}\n".encode())

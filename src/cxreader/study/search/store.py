"""Who tries which point: Optuna's SQLite storage behind a file lock, so that every point is finished once.

Optuna's ask draws a random point when none waits, and its GridSampler may give one point to two workers; here a claim, a
result and the return of a dead worker's point are each one step under the lock.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from cxreader.config import Choice, Config
from cxreader.data.dataset import derive_seed
from cxreader.errors import UsageError
from cxreader.locks import lock
from cxreader.study.search.process import Process
from cxreader.study.search.space import MOST_LISTED, Point, Space, key_of

DATABASE, LOCK = "search.db", "search.lock"
DEATHS = 3
"""A point whose worker dies so often in one session is given up: it is likely to be what kills it."""
DIED = f"its worker died {DEATHS} times (killed, perhaps for want of memory)"
_REDRAWS = 10
_NAME = "search"
_OPEN = (TrialState.WAITING, TrialState.RUNNING)
_DONE = (TrialState.COMPLETE, TrialState.PRUNED)
FINISHED = ("complete", "pruned", "failed")


@dataclass(frozen=True, slots=True)
class TrialLease:
    """A point that belongs to one worker: `place` is the point's own number from 0, `attempt` counts from 1."""

    trial: Trial
    place: int
    point: Point
    attempt: int


@dataclass(frozen=True, slots=True)
class TrialStatus:
    """How a point stands: waiting, running, complete, pruned, or failed; `died` when its workers' deaths ended it."""

    place: int
    point: Point
    state: str
    died: bool = False


class SearchStore:
    """The trials of one search folder. Safe between processes; each opens its own."""

    def __init__(self, folder: Path, space: Space, config: Config) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder, self.space, self.seed = folder, space, config.seed
        self.session = 0
        direction: Literal["minimize", "maximize"] = "minimize" if config.training.monitor == "loss" else "maximize"
        pruner = optuna.pruners.MedianPruner() if config.study.pruning == "median" else optuna.pruners.NopPruner()
        with self.alone():
            self._storage = optuna.storages.RDBStorage(
                f"sqlite:///{folder / DATABASE}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            self.study: Study = optuna.create_study(
                storage=self._storage,
                study_name=_NAME,
                direction=direction,
                sampler=RandomSampler(seed=0),
                pruner=pruner,
                load_if_exists=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._storage.engine.dispose()

    def begin(self, session: int | None = None) -> int:
        """Take up a session, a new one when none is given: what failed before is tried again, and deaths count from 0."""
        with self.alone():
            if session is None:
                session = int(self.study.user_attrs.get("session", 0)) + 1
                self.study.set_user_attr("session", session)
            self.session = session
            self._settle()
        return session

    def claim(self) -> TrialLease | None:
        """A point for this process; None when no point waits and none is to be drawn."""
        with self.alone():
            self._settle()
            trials = self._trials()
            waiting = next((trial for trial in trials if trial.state == TrialState.WAITING), None)
            if waiting is not None:
                place, point = _place(waiting), dict(waiting.system_attrs["fixed_params"])
                trial = self.study.ask(self.space.distributions())
            elif self.space.trials is not None and (place := len(_by_place(trials))) < self.space.trials:
                trial, point = self._draw(trials, place)
                trial.set_user_attr("place", place)
            else:
                return None
            attempt = 1 + sum(other.user_attrs.get("place") == place for other in trials if other.number < trial.number)
            trial.set_user_attr("session", self.session)
            trial.set_user_attr("worker", Process.own().to_list())
            return TrialLease(trial, place, point, attempt)

    def complete(self, claim: TrialLease, score: float) -> None:
        """The claim's score is final."""
        with self.alone():
            self.study.tell(claim.trial, score)

    def end(self, claim: TrialLease, state: str) -> None:
        """The claim ends without a score: `pruned`, `failed`, or `released` for another worker to take."""
        with self.alone():
            claim.trial.set_user_attr("ended", state)
            self.study.tell(claim.trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)

    def reclaim_dead(self) -> list[TrialStatus]:
        """Give dead workers' points back, and tell how every point stands, in their order."""
        with self.alone():
            return self._settle()

    def claimants(self) -> set[int]:
        """Process numbers of all that ever claimed a point."""
        return {int(worker[0]) for trial in self._trials() if (worker := trial.user_attrs.get("worker"))}

    @property
    def size(self) -> int:
        """Points that the search ends with."""
        return self.space.trials if self.space.trials is not None else self.space.size() or 0

    def _draw(self, trials: list[FrozenTrial], place: int) -> tuple[Trial, dict[str, Choice]]:
        """A point that nobody drew before. One that was is told as failed, which teaches the sampler nothing."""
        drawn = {key_of(_point(of_place)) for of_place in _by_place(trials).values()}
        for n in range(_REDRAWS * 100):
            self.study.sampler = self._sampler(len(trials) + n)
            undrawn = self._undrawn(drawn, len(trials)) if n >= _REDRAWS else None
            if undrawn is not None:
                self.study.enqueue_trial(undrawn, user_attrs={"place": place})
            trial = self.study.ask(self.space.distributions())
            if key_of(trial.params) not in drawn:
                return trial, dict(trial.params)
            trial.set_user_attr("ended", "drawn before")
            self.study.tell(trial, state=TrialState.FAIL)
        raise UsageError("TPE draws nothing new", where="study.trials", mend="set it lower, or widen the space")

    def _sampler(self, trials: int) -> BaseSampler:
        """TPE (Bergstra et al., NIPS 2011), seeded by how many trials there are: a process that starts anew draws on."""
        seed = derive_seed(self.seed, "search", trials) % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return TPESampler(seed=seed, constant_liar=True)

    def _undrawn(self, drawn: set[str], trials: int) -> dict[str, Choice] | None:
        """A random point of a small space that was not drawn yet."""
        size = self.space.size()
        if size is None or size > MOST_LISTED:
            return None
        left = [point for point in self.space.points() if key_of(point) not in drawn]
        return left[derive_seed(self.seed, "undrawn", trials) % len(left)]

    def _settle(self) -> list[TrialStatus]:
        """Whatever moment a process was killed at, this brings order; doing it twice changes nothing."""
        for trial in self._trials():
            if trial.state == TrialState.RUNNING and not _alive(trial):
                self._storage.set_trial_user_attr(trial._trial_id, "ended", "stale")
                self.study.tell(trial.number, state=TrialState.FAIL)
        found = _by_place(self._trials())
        points: dict[int, Point] = dict(enumerate(self.space.points())) if self.space.is_grid else {}
        points |= {place: _point(trials) for place, trials in found.items()}
        standings = []
        for place, point in sorted(points.items()):
            standing = self._standing(place, point, found.get(place, []))
            if standing.state == "open":
                self.study.enqueue_trial(dict(point), user_attrs={"place": place})
                standing = TrialStatus(place, point, "waiting")
            standings.append(standing)
        return standings

    def _standing(self, place: int, point: Point, trials: list[FrozenTrial]) -> TrialStatus:
        """`open` for a point that nobody has finished, has given up, or waits for."""
        for state in (*_DONE, *_OPEN):
            if any(trial.state == state for trial in trials):
                return TrialStatus(place, point, state.name.lower())
        ends = [trial.user_attrs.get("ended") for trial in trials if trial.user_attrs.get("session") == self.session]
        if "failed" in ends:
            return TrialStatus(place, point, "failed")
        if ends.count("stale") >= DEATHS:
            return TrialStatus(place, point, "failed", died=True)
        return TrialStatus(place, point, "open")

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process claims, ends or settles meanwhile; not to be entered twice."""
        with lock(self.folder / LOCK):
            yield


def _by_place(trials: list[FrozenTrial]) -> dict[int, list[FrozenTrial]]:
    """Trials of each point; those killed before they had one, and points drawn twice, belong to none."""
    found: dict[int, list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if "place" in trial.user_attrs:
            found[_place(trial)].append(trial)
    return found


def _place(trial: FrozenTrial) -> int:
    return int(trial.user_attrs["place"])


def _point(trials: list[FrozenTrial]) -> dict[str, Any]:
    """What was drawn is in the first trial's parameters; what was put in the queue stands there from the start."""
    first = trials[0]
    fixed: Mapping[str, Any] | None = first.system_attrs.get("fixed_params")
    return dict(first.params if fixed is None else fixed)


def _alive(trial: FrozenTrial) -> bool:
    """Under the lock a running trial without a worker is one that died between asking and saying who it is."""
    worker = trial.user_attrs.get("worker")
    return worker is not None and Process.from_list(worker).is_alive()

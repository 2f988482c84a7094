"""Optuna's study in `search.db`, shared by all workers: points drawn by TPE, and what pruning compares.

Optuna's ask draws a random point when none waits, and its GridSampler may give one point to two workers; here every method
is called under the search's lock, and who tries a point is decided by the lock in the point's folder.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from cxreader.config import Choice, Config, RangeSection
from cxreader.data.dataset import derive_seed
from cxreader.errors import UsageError
from cxreader.locks import is_held
from cxreader.study.search.record import ATTEMPTS, DATABASE, RECORD, State, read_trial, trial_folder
from cxreader.study.search.space import MOST_LISTED, Point, Space, key_of

_REDRAWS = 10
_NAME = "search"
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The space as Optuna has it."""
    return {key: _distribution(given, whole=key in space.whole) for key, given in space.values.items()}


class OptunaStudy:
    """The study of one search folder; each process opens its own."""

    def __init__(self, folder: Path, space: Space, config: Config) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder, self.space, self.seed = folder, space, config.seed
        self.distributions = distributions(space)
        direction: Literal["minimize", "maximize"] = "minimize" if config.training.monitor == "loss" else "maximize"
        pruner = optuna.pruners.MedianPruner() if config.study.pruning == "median" else optuna.pruners.NopPruner()
        self._storage = optuna.storages.RDBStorage(
            f"sqlite:///{folder / DATABASE}", engine_kwargs={"connect_args": {"timeout": 60}}
        )
        self.study = optuna.create_study(
            storage=self._storage,
            study_name=_NAME,
            direction=direction,
            sampler=RandomSampler(seed=0),
            pruner=pruner,
            load_if_exists=True,
        )

    def close(self) -> None:
        """Close the database."""
        self._storage.engine.dispose()

    def points(self) -> dict[int, Point]:
        """The points drawn so far, by place from 0."""
        first: dict[int, Point] = {}
        for trial in self._trials():
            if "place" in trial.user_attrs:  # one killed before it had a place, or drawn twice, belongs to none
                first.setdefault(trial.user_attrs["place"], _point(trial))
        return dict(sorted(first.items()))

    def ask(self, place: int, point: Point) -> Trial:
        """A trial of this point."""
        self.study.enqueue_trial(dict(point), user_attrs={"place": place})
        # Optuna refuses other values under one name, and a grid may gain some: its points stand in the queue alone.
        return self.study.ask({} if self.space.is_grid else self.distributions)

    def draw(self, place: int) -> Trial:
        """A trial of a point that was not drawn before. One that was is told as failed, which teaches the sampler nothing.

        Raises UsageError when TPE finds no further one.
        """
        trials = len(self._trials())
        drawn = {key_of(point) for point in self.points().values()}
        for n in range(_REDRAWS * 100):
            self.study.sampler = self._sampler(trials + n)
            undrawn = self._undrawn(drawn, trials) if n >= _REDRAWS else None
            trial = self.study.ask(self.distributions) if undrawn is None else self.ask(place, undrawn)
            if key_of(trial.params) not in drawn:
                trial.set_user_attr("place", place)
                return trial
            self.study.tell(trial, state=TrialState.FAIL)
        raise UsageError("TPE draws nothing new", where="study.trials", mend="set it lower, or widen the space")

    def tell(self, trial: Trial | int, state: State, score: float | None) -> None:
        """The end of a trial; `score` of a complete one."""
        self.study.tell(trial, score if state == "complete" else None, state=_STATES[state])

    def reclaim_dead(self) -> None:
        """Tell the end of trials whose worker died before it could, as their record has it; without one they failed."""
        while any(trial.state == TrialState.WAITING for trial in self._trials()):
            self.study.ask()  # killed between the two steps of `ask`, or put in the queue by an earlier version
        for trial in self._trials():
            if trial.state == TrialState.RUNNING:
                place = trial.user_attrs.get("place", -1)  # without one it was killed while it was drawn
                folder = trial_folder(self.folder, place, _point(trial))
                if not is_held(folder / ATTEMPTS):
                    found = read_trial(folder) if (folder / RECORD).exists() else None
                    self.tell(trial.number, *(("failed", None) if found is None else (found.state, found.score)))

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

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)


def _distribution(given: tuple[Choice, ...] | RangeSection, *, whole: bool) -> BaseDistribution:
    if not isinstance(given, RangeSection):
        return CategoricalDistribution(list(given))
    if whole:
        return IntDistribution(int(given.low), int(given.high), log=given.log)
    return FloatDistribution(given.low, given.high, log=given.log)


def _point(trial: FrozenTrial) -> Point:
    """What was put in the queue stands in `fixed_params` from the start; what was drawn, in the parameters."""
    fixed: Point | None = trial.system_attrs.get("fixed_params")
    return dict(trial.params if fixed is None else fixed)

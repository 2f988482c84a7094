"""One worker of a search: claims a point, trains it on train and tune, writes its record, until no point is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
from cxreader.machine import end_with_parent, keep_pages

# isort: split
import torch

from cxreader.config import Config, with_values
from cxreader.data.dataset import CachedImages
from cxreader.data.pixel_cache.cache import PixelCache
from cxreader.progress import Bar, Say, no_bar, silent
from cxreader.runs import RunFolder, write_json
from cxreader.study.search.leases import SearchLeases, TrialLease
from cxreader.study.search.peak_memory import PeakMemory
from cxreader.study.search.record import (
    State,
    Trial,
    begin_record,
    read_trial,
    reason_of,
    trial_folder,
    write_record,
    write_table,
)
from cxreader.study.search.space import Point, network_variants, read_space
from cxreader.training.cohort import input_spec
from cxreader.training.phases import PhaseResult, planned_phases
from cxreader.training.train import Learnt, build_model, frozen_outputs, learn

PARTS = ("train", "tune")
"""The parts of the split that a search is given."""


@dataclass(frozen=True, slots=True)
class Task:
    """All that a worker is given. `parts`: of train and tune the rows in the pixel cache, labels and supervision; no more.

    `session`: a name of this start of the search. `threads` of torch; None leaves them as they are.
    """

    config: Config
    folder: Path
    parts: Mapping[str, tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.float32] | None]]
    session: str
    threads: int | None

    def images(self) -> dict[str, CachedImages]:
        """The parts on the search's pixel cache."""
        pixels = PixelCache.open(cache_folder(self.config, self.folder), input_spec(self.config)).pixels
        return {name: CachedImages(pixels, *columns) for name, columns in self.parts.items()}


def cache_folder(config: Config, folder: Path) -> Path:
    """Where the search keeps pixels and frozen outputs, for all trials."""
    return RunFolder(folder).cache if config.data.cache is None else Path(config.data.cache)


def on_cache(config: Config, cache: Path) -> Config:
    """The configuration on a cache of pixels and frozen outputs."""
    return with_values(config, {"data.cache": str(cache.resolve())})


def at_point(config: Config, folder: Path, point: Point) -> Config:
    """The configuration of one trial, on the search's cache."""
    return on_cache(with_values(config, point), cache_folder(config, folder))


Here = Callable[[Config], Config]
"""A configuration as it is where the trial runs: on that machine's cache, with the weights where they lie there."""
Judge = Callable[[str, Mapping[str, Any], int], str | None]
"""Told a phase, an epoch's figures and its number over all phases (from 0): why the trial ends there, None where it goes on."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A point to be tried: its `place` from 0, and the `number` of this attempt at it, from 1."""

    place: int
    point: Point
    number: int


class Pruned(Exception):  # noqa: N818 - the end of a trial, no error
    """Training ends here: the trial lies behind the others."""


def work(task: Task, *, ended: Callable[[Trial], None] | None = None) -> None:
    """Try points until none is free; `ended` is told each. A trial that fails is recorded, and the next begins."""
    parts = task.images()
    with closing(SearchLeases(task.folder, task.config, task.session)) as leases:
        while (lease := leases.take()) is not None:
            with lease.file:
                trial = _try(task, leases, lease, parts)
            if ended is not None:
                ended(trial)


def spawned(task: Task) -> None:
    """`work` in a process of its own: with its share of the cores, deaf to Ctrl-C, and gone when its parent is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    if task.threads is not None:
        torch.set_num_threads(task.threads)
    keep_pages()
    work(task)


def _try(task: Task, leases: SearchLeases, lease: TrialLease, parts: Mapping[str, CachedImages]) -> Trial:
    """Train one point to its end, and write its record before the lease ends."""
    run = RunFolder(trial_folder(task.folder, lease.place, lease.point))
    here = partial(on_cache, cache=cache_folder(task.config, task.folder))
    attempt = Attempt(lease.place, lease.point, lease.attempt)
    state, score = try_point(task.config, attempt, run, parts, here=here, judge=partial(verdict, task.config, lease))
    leases.end(lease, state, score)
    write_table(task.folder)
    return read_trial(run.path)


def verdict(config: Config, lease: TrialLease, phase: str, epoch: Mapping[str, Any], step: int) -> str | None:
    """Report an epoch of the lease's trial to Optuna: why the trial ends there, None where it goes on. A `Judge` of a search."""
    if config.study.pruning == "none" or lease.trial is None:
        return None
    figure = f"tune_{config.training.monitor}"
    lease.trial.report(epoch[figure], step)
    if not lease.trial.should_prune():
        return None
    what = f"{figure} {epoch[figure]:.4f} is behind the median of the other trials at this epoch"
    return f"pruned in phase {phase} after epoch {epoch['epoch'] + 1}: {what}"


def prepare_outputs(
    config: Config, parts: Mapping[str, CachedImages], run: RunFolder, *, here: Here, say: Say, bar: Bar
) -> None:
    """What the frozen stages of each network give, for the cuts of all points in one pass: every trial finds it there."""
    for variants in network_variants(read_space(config), config):
        first = here(variants[0])
        model, transfer = build_model(first)
        phases = [p for v in variants for p in planned_phases(v.training, pretrained=transfer.pretrained)]
        frozen_outputs(first, model, phases, parts, run, say=say, bar=bar)


def try_point(
    config: Config, attempt: Attempt, run: RunFolder, parts: Mapping[str, CachedImages], *, here: Here, judge: Judge
) -> tuple[State, float | None]:
    """Train one point of the search of `config` into `run`, and write its record there: how it ended, and its score.

    Whatever fails is recorded: nothing but the end of the process ends this without a record.
    """
    at = with_values(config, attempt.point)
    about = begin_record(
        *(attempt.place, attempt.point, at.model_dump(mode="json")),
        started=_now(),
        threads=torch.get_num_threads(),
        worker={"pid": os.getpid(), "attempt": attempt.number},
    )
    write_json(run.config, about["config"])
    epochs: dict[str, list[Mapping[str, Any]]] = {}
    memory = PeakMemory()
    state: State = "complete"
    reason, score, further = None, None, dict[str, Any]()
    try:
        learnt, transfer = _learn(here(at), run, parts, epochs, judge)
    except Exception as error:  # noqa: BLE001 - whatever fails is recorded, and the search goes on
        state = "pruned" if isinstance(error, Pruned) else "failed"
        reason = str(error) if isinstance(error, Pruned) else reason_of(error)
        phases: list[dict[str, Any]] = [{"name": name, "epochs": of_phase} for name, of_phase in epochs.items()]
    else:
        phases, score = [_phase(result) for result in learnt.phases], learnt.chosen.best_score
        further = {"transfer": transfer, "best": _best(learnt.chosen)}
    write_record(run.path, about, state, reason, phases=phases, peak_memory=memory.read(), ended=_now(), **further)
    return state, score


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _best(chosen: PhaseResult) -> dict[str, Any]:
    """The best epoch, counted from 1, of the better phase, and its tune figures."""
    epoch = chosen.history[chosen.best_epoch]
    figures = {name: epoch[name] for name in ("tune_accuracy", "tune_loss", "tune_auc")}
    return {"phase": chosen.name, "epoch": chosen.best_epoch + 1, "score": chosen.best_score, **figures}


def _learn(
    config: Config,
    run: RunFolder,
    parts: Mapping[str, CachedImages],
    epochs: dict[str, list[Mapping[str, Any]]],
    judge: Judge,
) -> tuple[Learnt, str]:
    """The training of one point; goes on after the last whole epoch where an earlier worker left one.

    Every epoch is kept in `epochs`, by phase. Raises Pruned where `judge` gives a reason.
    """
    model, transfer = build_model(config)
    phases = planned_phases(config.training, pretrained=transfer.pretrained)
    offsets = {phase.name: sum(p.epochs for p in phases[:n]) for n, phase in enumerate(phases)}

    def watch(phase: str, epoch: Mapping[str, Any]) -> None:
        epochs.setdefault(phase, []).append(epoch)
        reason = judge(phase, epoch, offsets[phase] + epoch["epoch"])
        if reason is not None:
            raise Pruned(reason)

    return learn(config, model, transfer, parts, run, say=silent, bar=no_bar, watch=watch), transfer.text


def _phase(result: PhaseResult) -> dict[str, Any]:
    best = {"best_epoch": result.best_epoch + 1, "best_score": result.best_score}
    return {"name": result.name, **best, "epochs": list(result.history)}

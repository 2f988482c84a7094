"""One worker of a search: claims a point, trains it on train and tune, writes its record, until no point is left."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import connection
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
from cxreader.machine import keep_pages

# isort: split
import torch

from cxreader.config import Config, with_values
from cxreader.data.dataset import CachedImages
from cxreader.data.pixel_cache.cache import PixelCache
from cxreader.progress import no_bar, silent
from cxreader.runs import RunFolder, write_json
from cxreader.study.search.process import PeakMemory, Process
from cxreader.study.search.record import (
    RECORD,
    Trial,
    begin_record,
    read_trial,
    reason_of,
    trial_folder,
    write_record,
    write_table,
)
from cxreader.study.search.space import Point, read_space
from cxreader.study.search.store import DIED, SearchStore, TrialLease, TrialStatus
from cxreader.training.cohort import Cohort, input_spec
from cxreader.training.module import Watch
from cxreader.training.phases import PhaseResult, planned_phases
from cxreader.training.train import Learnt, build_model, learn

PARTS = ("train", "tune")
"""The parts of the split that a search is given."""


@dataclass(frozen=True, slots=True)
class Task:
    """All that a worker is given: of the images the rows of train and tune in the pixel cache with their labels, no more."""

    config: Config
    folder: Path
    parts: Mapping[str, tuple[NDArray[np.integer], NDArray[np.integer]]]
    session: int
    threads: int | None  # of torch; None leaves them as they are

    @classmethod
    def of(cls, config: Config, folder: Path, cohort: Cohort, session: int, threads: int | None) -> Task:
        """From a cohort of train and tune."""
        parts = {name: (cohort.parts[name].rows, cohort.parts[name].labels) for name in PARTS}
        return cls(config, folder, parts, session, threads)

    def images(self) -> dict[str, CachedImages]:
        """The parts on the search's pixel cache."""
        pixels = PixelCache.open(cache_folder(self.config, self.folder), input_spec(self.config)).pixels
        return {name: CachedImages(pixels, *rows_and_labels) for name, rows_and_labels in self.parts.items()}


def cache_folder(config: Config, folder: Path) -> Path:
    """Where the search keeps pixels and frozen outputs, for all trials."""
    return RunFolder(folder).cache if config.data.cache is None else Path(config.data.cache)


def at_point(config: Config, folder: Path, point: Point) -> Config:
    """The configuration of one trial, on the search's cache."""
    cache = str(cache_folder(config, folder).resolve())
    return with_values(config, {**point, "data.cache": cache})


def work(task: Task, *, ended: Callable[[Trial], None] | None = None) -> None:
    """Try points until none is left; `ended` is told each. A trial that fails is recorded, and the next begins."""
    parts = task.images()
    with SearchStore(task.folder, read_space(task.config), task.config) as store:
        store.begin(task.session)
        while (claim := store.claim()) is not None:
            trial = _try(task, store, claim, parts)
            if ended is not None:
                ended(trial)


def spawned(task: Task) -> None:
    """`work` in a process of its own: with its share of the cores, deaf to Ctrl-C, and gone when its parent is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = mp.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()
    if task.threads is not None:
        torch.set_num_threads(task.threads)
    keep_pages()
    work(task)


def record_deaths(config: Config, store: SearchStore) -> list[TrialStatus]:
    """How every point stands; those given up because their workers died have their record, which nobody else writes."""
    standings = store.reclaim_dead()
    for standing in (standing for standing in standings if standing.died):
        place = trial_folder(store.folder, standing.place, standing.point)
        if not ((place / RECORD).exists() and read_trial(place).reason == DIED):
            about = with_values(config, standing.point).model_dump(mode="json")
            write_record(place, begin_record(standing.place, standing.point, about), "failed", DIED, phases=[])
            with store.alone():
                write_table(store.folder)
    return standings


def _follow(parent: int) -> None:
    connection.wait([parent])
    os._exit(1)


def _try(task: Task, store: SearchStore, claim: TrialLease, parts: Mapping[str, CachedImages]) -> Trial:
    """Train one point to its end, and write its record before the storage knows that it is complete."""
    config = with_values(task.config, claim.point)
    run = RunFolder(trial_folder(task.folder, claim.place, claim.point))
    about = begin_record(
        *(claim.place, claim.point, config.model_dump(mode="json")),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        threads=torch.get_num_threads(),
        worker={"pid": Process.own().pid, "attempt": claim.attempt},
    )
    write_json(run.config, about["config"])
    seen: dict[str, list[Mapping[str, Any]]] = {}
    memory = PeakMemory()

    def write(state: Any, reason: str | None, phases: list[dict[str, Any]], **results: Any) -> None:
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        write_record(run.path, about, state, reason, phases=phases, peak_memory=memory.read(), ended=ended, **results)

    try:
        learnt, transfer = _learn(task, claim, run, parts, seen)
    except Exception as error:  # noqa: BLE001 - whatever fails is recorded, and the search goes on
        pruned = isinstance(error, optuna.TrialPruned)
        reason = str(error) if pruned else reason_of(error)
        write("pruned" if pruned else "failed", reason, [{"name": k, "epochs": v} for k, v in seen.items()])
        store.end(claim, "pruned" if pruned else "failed")
    except BaseException:
        store.end(claim, "released")
        raise
    else:
        write("complete", None, [_phase(r) for r in learnt.phases], transfer=transfer, best=best_of(learnt))
        store.complete(claim, learnt.chosen.best_score)
    with store.alone():
        write_table(task.folder)
    return read_trial(run.path)


def best_of(learnt: Learnt) -> dict[str, Any]:
    """The best epoch, counted from 1, of the better phase, and its tune figures."""
    chosen = learnt.chosen
    epoch = chosen.history[chosen.best_epoch]
    figures = {name: epoch[name] for name in ("tune_accuracy", "tune_loss", "tune_auc")}
    return {"phase": chosen.name, "epoch": chosen.best_epoch + 1, "score": chosen.best_score, **figures}


def _learn(
    task: Task,
    claim: TrialLease,
    run: RunFolder,
    parts: Mapping[str, CachedImages],
    seen: dict[str, list[Mapping[str, Any]]],
) -> tuple[Learnt, str]:
    """The training of one point; goes on after the last whole epoch where an earlier worker left one."""
    config = at_point(task.config, task.folder, claim.point)
    model, transfer = build_model(config)
    phases = planned_phases(config.training, pretrained=transfer.pretrained)
    offsets = {phase.name: sum(p.epochs for p in phases[:n]) for n, phase in enumerate(phases)}
    watch = _watch(config, claim, offsets, seen)
    return learn(config, model, transfer, parts, run, say=silent, bar=no_bar, watch=watch), transfer.text


def _watch(
    config: Config,
    claim: TrialLease,
    offsets: Mapping[str, int],
    seen: dict[str, list[Mapping[str, Any]]],
) -> Watch:
    """Keeps every epoch; with pruning, reports it and ends the trial when it lies behind the median of the others."""
    figure = f"tune_{config.training.monitor}"

    def watch(phase: str, epoch: Mapping[str, Any]) -> None:
        seen.setdefault(phase, []).append(epoch)
        if config.study.pruning == "none":
            return
        claim.trial.report(epoch[figure], offsets[phase] + epoch["epoch"])
        if claim.trial.should_prune():
            what = f"{figure} {epoch[figure]:.4f} is behind the median of the other trials at this epoch"
            raise optuna.TrialPruned(f"pruned in phase {phase} after epoch {epoch['epoch'] + 1}: {what}")

    return watch


def _phase(result: PhaseResult) -> dict[str, Any]:
    best = {"best_epoch": result.best_epoch + 1, "best_score": result.best_score}
    return {"name": result.name, **best, "epochs": list(result.history)}

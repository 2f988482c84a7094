"""A search over configurations: every point of a grid, or points drawn by TPE, chosen by train and tune alone."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
from cxreader.machine import keep_pages

# isort: split
import torch

from cxreader.config import Config, with_values
from cxreader.errors import ModelError
from cxreader.machine import cores
from cxreader.progress import Bar, Say, no_bar
from cxreader.reporting.search.records import TunePart
from cxreader.runs import RunFolder, changed_keys, only_process
from cxreader.study.search.leases import finished_trials, keep_begun_points, keep_points
from cxreader.study.search.pool import Ended, run_workers
from cxreader.study.search.record import DATABASE, TRIALS, Trial, point_text, rank, write_table
from cxreader.study.search.space import Space, narrowed, network_variants, read_space, require_effect
from cxreader.study.search.worker import PARTS, Task, cache_folder, on_cache, prepare_outputs, work
from cxreader.training.cohort import Cohort, prepare_cohort, require_same_images
from cxreader.training.devices import require_one_device
from cxreader.training.phases import planned_phases, require_stages
from cxreader.training.train import build_model

Engine = Callable[[Task, int, Ended], None]
"""Tries the points of a task until so many are finished, each told as it ends."""
_WAIT = 1.0  # seconds until a point is asked for again that a dying worker of an earlier start still holds


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A finished search. `trials`: the complete ones, the best first; `others`: pruned and failed ones, in their order.

    The best has the best monitored tune figure; of equal ones the lower tune loss, then the earlier point.
    """

    config: Config
    folder: Path
    space: Space = field(repr=False)
    trials: tuple[Trial, ...]
    others: tuple[Trial, ...]
    parts: dict[str, TunePart]
    transfer: str

    @property
    def winner(self) -> Trial:
        """The best trial; its `folder` holds its weights."""
        return self.trials[0]

    @property
    def winner_config(self) -> Config:
        """The search's configuration with the winner's values."""
        return with_values(self.config, self.winner.point)


def search(
    config: Config,
    out: str | Path,
    *,
    workers: int = 1,
    engine: Engine | None = None,
    resume: bool = False,
    say: Say = print,
    bar: Bar = no_bar,
) -> SearchResult:
    """Train every point of `config.study`'s space on train and tune, in `workers` processes or by `engine`, and rank them.

    `out` takes up the split, the pixel cache, a folder a point with its record (`trials/`), `trials.csv`, and Optuna's
    storage (`search.db`) where points are drawn by TPE or pruned. Calibrate and test are never opened. A trial that fails
    is recorded and the search goes on; with `resume` everything unfinished goes on where it stood, failed trials are tried
    again, and a space with more values or more trials adds its new points to those that are finished. Several workers are
    spawned: a script calls this under `if __name__ == "__main__":`. Raises UsageError for a space that cannot be searched
    or a folder in use, ModelError when no trial is complete, else as `train`.
    """
    keep_pages()
    require_one_device(config.training.devices, "trials of a search")
    space = read_space(config)
    transfer = _require_networks(config, space)
    with only_process(out, "search"):
        keep_begun_points(Path(out))
        folder = RunFolder.create(
            out, config, resume=resume, what="search", begun=(TRIALS, DATABASE), changes=_refused_changes
        )
        cohort = prepare_cohort(config, folder, say, bar, wanted_parts=PARTS)
        if space.is_grid:
            keep_points(folder.path, space)
        require_same_images(folder, cohort)
        if engine is None:  # else every machine of the cluster makes its own
            here = partial(on_cache, cache=cache_folder(config, folder.path))
            prepare_outputs(config, cohort.parts, folder, here=here, say=say, bar=bar)
        threads = None if workers == 1 else max(1, min(torch.get_num_threads(), cores() // workers))
        learning = {name: cohort.parts[name] for name in PARTS}
        columns = {name: (part.rows, part.labels, part.supervision) for name, part in learning.items()}
        task = Task(config, folder.path, columns, secrets.token_hex(4), threads)
        _run(task, space.n_trials, engine or partial(_here, workers=workers), say, bar)
        trials = write_table(folder.path)
    ranked = rank(trials, lower_is_better=config.training.monitor == "loss")
    others = tuple(trial for trial in trials if trial.state != "complete")
    if not ranked:
        what = f"none of {len(others)} trials is complete, the first because of {others[0].reason}"
        raise ModelError(what, where=folder.path, mend="mend that and add --resume")
    parts = {name: _count(cohort, name) for name in PARTS}
    return SearchResult(config, folder.path, space, ranked, others, parts, transfer)


def _refused_changes(before: Config, now: Config) -> list[str]:
    """What may not differ when a search goes on; its space and its trials may grow, and its images may have moved."""
    return [key for key in changed_keys(before, now) if not key.startswith("study.")] + narrowed(before, now)


def _here(task: Task, n_trials: int, ended: Ended, *, workers: int) -> None:
    """On this machine: in this process for one worker, else in processes of their own."""
    if workers > 1:
        run_workers(task, n_trials, workers, ended)
    while _finished(task) < n_trials:
        work(task, ended=ended)
        if _finished(task) < n_trials:
            time.sleep(_WAIT)


def _finished(task: Task) -> int:
    return len(list(finished_trials(task.folder, task.session)))


def _run(task: Task, n_trials: int, engine: Engine, say: Say, bar: Bar) -> None:
    """All points that are not finished, each told as it ends."""
    figure = f"tune {task.config.training.monitor}"
    finished = _finished(task)
    say(f"{n_trials} points to try, {finished} of them tried already")
    with bar("trials") as progress:
        if progress is not None:
            progress(finished, n_trials)

        def ended(trial: Trial) -> None:
            nonlocal finished
            finished += 1
            result = trial.reason if trial.score is None else f"{figure} {trial.score:.4f}"
            say(f"trial {trial.number}: {point_text(trial.point)}: {result} ({finished} of {n_trials} tried)")
            if progress is not None:
                progress(finished, n_trials)

        engine(task, n_trials, ended)


def _require_networks(config: Config, space: Space) -> str:
    """Build every network of the space once: weights that are absent and keys without effect are told at once."""
    found = []
    for variants in network_variants(space, config) or [[config]]:
        model, transfer = build_model(variants[0])
        for variant in variants:
            require_stages(model, variant.training)
        phases = planned_phases(config.training, pretrained=transfer.pretrained)
        require_effect(space, variants[0], [phase.name for phase in phases], pretrained=transfer.pretrained)
        found.append(transfer.text)
    return "; ".join(dict.fromkeys(found))


def _count(cohort: Cohort, name: str) -> TunePart:
    normal, abnormal = np.bincount(cohort.parts[name].labels, minlength=2).tolist()
    return TunePart(normal, abnormal, cohort.sample(name).n_patients)

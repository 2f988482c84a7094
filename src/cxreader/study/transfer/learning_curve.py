"""The gain of pretrained weights by number of training patients: one network from two starts, at several shares of them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import to_plain
from cxreader.config import Config
from cxreader.data.split import group_of
from cxreader.errors import DataError, UsageError
from cxreader.evaluation.statistics.intervals import Estimate, Sample
from cxreader.models.artifact import MANIFEST, load_artifact
from cxreader.progress import Bar, Say, no_bar, notes_once
from cxreader.reporting.study.learning_curve import (
    ARMS,
    INTERVALS,
    Arm,
    ShareResult,
    counts,
    draw_learning_curve,
    markdown,
    verdict,
)
from cxreader.reporting.style import save_figure
from cxreader.runs import RunFolder, only_process, write_json, write_text
from cxreader.study.held_out import read_test, record_reading
from cxreader.study.learning_rates import begin_or_resume
from cxreader.study.subsampling import cut_to_patients
from cxreader.study.transfer.gain import CHANGE, Key, arm_results, compare, name_of
from cxreader.training.cohort import Cohort, cached_part, prepare_cohort
from cxreader.training.devices import require_one_device
from cxreader.training.train import build_model, train

SHARES = (0.1, 0.5, 1.0)
MAX_EPOCHS = 20
NAME = "learning_curve"


@dataclass(frozen=True, slots=True)
class TrainingPart:
    """The train part cut to a share of its patients: its split file, who and what it counts, and its epochs."""

    share: float
    split: Path
    patients: int
    normal: int
    abnormal: int
    epochs: int


@dataclass(frozen=True, slots=True)
class CurveRun:
    """One training: the best of its epochs (from 1), the monitored tune figure there, and the seconds of all epochs."""

    share: float
    arm: Arm
    seed: int
    transfer: str
    best_epoch: int
    tune: float
    seconds: float


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """The results by share, ascending, and the runs behind them.

    `change`: the gain in AUC at the smallest share minus that at the largest; None for one share. `verdict` and `rule` are
    sentences: what the intervals allow to say, and the budget of epochs.
    """

    results: tuple[ShareResult, ...]
    change: Estimate | None
    runs: tuple[CurveRun, ...]
    title: str
    verdict: str
    rule: str


def learning_curve(
    config: Config,
    shares: Sequence[float],
    seeds: int,
    out: str | Path,
    *,
    max_epochs: int = MAX_EPOCHS,
    say: Say = print,
    bar: Bar = no_bar,
) -> LearningCurve:
    """Train `config` from scratch and from its weights at every share of the training patients, from `seeds` seeds.

    `out` holds the runs (`runs/share-SHARE-ARM-seed-SEED`), the splits (`splits/`), one pixel cache,
    `learning_curve.json`, `.md` and the figure. What is finished there is not run again, an interrupted run goes on, and
    every share and arm comes before the next seed. The test part is read after the last training. Raises UsageError when
    the arms would differ in more than their weights, for a share outside (0, 1], or when `out` holds another study;
    WeightsError when the weights are absent; else as `train`.
    """
    require_one_device(config.training.devices, "trainings of a study")
    _require_comparable(config, shares)
    build_model(_arm_config(config, "pretrained"))  # before the images: absent weights are reported at once
    with only_process(out, "learning curve"):
        return _curve(config, shares, seeds, RunFolder(Path(out)), max_epochs, say, bar)


def _curve(
    config: Config, shares: Sequence[float], seeds: int, folder: RunFolder, max_epochs: int, say: Say, bar: Bar
) -> LearningCurve:
    begin_or_resume(folder, config)
    say = notes_once(say)
    cohort = prepare_cohort(config, folder, say, bar)
    _require_test(cohort)
    base = config.training.full.epochs
    parts = [_training_part(cohort, folder, share, base, max_epochs) for share in sorted(set(shares))]
    wanted = [(part, arm, config.seed + n) for n in range(seeds) for part in parts for arm in ARMS]
    rule = budget_rule(base, max_epochs)
    runs: list[CurveRun] = []
    for n, (part, arm, seed) in enumerate(wanted, 1):
        say(f"run {n} of {len(wanted)}: {part.share:g} of the training patients ({part.patients}), {arm}, seed {seed}")
        runs.append(_finished_run(config, folder, part, arm, seed, say, bar))
        _write(folder, config, cohort, {"rule": rule, "parts": parts, "runs": runs})
    folders = [_run_folder(folder, run.share, run.arm, run.seed) for run in runs]
    earlier = record_reading(folder.path, {place.path.name: load_artifact(place.artifact).id for place in folders})
    if earlier:
        say(
            f"warning: {earlier} other sets of trainings of this folder had read the test part: it is no longer untouched"
        )
    with bar("test part"):
        found = _compare(config, folder, cohort, parts, runs, rule)
    _write(folder, config, cohort, {"rule": rule, "parts": parts, "runs": runs}, found)
    return found


def budget_rule(base: int, max_epochs: int) -> str:
    """How many epochs a share gets, in words."""
    return (
        f"Budget: {base} epochs on the whole train part, and at a smaller share so many more that as many images are seen, "
        f"up to {max(base, max_epochs)} epochs; the same for both arms, without early stopping; the best tune epoch is kept. "
        "Tune, calibrate and test are whole at every share."
    )


def _require_comparable(config: Config, shares: Sequence[float]) -> None:
    if config.training.phases != ("full",) or config.training.full.learn != "all":
        mend = """--set 'training.phases=["full"]' --set training.full.learn=all"""
        what = "both arms need the one phase `full` with every stage learning, to differ in nothing but their weights"
        raise UsageError(what, where="training.phases", mend=mend)
    if config.model.weights == "none":
        raise UsageError("there are no weights to transfer", where="model.weights", mend="give a file, or imagenet")
    wrong = [share for share in shares if not 0 < share <= 1]
    if wrong or not shares:
        what = f"{wrong[0]:g} is no share of the patients" if wrong else "no share of the patients"
        raise UsageError(what, where="--share", mend="give numbers above 0, at most 1")


def _require_test(cohort: Cohort) -> None:
    if cohort.split.kind == "image-random":
        mend = "set split.kind to patient"
        raise UsageError("shares of patients need a split by patient", where="split.kind", mend=mend)
    if len(cohort.parts["test"]) == 0:
        raise DataError("no test image can be read", where=cohort.index.root, mend="give other images")


def _training_part(cohort: Cohort, folder: RunFolder, share: float, base: int, max_epochs: int) -> TrainingPart:
    """Cut the train part, and write the split file of the share."""
    split = cohort.split
    cut = cut_to_patients(split, cohort.index, share)
    path, images = cut.save(folder.path / "splits" / f"share-{share:g}.json"), cut.parts["train"]
    patients = len({group_of(cohort.index.by_image[image]) for image in images})
    normal, abnormal = np.bincount(cached_part(cohort.cache, cohort.index, images).labels, minlength=2).tolist()
    epochs = min(math.ceil(base * len(cohort.parts["train"]) / max(1, normal + abnormal)), max(base, max_epochs))
    return TrainingPart(share, path, patients, normal, abnormal, epochs)


def _arm_config(config: Config, arm: Arm) -> Config:
    """The config of an arm. Absent weights are an error in the pretrained one: it would be a second scratch."""
    change = {"weights": "none"} if arm == "scratch" else {"if_absent": "error"}
    return config.model_copy(update={"model": config.model.model_copy(update=change)})


def _run_config(config: Config, folder: RunFolder, part: TrainingPart, arm: Arm, seed: int) -> Config:
    """The config of one run; all share the study's cache. No patience: a run that stopped early had another budget."""
    full = config.training.full.model_copy(update={"epochs": part.epochs, "patience": part.epochs})
    sections = {
        "seed": seed,
        "training": config.training.model_copy(update={"full": full}),
        "split": config.split.model_copy(update={"file": str(part.split.resolve())}),
        "data": config.data.model_copy(update={"cache": config.data.cache or str(folder.cache.resolve())}),
    }
    return _arm_config(config, arm).model_copy(update=sections)


def _run_folder(folder: RunFolder, share: float, arm: Arm, seed: int) -> RunFolder:
    return RunFolder(folder.path / "runs" / f"share-{share:g}-{arm}-seed-{seed}")


def _finished_run(
    config: Config, folder: RunFolder, part: TrainingPart, arm: Arm, seed: int, say: Say, bar: Bar
) -> CurveRun:
    """Train, unless it is done. Raises UsageError when it was done with another budget."""
    wanted, run = _run_config(config, folder, part, arm, seed), _run_folder(folder, part.share, arm, seed)
    if not (run.artifact / MANIFEST).exists():
        train(wanted, run.path, resume=run.path.exists(), say=say, bar=bar)
    elif run.load_config().training != wanted.training:
        mend = "give the same --max-epochs as before, or another --out"
        raise UsageError("the run was finished with another budget", where=run.path, mend=mend)
    artifact = load_artifact(run.artifact)
    (phase,) = artifact.provenance["phases"]
    epochs: list[dict[str, Any]] = json.loads(run.history.read_text(encoding="utf-8"))["full"]
    seconds = sum(epoch["seconds"] for epoch in epochs)
    return CurveRun(part.share, arm, seed, artifact.transfer, phase["best_epoch"] + 1, phase["score"], seconds)


def _compare(
    config: Config,
    folder: RunFolder,
    cohort: Cohort,
    parts: Sequence[TrainingPart],
    runs: Sequence[CurveRun],
    rule: str,
) -> LearningCurve:
    """Let every artifact read the test part, and compare."""
    answers: dict[Key, list[tuple[NDArray[np.floating], float]]] = defaultdict(list)
    for run in runs:
        table, threshold = read_test(_run_folder(folder, run.share, run.arm, run.seed), cohort)
        answers[run.share, run.arm].append((table.probability, threshold))
    sample = Sample.of(table)
    found = compare(sample, answers, seed=config.seed)
    by_key = arm_results(sample, answers, found)
    results = tuple(
        ShareResult(
            *(part.share, part.patients, part.normal, part.abnormal, part.epochs),
            arms={arm: by_key[part.share, arm] for arm in ARMS},
            auc_gain=found[name_of("auc", part.share)],
            accuracy_gain=found[name_of("accuracy", part.share)],
        )
        for part in parts
    )
    transfer = next(run.transfer for run in runs if run.arm == "pretrained")
    seeds = len(runs) // (len(parts) * len(ARMS))
    title = f"{config.model.name}, {transfer} against none; seeds: {seeds}; {counts(results[0].auc_gain)}"
    change = found.get(CHANGE)
    return LearningCurve(results, change, tuple(runs), title, verdict(results, change), rule)


def _write(
    folder: RunFolder, config: Config, cohort: Cohort, made: Mapping[str, Any], found: LearningCurve | None = None
) -> None:
    """`learning_curve.json` after every run; with the results, the Markdown table and the figure at the end."""
    parts = [{**asdict(part), "split": part.split.name} for part in made["parts"]]
    data = {
        "rule": made["rule"],
        "verdict": None if found is None else found.verdict,
        "intervals": INTERVALS,
        "results": None if found is None else found.results,
        "change": None if found is None else found.change,
        "parts": parts,
        "runs": made["runs"],
        "split": cohort.split.digest,
        "config": config.model_dump(mode="json"),
        "provenance": json.loads(folder.provenance.read_text(encoding="utf-8")),
    }
    write_json(folder.path / f"{NAME}.json", to_plain(data))
    if found is not None:
        notes = (found.verdict, INTERVALS, found.rule)
        write_text(folder.path / f"{NAME}.md", markdown(found.results, found.title, notes))
        save_figure(draw_learning_curve(found.results), folder.path / NAME)

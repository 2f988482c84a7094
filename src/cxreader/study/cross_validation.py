"""Cross-validation by patient: the whole machinery once a fold, and every patient judged by a model that never met him."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning

# isort: split
import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.artifact import judge
from cxreader.assessment.cohort import cohort_of_run
from cxreader.assessment.outputs import PREDICTIONS
from cxreader.atomic import is_empty, write_whole
from cxreader.config import Config, with_values
from cxreader.counting import format_count
from cxreader.data.folds import judged_records, make_folds, split_of_fold
from cxreader.data.sources import open_data
from cxreader.data.split import Split
from cxreader.errors import DataError, UsageError
from cxreader.evaluation.calibration.support import ENOUGH
from cxreader.evaluation.comparison.folds import FoldAnswers, FoldsJudged, judge_folds
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.shortcuts.baselines import thumbnail_logistic
from cxreader.evaluation.shortcuts.cross_fit import cross_fit
from cxreader.evaluation.shortcuts.image_features import thumbnails
from cxreader.evaluation.shortcuts.learnt_elsewhere import stored_baselines
from cxreader.evaluation.shortcuts.metadata import metadata_features
from cxreader.evaluation.verdict import THUMBNAIL as BASELINE
from cxreader.inference.reader import Reader
from cxreader.machine import keep_pages
from cxreader.models.artifact import MANIFEST, Artifact, load_artifact
from cxreader.progress import Bar, Note, Say, no_bar, notes_once, silent
from cxreader.reporting.evaluation.model_facts import facts_of
from cxreader.reporting.methods import methods_of_cross_validation
from cxreader.reporting.study.cross_validation import CrossValidation, FoldFacts, write_cross_validation
from cxreader.runs import RunFolder, changed_keys, only_process, refuse_changes, write_json, write_text
from cxreader.training.cohort import prepare_cohort
from cxreader.training.devices import require_one_device
from cxreader.training.train import build_model, train

METHODS = "methods.md"
PLAN, THUMBNAIL, NAME = "plan.json", "thumbnail.json", "cross_validation"


@dataclass(frozen=True, slots=True)
class _Judged:
    """A finished fold: its rows as `predictions.csv` holds them, the thumbnails' probabilities by image, and its facts.

    `thumbnail` was learnt on the fold's training images, `here` on its test images, cross-fitted; None where that could not be.
    """

    rows: list[dict[str, str]]
    thumbnail: dict[str, float]
    here: dict[str, float] | None
    facts: FoldFacts


def cross_validate(
    config: Config,
    folds: int,
    out: str | Path,
    *,
    judge_sources: Collection[str] = (),
    resume: bool = False,
    command: str = "",
    say: Say = print,
    bar: Bar = no_bar,
) -> CrossValidation:
    """Train, calibrate and judge once a fold, into `out`; a killed run goes on with `resume`, to the same table.

    `out` holds a run a fold (`folds/fold-N`, judged in its `evaluation/`), the splits (`splits/`), one pixel cache, the
    out-of-fold `predictions.csv`, `cross_validation.json`, `.md`, `methods.md` and `report.html`. The test part of a fold is
    every image of its patients, whatever `split.balance` and `split.size` make of the parts that learn; `judge_sources` names
    the sources whose images are judged, all when empty, and images of a judged patient in other sources never teach his own
    fold.
    Raises UsageError for a folder in use or begun with other settings and for a split that is not by patient, SplitError
    for too few patients, else as `train` and `judge`.
    """
    keep_pages()
    say = notes_once(say)
    require_one_device(config.training.devices, "trainings of a cross-validation")
    _require_by_patient(config)
    build_model(config)  # before the images: absent weights are reported at once
    with only_process(out, "cross-validation"):
        folder = _begin_or_resume(RunFolder(Path(out)), config, resume=resume)
        plan = _planned(folder, config, folds, sorted(judge_sources), say)
        judged = [_finished_fold(folder, config, n, plan, say, bar) for n in range(1, folds + 1)]
        with bar("intervals"):
            found = _judge(judged, seed=config.seed)
        write_whole(folder.path / PREDICTIONS, _out_of_fold(judged))
        about = json.loads(folder.provenance.read_text(encoding="utf-8"))
        made = CrossValidation(
            model=f"{config.model.name}; {judged[0].facts.transfer}",
            data=plan["data"],
            judged_sources=tuple(plan["judge_sources"]),
            folds=tuple(one.facts for one in judged),
            results=found,
            notes=(
                *plan["notes"],
                *_few_calibrated([one.facts for one in judged]),
                *dict.fromkeys(w for one in judged for w in one.facts.warnings),
            ),
            provenance={
                "cxreader": about["versions"]["cxreader"],
                "date": about["started"][-1],
                "git revision": about["git_revision"],
                "machine": about["machine"],
                "seed": config.seed,
                "salt of the folds": plan["salt"],
            },
            command=command,
        )
        first = load_artifact(RunFolder(_fold(folder, 1)).artifact, weights=False, exports=False)
        write_text(folder.path / METHODS, methods_of_cross_validation(made, facts_of(first)))
        write_cross_validation(made, folder.path)
    return made


def _require_by_patient(config: Config) -> None:
    for key, wrong in (("split.kind", config.split.kind != "patient"), ("split.file", config.split.file is not None)):
        if wrong:
            what = "folds are made by patient, not by another split"
            raise UsageError(what, where=key, mend="leave it out")


def _begin_or_resume(folder: RunFolder, config: Config, *, resume: bool) -> RunFolder:
    if folder.config.exists():
        if not resume:
            mend = "add --resume, or give another --out"
            raise UsageError("the folder holds a cross-validation already", where=folder.path, mend=mend)
        refuse_changes("cross-validation", folder.config, changed_keys(folder.load_config(), config))
    elif not is_empty(folder.path):
        raise UsageError("the folder is not empty", where=folder.path, mend="give another --out")
    folder.begin(config)
    return folder


def _planned(folder: RunFolder, config: Config, folds: int, sources: list[str], say: Say) -> dict[str, Any]:
    """Who is in which fold, made once and kept; raises UsageError where the folder was begun with other folds or sources."""
    path = folder.path / PLAN
    if path.exists():
        plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for option, then, now in (
            ("--folds", plan["folds"], folds),
            ("--judge-sources", plan["judge_sources"], sources),
        ):
            if then != now:
                what = f"the cross-validation was started with {option} {then if then != [] else 'left out'}"
                raise UsageError(what, where=folder.path, mend="resume with the same, or give another --out")
        return plan
    index = open_data(config.data)
    for note in index.notes:
        say(Note(note))
    records = judged_records(index, sources)
    made = make_folds(records, folds)
    section = config.split.model_dump(include={"shares", "balance", "abnormal_share", "size"})
    splits = [split_of_fold(index, records, made, n, section) for n in range(1, folds + 1)]
    for n, split in enumerate(splits, 1):
        split.save(_split_of(folder, n))
    notes = [note for note in (made.note,) if note is not None]
    plan = {"folds": folds, "judge_sources": sources, "salt": made.salt, "data": index.title, "notes": notes}
    write_json(path, plan)
    return plan


def _fold(folder: RunFolder, number: int) -> Path:
    return folder.path / "folds" / f"fold-{number}"


def _split_of(folder: RunFolder, number: int) -> Path:
    return folder.path / "splits" / f"fold-{number}.json"


def _finished_fold(folder: RunFolder, config: Config, number: int, plan: dict[str, Any], say: Say, bar: Bar) -> _Judged:
    """Train and judge the fold, each only where it is not done yet."""
    run = RunFolder(_fold(folder, number))
    own = with_values(
        config,
        {
            "split.file": str(_split_of(folder, number).resolve()),
            "data.cache": config.data.cache or str(folder.cache.resolve()),
        },
    )
    if not (run.artifact / MANIFEST).exists():
        say(f"fold {number} of {plan['folds']}: training")
        train(own, run.path, resume=run.path.exists(), say=say, bar=bar)
    else:
        write_json(run.config, own.model_dump(mode="json"))  # its images may have moved
    artifact = load_artifact(run.artifact, weights=False, exports=False)
    split = Split.load(run.split)
    if not _is_judged(run, artifact.id):
        say(f"fold {number} of {plan['folds']}: its test part is read")
        judge(
            Reader.load(run.path),
            cohort_of_run(run.path),
            run.evaluation,
            bar=bar,
            quick=True,
            seed=config.seed,
            say=say,
        )
    thumbnail, here = _thumbnails(own, run, split, artifact, bar)
    evaluation = Evaluation.load(run.evaluation / "evaluation.json")
    with (run.evaluation / PREDICTIONS).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["image"] in thumbnail]
    if not rows:
        raise DataError(
            f"no test image of fold {number} is left to judge", where=run.evaluation, mend="give more images"
        )
    point = artifact.operating_points[0]
    counts = {name: (normal, abnormal) for name, (normal, abnormal) in artifact.provenance["counts"].items()}
    excluded, warnings = dict(evaluation.counts.excluded), _of_all(evaluation.warnings)
    facts = FoldFacts(
        number, artifact.id, artifact.transfer, counts, point.name, point.threshold, split.digest, excluded, warnings
    )
    return _Judged(rows, thumbnail, here, facts)


def _few_calibrated(folds: Sequence[FoldFacts]) -> list[str]:
    """A note where folds fitted their thresholds on fewer images of a class than `ENOUGH`."""
    few = [min(fold.counts["calibrate"]) for fold in folds if min(fold.counts["calibrate"]) < ENOUGH]
    if not few:
        return []
    what = f"[fold has|folds have] fewer than {ENOUGH} images of a class on calibrate, {min(few)} at the least"
    return [f"{format_count(len(few), what)}: thresholds, and the rates at them, may be far off."]


def _of_all(warnings: Sequence[str]) -> tuple[str, ...]:
    """The warnings of a fold that hold for all of them: what was found of the fold's own numbers stands in its report.

    How the network began is told with its name.
    """
    return tuple(w for w in warnings if w.startswith(("phantoms:", "no patient")))


def _is_judged(run: RunFolder, artifact: str) -> bool:
    place = run.evaluation / "evaluation.json"  # written last
    return place.exists() and Evaluation.load(place).provenance.get("artifact") == artifact


def _thumbnails(
    config: Config, run: RunFolder, split: Split, artifact: Artifact, bar: Bar
) -> tuple[dict[str, float], dict[str, float] | None]:
    """By test image, what thumbnails say: learnt from the fold's training images, and cross-fitted on its test images.

    Kept, so that they are computed once. None in the place of the second where too few patients can teach.
    """
    path = run.path / THUMBNAIL
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["split"] == split.digest and "here" in kept:
            return dict(kept["probability"]), kept["here"]
    own = next((one for one in stored_baselines(artifact.provenance) if one.name == BASELINE), None)
    wanted = ("test",) if own is not None else ("train", "test")
    cohort = prepare_cohort(config, run, silent, bar, wanted_parts=wanted)
    test = cohort.parts["test"]
    images, sample = cohort.images["test"], cohort.sample("test")
    with bar("thumbnail baseline"):
        pixels = test.pixels[test.rows]
        small = thumbnails(pixels)
        if own is not None:
            found = own.probability(small)
        else:
            part = cohort.parts["train"]
            found = thumbnail_logistic(part.pixels[part.rows], part.labels, cohort.sample("train").groups, pixels)
        try:
            learnt = cross_fit(small, sample.label, sample.groups)
            here = dict(zip(images, learnt.tolist(), strict=True))
        except DataError:
            here = None
    probability = dict(zip(images, found.tolist(), strict=True))
    write_json(path, {"split": split.digest, "probability": probability, "here": here})
    return probability, here


def _judge(judged: Sequence[_Judged], seed: int) -> FoldsJudged:
    rows = [row for one in judged for row in one.rows]
    people: dict[tuple[str, str], int] = {}
    who = [(row.get("source", ""), row["patient"] or f"image:{row['image']}") for row in rows]
    groups = np.array([people.setdefault(key, len(people)) for key in who], np.int64)
    label = np.array([row["label"] == "abnormal" for row in rows], np.int8)
    beside, answers, start = _metadata(rows, label, groups), [], 0
    for one in judged:
        own = slice(start, start := start + len(one.rows))
        answers.append(
            FoldAnswers(
                label=label[own],
                groups=groups[own],
                probability=np.array([float(row["probability"]) for row in one.rows]),
                threshold=one.facts.threshold,
                thumbnail=np.array([one.thumbnail[row["image"]] for row in one.rows]),
                refused=np.array([row["acceptance"] == "refused" for row in one.rows]),
                here=None if one.here is None else np.array([one.here[row["image"]] for row in one.rows]),
                metadata=None if beside is None else beside[own],
            )
        )
    return judge_folds(answers, patients_known=any(row["patient"] for row in rows), seed=seed)


def _metadata(
    rows: Sequence[Mapping[str, str]], label: NDArray[np.integer], groups: NDArray[np.integer]
) -> NDArray[np.float64] | None:
    """What the table's columns tell of the label, cross-fitted by patient on the judged images; None where they tell nothing."""
    columns: dict[str, NDArray[np.generic]] = {
        name: np.array([float(row.get(name) or "nan") for row in rows]) for name in ("age", "follow_up")
    }
    columns |= {name: np.array([row.get(name, "") for row in rows], np.str_) for name in ("sex", "view", "source")}
    visits = columns["follow_up"]
    columns["visit"] = np.where(np.isnan(visits), "", np.where(visits == 0, "first", "follow-up"))
    features = metadata_features(columns, len(rows)).features
    try:
        return cross_fit(features, label, groups) if features.shape[1] else None
    except DataError:
        return None


def _out_of_fold(judged: Sequence[_Judged]) -> bytes:
    """All folds' predictions as one table: the fold, its artifact and its threshold in each row, and no column `model`."""
    text = io.StringIO(newline="")
    header = [name for name in judged[0].rows[0] if name != "model"]
    names = [*header, *("fold", "artifact", "operating_point", "threshold")]
    writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for one in judged:
        facts = one.facts
        more = {
            "fold": facts.number,
            "artifact": facts.artifact,
            "operating_point": facts.operating_point,
            "threshold": facts.threshold,
        }
        writer.writerows(row | more for row in one.rows)
    return text.getvalue().encode()

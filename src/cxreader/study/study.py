"""The study: several networks, several seeds, one split, one test part that is read once, after every choice is fixed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
from cxreader.atomic import is_empty
from cxreader.config import Config, StudySection, with_values
from cxreader.data.phantoms.write import PhantomSpec, write_phantoms
from cxreader.data.split import Split
from cxreader.errors import ConfigError, SplitError, UsageError
from cxreader.machine import keep_pages
from cxreader.models.artifact import MANIFEST
from cxreader.progress import Bar, Say, no_bar, notes_once
from cxreader.runs import RunFolder, changed_keys, only_process, refuse_changes, write_json
from cxreader.study.held_out import record_reading
from cxreader.study.pretrain import require_weights, wants_phantoms, with_weights
from cxreader.study.rows import Row, study_rows
from cxreader.study.run_folders import search_folder, training_folder
from cxreader.study.search.search import Engine, SearchResult, search
from cxreader.study.search.space import read_space
from cxreader.study.subsampling import cut_to_patients, subsample_to_prevalence
from cxreader.training.cohort import LEARNING_PARTS, Cohort, cached_part, prepare_cohort, require_same_images
from cxreader.training.devices import require_one_device
from cxreader.training.train import train

CHOICES = "choices.json"
_FIXED = ("data", "input", "split")
"""Sections that all rows share: a folder keeps one split, so that it keeps one of these."""

Search = Callable[..., SearchResult]
"""`search`, told how its trials are run."""


@dataclass(frozen=True, slots=True)
class StudyRun:
    """One finished training of a row."""

    row: Row
    seed: int
    folder: RunFolder
    search: SearchResult | None


@dataclass(frozen=True, slots=True)
class Trainings:
    """All trainings of a study, row after row, seed after seed; every choice is made, and nobody has read the test part.

    `earlier_readings`: how often other trainings of this folder had read the test part before.
    """

    config: Config
    folder: RunFolder
    cohort: Cohort
    runs: tuple[StudyRun, ...]
    earlier_readings: int


def train_rows(
    config: Config,
    out: str | Path,
    *,
    resume: bool = False,
    workers: int = 1,
    engine: Engine | None = None,
    say: Say = print,
    bar: Bar = no_bar,
) -> Trainings:
    """Train every row of `config.study` from every seed into `out`; what is finished there is never run again.

    A run is found by its row's configuration and the pixels it learns from (`training_folder`), so that a changed row runs
    anew and the others stay. An interrupted study goes on with `resume`. `workers`: processes of the searches, or
    `engine` in their place. Raises UsageError for a folder in use or bound to another split, else as `train` and `search`.
    """
    keep_pages()
    rows = study_rows(config)
    require_one_device(max(row.config.training.devices for row in rows), "trainings of a study")
    require_weights(row.config for row in rows)
    for row in rows:
        if row.search:
            read_space(row.config)  # what is wrong with it is reported now, not when its row is reached
    with only_process(out, "study"):
        folder = _begin_or_resume(RunFolder(Path(out)), config, resume=resume)
        return _trained(
            config, rows, folder, partial(search, workers=workers, engine=engine, say=say, bar=bar), say, bar
        )


def _trained(
    config: Config, rows: tuple[Row, ...], folder: RunFolder, searching: Search, say: Say, bar: Bar
) -> Trainings:
    config, say = _with_phantoms(config, folder, bar), notes_once(say)
    cohort = prepare_cohort(config, folder, say, bar)
    require_same_images(folder, cohort, ["test"])  # what is learnt from is part of each run's name
    _require_judgeable(rows, config, folder, cohort)
    runs: list[StudyRun] = []
    total = len(rows) * config.study.seeds
    for row, prepared, found in _prepared(rows, config, folder, cohort, searching, say, bar):
        for n in range(config.study.seeds):
            seeded = with_values(prepared, {"seed": config.seed + n})
            run = RunFolder(training_folder(folder.path, f"{row.slug}-seed-{seeded.seed}", seeded, cohort))
            if not (run.artifact / MANIFEST).exists():
                say(f"training {len(runs) + 1} of {total}: {row.name}, seed {seeded.seed}")
                _rewrite_config(run, seeded)
                train(seeded, run.path, resume=run.path.exists(), say=say, bar=bar)
            runs.append(StudyRun(row, seeded.seed, run, found))
    return Trainings(config, folder, cohort, tuple(runs), _fix_choices(folder, runs))


def _require_judgeable(rows: tuple[Row, ...], config: Config, folder: RunFolder, cohort: Cohort) -> None:
    """Raise before anything is trained: no test image, a learning part of one class, pretraining on the judged phantoms."""
    if len(cohort.parts["test"]) == 0:
        raise SplitError("no image of the test part can be read", where=config.data.where, mend="give more images")
    for row in rows:
        split = Split.load(_split_of(row, folder, cohort))
        for part in LEARNING_PARTS:
            labels = cached_part(cohort.cache, cohort.index, split.parts[part]).labels
            if len(set(labels.tolist())) < 2:
                what = f"part {part} of row {row.name!r} has images of one class alone"
                raise SplitError(what, where="study.rows", mend="give more patients, or another share")
    pretrain = config.study.pretrain.seed
    if cohort.index.name == f"phantom:{pretrain}" and any(wants_phantoms(row.config) for row in rows):
        what = f"weights would be made from the very phantoms that are judged (seed {pretrain})"
        raise ConfigError(what, where="study.pretrain.seed", mend="give another seed")


def _prepared(
    rows: tuple[Row, ...], config: Config, folder: RunFolder, cohort: Cohort, searching: Search, say: Say, bar: Bar
) -> Iterator[tuple[Row, Config, SearchResult | None]]:
    """Each row ready to train: its weights at hand, its split and caches shared, what it searches found."""
    cache = config.data.cache or str(folder.cache.resolve())
    for row in rows:
        shared = {
            "data": config.data.model_dump(),
            "data.cache": cache,
            "split.file": str(_split_of(row, folder, cohort)),
        }
        prepared = with_values(with_weights(row.config, folder.path / "weights", say=say, bar=bar), shared)
        found = None
        if row.search:
            asked = config.study.model_dump(include={"sampler", "trials", "pruning"})
            only = StudySection(space=prepared.study.space, **asked)  # other rows are not the search's affair
            prepared = prepared.model_copy(update={"study": only})
            place = search_folder(folder.path, row.slug, prepared, cohort)
            say(f"{row.name}: searching")
            _rewrite_config(RunFolder(place), prepared)
            found = searching(prepared, place, resume=place.exists())
            prepared = found.winner_config
        yield row, prepared.model_copy(update={"study": StudySection()}), found


def _rewrite_config(folder: RunFolder, config: Config) -> None:
    """Write the configuration of a begun folder again: it was found by its content, so only paths can have changed.

    A search may have grown: it compares its space itself.
    """
    if folder.config.exists():
        kept = config.model_copy(update={"study": folder.load_config().study})
        write_json(folder.config, kept.model_dump(mode="json"))


def _split_of(row: Row, folder: RunFolder, cohort: Cohort) -> Path:
    """The study's split, or the row's own where its learning parts are cut to another prevalence or to fewer patients."""
    shares = {"abnormal": row.abnormal_share, "patients": row.patient_share}
    name = "-".join(f"{what}-{share:g}" for what, share in shares.items() if share is not None)
    if not name:
        return folder.split.resolve()
    path = folder.path / "splits" / f"{name}.json"
    if not path.exists():
        split = cohort.split
        if row.abnormal_share is not None:
            split = subsample_to_prevalence(split, cohort.index, row.abnormal_share)
        if row.patient_share is not None:
            split = cut_to_patients(split, cohort.index, row.patient_share)
        split.save(path)
    return path.resolve()


def _begin_or_resume(folder: RunFolder, config: Config, *, resume: bool) -> RunFolder:
    """The study's folder, begun or gone on with; rows may change between two starts, the split's sections may not."""
    if folder.config.exists():
        if not resume:
            raise UsageError(
                "the folder holds a study already", where=folder.path, mend="add --resume, or give another --out"
            )
        changed = changed_keys(folder.load_config(), config)
        refuse_changes("study", folder.config, [key for key in changed if key.partition(".")[0] in _FIXED])
    elif not is_empty(folder.path):
        raise UsageError("the folder is not empty", where=folder.path, mend="give another --out")
    folder.begin(config)
    return folder


def _with_phantoms(config: Config, folder: RunFolder, bar: Bar) -> Config:
    """The configuration with the phantoms it asks for drawn into the folder."""
    wanted = config.data.phantoms
    if wanted is None:
        return config
    place = folder.path / "phantoms"
    with bar("drawing phantoms") as progress:
        write_phantoms(place, PhantomSpec(**wanted.model_dump()), progress=progress)
    return with_values(config, {"data.root": str(place.resolve()), "data.phantoms": None})


def _fix_choices(folder: RunFolder, runs: list[StudyRun]) -> int:
    """Write down which artifacts will be judged, before they are; returns what `record_reading` does."""
    chosen: Mapping[str, str] = {run.folder.path.name: _artifact_id(run) for run in runs}
    write_json(folder.path / CHOICES, chosen)
    return record_reading(folder.path, chosen)


def _artifact_id(run: StudyRun) -> str:
    from cxreader.models.artifact import load_artifact

    return load_artifact(run.folder.artifact).id

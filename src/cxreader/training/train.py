"""The program, top to bottom: images, split, cache, phases, calibration, Artifact."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from cxreader import torch_setup

# isort: split
import numpy as np
import torch
from safetensors.torch import load_file

from cxreader.config import Config, ModelSection
from cxreader.data.augment import Augmentation
from cxreader.data.cache import PixelCache, build_cache
from cxreader.data.dataset import CachedImages, derive_seed
from cxreader.data.index import Index
from cxreader.data.sources import locate, open_source
from cxreader.data.split import Split, make_split, patient_hash, require_disjoint
from cxreader.errors import DataError, SplitError, WeightsError
from cxreader.evaluation.calibration import apply_temperature, fit_temperature
from cxreader.evaluation.operating_points import youden
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.artifact import Artifact, TrainingPatients, save_artifact, sha256
from cxreader.models.registry import create_model
from cxreader.models.stages import StagedModel
from cxreader.models.weights import Transfer, load_pretrained
from cxreader.records import ABNORMAL, NORMAL, Calibration
from cxreader.runs import RunFolder, provenance, write_json
from cxreader.training.fit import BEST, Settings, fit_phase, predict_logits, state_bytes
from cxreader.training.module import Recipe
from cxreader.training.phases import PhaseResult, better, planned_phases

Say = Callable[[str], None]
Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None] | None]]


def no_bar(what: str) -> AbstractContextManager[None]:  # noqa: ARG001 - the form of a bar
    """No progress bar."""
    return nullcontext()


PATIENT_SALT = "cxreader-training-patients"
LEARNING_PARTS = ("train", "tune", "calibrate")


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training ends with."""

    artifact: Artifact
    folder: Path
    phases: tuple[PhaseResult, ...]
    chosen: PhaseResult


@dataclass(frozen=True, slots=True)
class Cohort:
    """The images of a run: where each lies in the cache, and the part it belongs to."""

    index: Index
    split: Split
    cache: PixelCache
    parts: dict[str, CachedImages]


def train(config: Config, out: str | Path, *, resume: bool = False, say: Say = print, bar: Bar = no_bar) -> Trained:
    """Train as `config` says into the run folder `out`, whose `artifact` is the result.

    `say` is told each step in a line; `bar` gives progress bars, and Lightning shows its own unless it is `no_bar`. An
    interrupted run goes on with `resume`, to the same weights as without the interruption. Raises errors of the tree:
    UsageError for a folder in use, DataError for images, WeightsError for weights.
    """
    torch_setup.keep_pages()
    run = RunFolder.create(out, config, resume=resume)
    model, transfer = build_model(config)  # before the images: weights that are absent are told at once
    cohort = prepare_cohort(config, run, say, bar)
    say(f"{config.model.name}: {transfer.text}")
    recipe, settings = _recipe(config, cohort), _settings(config, show_progress=bar is not no_bar)
    results = []
    for phase in planned_phases(config.training, pretrained=transfer.pretrained):
        say(f"phase {phase.name}: {phase.learn} learns at {phase.lr:g}, at most {phase.epochs} epochs")
        result = fit_phase(model, phase, recipe, cohort.parts, run.phase(phase.name), settings)
        results.append(result)
        score = f"tune {config.training.monitor} {result.best_score:.4f}"
        say(f"phase {phase.name}: best epoch {result.best_epoch + 1} of {len(result.history)}, {score}")
    chosen = reduce(lambda a, b: better(a, b, config.training.monitor), results)
    write_json(run.history, {result.name: list(result.history) for result in results})
    artifact = finish(config, cohort, model, recipe, transfer, (results, chosen), run)
    say(f"artifact {artifact.id}: phase {chosen.name}, temperature {artifact.calibration.temperature:.3f}")
    return Trained(artifact, run.artifact, tuple(results), chosen)


def prepare_cohort(config: Config, run: RunFolder, say: Say, bar: Bar) -> Cohort:
    """Index the source, split it (or take the run's split), decode it once; images that cannot be read are left out, and said."""
    data = config.data
    index = open_source(data.root, kind=data.kind, tables=data.tables, name=data.name)
    for note in index.notes:
        say(note)
    split = _split(config, run, index)
    require_disjoint(split, index)
    for note in split.notes:
        say(note)
    by_image = index.by_image
    wanted = [by_image[image] for images in split.parts.values() for image in images]
    folder = run.cache if data.cache is None else Path(data.cache)
    with bar("pixel cache") as progress:
        cache = build_cache(wanted, _spec(config), folder, workers=data.workers, progress=progress)
    unread = [record.image for record in wanted if record.image not in cache]
    if unread:
        what = f"{len(unread):,} of {len(wanted):,} images cannot be read and are left out"
        say(f"{what}, {unread[0]!r} first; reasons: {cache.folder / 'errors.json'}")
    parts = {name: cached_part(cache, index, images) for name, images in split.parts.items()}
    for name in LEARNING_PARTS:
        classes = np.bincount(parts[name].labels, minlength=2)
        if min(classes) == 0:
            what = f"part {name} has {classes[NORMAL]} normal and {classes[ABNORMAL]} abnormal images that can be read"
            raise SplitError(what, where=data.root, mend="give more patients of each class")
    return Cohort(index, split, cache, parts)


def cached_part(cache: PixelCache, index: Index, images: tuple[str, ...]) -> CachedImages:
    """The images of a part that could be read, with their labels."""
    readable = [image for image in images if image in cache]
    labels = np.array([index.by_image[image].label for image in readable], np.int64)
    return CachedImages(cache.pixels, cache.rows(readable), labels)


def build_model(config: Config) -> tuple[StagedModel, Transfer]:
    """The network with its pretrained weights; its head is drawn from the seed."""
    torch.manual_seed(derive_seed(config.seed, "initial weights"))
    model = create_model(config.model.name, dropout=config.model.dropout, size=config.input.size)
    transfer = load_pretrained(model, config.model.name, _weights(config.model))
    return model, transfer


def finish(
    config: Config,
    cohort: Cohort,
    model: StagedModel,
    recipe: Recipe,
    transfer: Transfer,
    outcome: tuple[list[PhaseResult], PhaseResult],
    run: RunFolder,
) -> Artifact:
    """Take the chosen phase's weights, fit temperature and Youden's point on `calibrate`, write the Artifact."""
    results, chosen = outcome
    model.load_state_dict(load_file(run.phase(chosen.name) / BEST))
    part = cohort.parts["calibrate"]
    logits = predict_logits(model, part, recipe).double().numpy()
    temperature = fit_temperature(logits, part.labels)
    point = youden(part.labels, apply_temperature(logits, temperature))
    weights = state_bytes(model)
    artifact = Artifact(
        model=config.model.name,
        dropout=config.model.dropout,
        spec=recipe.spec,
        calibration=Calibration(temperature, int(part.labels.sum()), int((1 - part.labels).sum())),
        operating_points=(point,),
        transfer=transfer.text,
        patients=_patients(cohort),
        weights_sha256=sha256(weights),
        provenance={
            **provenance(config.seed),
            "config": config.model_dump(mode="json"),
            "data": {"name": cohort.index.name, "patients_known": cohort.index.has_patients},
            "split": {"digest": cohort.split.digest, "kind": cohort.split.kind, "salt": cohort.split.salt},
            "counts": {name: np.bincount(part.labels, minlength=2).tolist() for name, part in cohort.parts.items()},
            "phases": [{"name": r.name, "best_epoch": r.best_epoch, "score": r.best_score} for r in results],
            "chosen_phase": chosen.name,
        },
    )
    save_artifact(artifact, weights, run.artifact)
    return artifact


def _patients(cohort: Cohort) -> TrainingPatients:
    """Everyone who set the model, hashed: trained on, stopped by, calibrated on."""
    hashes: dict[str, tuple[str, ...]] = {}
    sources = set()
    for part in LEARNING_PARTS:
        records = cohort.split.records(cohort.index, part)
        sources |= {record.source for record in records}
        hashes[part] = tuple(sorted({patient_hash(PATIENT_SALT, r.source, r.group) for r in records}))
    return TrainingPatients(PATIENT_SALT, hashes, tuple(sorted(sources)), known=cohort.index.has_patients)


def _weights(model: ModelSection) -> str:
    if model.weights in ("imagenet", "none"):
        return model.weights
    try:
        return str(locate(model.weights))
    except DataError as error:
        if model.if_absent == "none":
            return "none"
        raise WeightsError(error.what, where=model.weights, mend='give its path, or model.weights = "none"') from None


def _split(config: Config, run: RunFolder, index: Index) -> Split:
    """The run's own split once it is written; else the configured file, else a new one. Kept, so that it never changes."""
    section = config.split
    if run.split.exists():
        return Split.load(run.split)
    if section.file is not None:
        split = Split.load(locate(section.file))
        for part in split.parts:
            split.records(index, part)  # raises when an image is not in this source
    else:
        split = make_split(
            index,
            kind=section.kind,
            shares=section.shares,
            balance=section.balance,
            abnormal_share=section.abnormal_share,
            size=section.size,
        )
    split.save(run.split)
    return split


def _spec(config: Config) -> InputSpec:
    return InputSpec(config.input.size, config.input.fit, config.input.mean, config.input.std)


def _recipe(config: Config, cohort: Cohort) -> Recipe:
    t = config.training
    counts = np.bincount(cohort.parts["train"].labels, minlength=2)
    weights = (float(len(cohort.parts["train"]) / (2 * counts[0])), float(len(cohort.parts["train"]) / (2 * counts[1])))
    return Recipe(
        seed=config.seed,
        spec=_spec(config),
        augmentation=None if config.augment is None else Augmentation(**config.augment.model_dump()),
        optimizer=t.optimizer,
        weight_decay=t.weight_decay,
        schedule=t.schedule,
        label_smoothing=t.label_smoothing,
        class_weights=weights if t.class_weights == "balanced" else None,
    )


def _settings(config: Config, *, show_progress: bool) -> Settings:
    t = config.training
    return Settings(t.batch_size, t.monitor, t.precision, t.accelerator, t.devices, t.tensorboard, show_progress)

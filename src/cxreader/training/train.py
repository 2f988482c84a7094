"""The program, top to bottom: images, split, cache, phases, calibration, Artifact."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
from cxreader.counting import format_count
from cxreader.machine import keep_pages

# isort: split
import numpy as np
import torch
from safetensors.torch import load_file

from cxreader.config import Config, ModelSection
from cxreader.data.augment import Augmentation
from cxreader.data.dataset import CachedImages, derive_seed
from cxreader.data.sources import locate
from cxreader.data.split import patient_hash
from cxreader.errors import ArtifactError, DataError, WeightsError
from cxreader.evaluation.calibration.support import CalibrationSupport
from cxreader.evaluation.decisions.operating_points import parse_rules
from cxreader.evaluation.plausibility import contradictory, implausible
from cxreader.evaluation.shortcuts.learnt_elsewhere import PROVENANCE as BASELINES
from cxreader.models.artifact import MANIFEST, Artifact, TrainingPatients, load_artifact, save_artifact, sha256
from cxreader.models.population import Population
from cxreader.models.reference_scores import ReferenceScores
from cxreader.models.registry import create_model, model_entry
from cxreader.models.stages import StagedModel
from cxreader.models.training_images import TrainingImages
from cxreader.models.weights import Transfer, load_pretrained
from cxreader.progress import Bar, Say, no_bar
from cxreader.runs import RunFolder, only_process, provenance, write_json
from cxreader.training.acceptance import fit_acceptance
from cxreader.training.activation_cache import ActivationCache, ActivationPlan, build_activation_caches
from cxreader.training.baselines import training_baselines
from cxreader.training.calibrate import calibrate
from cxreader.training.cohort import LEARNING_PARTS, Cohort, input_spec, prepare_cohort, require_same_images
from cxreader.training.devices import devices_notice, require_devices
from cxreader.training.fit import BEST, Settings, fit_phase, is_done, state_bytes
from cxreader.training.module import Recipe, Watch
from cxreader.training.phases import Phase, PhaseResult, better, learning, planned_phases, require_stages, stored_views
from cxreader.training.predict import predict_with_features
from cxreader.training.region.phase import fit_region_head, require_region_stages

PATIENT_SALT = "cxreader-training-patients"


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the phases of one training gave, and the one whose tune figure is best."""

    phases: tuple[PhaseResult, ...]
    chosen: PhaseResult
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training ends with."""

    artifact: Artifact
    folder: Path
    phases: tuple[PhaseResult, ...]
    chosen: PhaseResult


def train(config: Config, out: str | Path, *, resume: bool = False, say: Say = print, bar: Bar = no_bar) -> Trained:
    """Train as `config` says into the run folder `out`, whose `artifact` is the result.

    `say` is told each step in a line; `bar` gives progress bars, and Lightning shows its own unless it is `no_bar`. An
    interrupted run goes on with `resume`, to the same weights as without the interruption. Raises errors of the tree:
    UsageError for a folder in use, DataError for images, WeightsError for weights.
    """
    keep_pages()
    require_devices(config.training.accelerator, config.training.devices)
    with only_process(out, "training"):
        return _train(config, RunFolder.create(out, config, resume=resume), say, bar)


def _train(config: Config, run: RunFolder, say: Say, bar: Bar) -> Trained:
    model, transfer = build_model(config)  # before the images: weights that are absent are told at once
    parse_rules(config.calibration.operating_points)
    require_region_stages(config, model)
    cohort = prepare_cohort(config, run, say, bar)
    require_same_images(run, cohort)
    say(f"{config.model.name}: {transfer.notice}")
    learnt = learn(config, model, transfer, cohort.parts, run, say=say, bar=bar)
    artifact = finish(config, cohort, model, transfer, learnt, run, say=say, bar=bar)
    fitted = artifact.calibration
    calibrated = CalibrationSupport(fitted["n_positive"], fitted["n_negative"]).calibrated
    how = f"calibrated by {fitted['method']}" if calibrated else "not calibrated"
    say(f"artifact {artifact.id}: phase {learnt.chosen.name}, {how}")
    return Trained(artifact, run.artifact, learnt.phases, learnt.chosen)


def learn(
    config: Config,
    model: StagedModel,
    transfer: Transfer,
    parts: Mapping[str, CachedImages],
    run: RunFolder,
    *,
    say: Say,
    bar: Bar,
    watch: Watch | None = None,
) -> Learnt:
    """Run the phases on `train` and `tune`, the only parts that are looked at; `model` ends with the last one's best weights.

    `watch` is told every epoch of every phase (see `fit_phase`).
    """
    recipe = _recipe(config, parts, pretrained=transfer.pretrained)
    settings = _settings(config, show_progress=bar is not no_bar)
    phases = planned_phases(config.training, pretrained=transfer.pretrained)
    if settings.devices > 1:
        say(devices_notice(config.training, batch_statistics=recipe.batch_statistics))
    results = []
    for n, phase in enumerate(phases):
        # What serves this phase and the later ones whose frozen stages it does not change; a finished one needs none.
        ahead = [] if is_done(run.phase(phase.name)) else _unchanged(model, phases[n:])
        caches = frozen_outputs(config, model, ahead, parts, run, say=say, bar=bar)
        most = format_count(phase.epochs, "[epoch|epochs]")
        say(f"phase {phase.name}: {learning(phase.learn)} learns at {phase.lr:g}, at most {most}")
        activations = caches.get(model.frozen_stage(phase.learn) or "")
        result = fit_phase(
            model, phase, recipe, parts, run.phase(phase.name), settings, activations=activations, watch=watch
        )
        results.append(result)
        score = f"tune {config.training.monitor} {result.best_score:.4f}"
        say(f"phase {phase.name}: best epoch {result.best_epoch + 1} of {len(result.history)}, {score}")
    chosen = reduce(lambda a, b: better(a, b, config.training.monitor), results)
    write_json(run.history, {result.name: list(result.history) for result in results})
    return Learnt(tuple(results), chosen, recipe)


def _unchanged(model: StagedModel, phases: Sequence[Phase]) -> list[Phase]:
    """The first of `phases`, and of the others those whose frozen stages no phase before them changes."""
    first_learning = [model.names.index(model.cut_of(phase.learn)) for phase in phases]
    return [phase for n, phase in enumerate(phases) if min(first_learning[:n], default=math.inf) >= first_learning[n]]


def frozen_outputs(
    config: Config,
    model: StagedModel,
    phases: Iterable[Phase],
    parts: Mapping[str, CachedImages],
    run: RunFolder,
    *,
    say: Say,
    bar: Bar,
) -> dict[str, ActivationCache]:
    """By stage, what the frozen stages of these phases give for train and tune; empty when the config wants none stored."""
    t = config.training
    if not t.prefix_cache:
        return {}
    augmentation, spec = _augmentation(config), input_spec(config)
    stages = {stage for phase in phases if (stage := model.frozen_stage(phase.learn)) is not None}
    if not stages:
        return {}
    folder = run.cache if config.data.cache is None else Path(config.data.cache)
    plan = ActivationPlan(spec, augmentation, config.seed, stored_views(config), t.prefix_precision)
    return build_activation_caches(model, stages, parts, plan, folder, accelerator=t.accelerator, say=say, bar=bar)


def build_model(config: Config) -> tuple[StagedModel, Transfer]:
    """The network with its pretrained weights; its head is drawn from the seed.

    Raises WeightsError, and ConfigError for a phase that names a stage which the network does not have.
    """
    torch.manual_seed(derive_seed(config.seed, "initial weights"))
    model = create_model(config.model.name, dropout=config.model.dropout, size=config.input.size)
    require_stages(model, config.training)
    transfer = load_pretrained(model, config.model.name, weights_of(config.model))
    return model, transfer


def finish(
    config: Config,
    cohort: Cohort,
    model: StagedModel,
    transfer: Transfer,
    learnt: Learnt,
    run: RunFolder,
    *,
    say: Say,
    bar: Bar = no_bar,
) -> Artifact:
    """Take the chosen phase's weights, fit what `config.calibration` asks on `calibrate`, write the Artifact.

    With `config.training.boxes` a region head learns on these weights, which it leaves as they are.

    `model` is as `learn` left it.
    """
    chosen, recipe = learnt.chosen, learnt.recipe
    if chosen is not learnt.phases[-1]:  # else the network has these weights
        model.load_state_dict(load_file(run.phase(chosen.name) / BEST))
    part = cohort.parts["calibrate"]
    stage = model_entry(config.model.name).cam_stage
    logits, features = predict_with_features(model, part, recipe, stage)
    fitted = calibrate(logits.double().numpy(), part.labels, config.calibration)
    for note in fitted.decisions.notes:
        say(note)
    for doubt in (
        *implausible(cohort.sample("calibrate"), fitted.probability),
        *contradictory(fitted.decisions.points),
    ):
        say(f"warning: on the calibrate part: {doubt}")
    support = CalibrationSupport(fitted.calibrator.n_positive, fitted.calibrator.n_negative)
    if support.note is not None:
        say(f"warning: {support.note}")
    rate, rule, ood_scores = config.calibration.false_refusals, None, None
    if rate != "none":
        found = fit_acceptance(model, stage, recipe, cohort.parts["train"], part, features, rate, say)
        rule, ood_scores = found or (None, None)
    regions = fit_region_head(config, cohort, model, recipe, run, say=say, bar=bar)
    weights = state_bytes(model)
    artifact = Artifact(
        model=config.model.name,
        dropout=config.model.dropout,
        spec=recipe.spec,
        calibration=fitted.calibrator.to_dict(),
        operating_points=fitted.decisions.points,
        venn_abers=fitted.venn_abers.to_dict(),
        conformal=None if fitted.decisions.conformal is None else fitted.decisions.conformal.to_dict(),
        acceptance=None if rule is None else rule.to_dict(),
        disagreement=config.calibration.disagreement,
        transfer=transfer.text,
        patients=_patients(cohort),
        images=_images(cohort),
        region_head=None if regions is None else regions[0],
        weights_sha256=sha256(weights),
        thresholds_on="answer",
        reference_scores=ReferenceScores.of(part.labels, fitted.probability, ood_scores),
        provenance={
            **provenance(config.seed),
            "config": config.model_dump(mode="json"),
            "data": {"name": cohort.index.name, "patients_known": cohort.index.has_patients},
            "split": {"digest": cohort.split.digest, "kind": cohort.split.kind, "salt": cohort.split.salt},
            "counts": {name: np.bincount(part.labels, minlength=2).tolist() for name, part in cohort.parts.items()},
            "phases": [
                {"name": r.name, "best_epoch": r.best_epoch, "score": r.best_score, "devices": r.devices}
                for r in learnt.phases
            ],
            "chosen_phase": chosen.name,
            "population": _population(cohort).to_dict(),
            BASELINES: training_baselines(cohort, say=say, bar=bar),
        },
    )
    kept = _kept(run)
    if kept is not None and kept.reads_as(artifact):
        return kept  # finished before: it keeps its name, its exports and its evaluation
    save_artifact(artifact, weights, run.artifact, region_weights=None if regions is None else regions[1])
    return artifact


def _kept(run: RunFolder) -> Artifact | None:
    """The artifact of a run that finished before; None without one, and for one that is damaged, which is written again."""
    try:
        return load_artifact(run.artifact) if (run.artifact / MANIFEST).exists() else None
    except ArtifactError:
        return None


def _patients(cohort: Cohort) -> TrainingPatients:
    """Everyone who set the model, hashed: trained on, stopped by, calibrated on."""
    hashes: dict[str, tuple[str, ...]] = {}
    sources = set()
    for part in LEARNING_PARTS:
        records = cohort.split.records(cohort.index, part)
        sources |= {record.source for record in records}
        hashes[part] = tuple(sorted({patient_hash(PATIENT_SALT, r.source, r.group) for r in records}))
    return TrainingPatients(PATIENT_SALT, hashes, tuple(sorted(sources)), known=cohort.index.has_patients)


def _population(cohort: Cohort) -> Population:
    """Whose images set the model's answers."""
    others = set(cohort.only_regions)
    learnt = (r for part in LEARNING_PARTS for r in cohort.split.records(cohort.index, part) if r.image not in others)
    return Population.of(learnt)


def _images(cohort: Cohort) -> TrainingImages:
    """The pictures that set the model, under all their names."""
    whole = cohort.cache.whole
    found: dict[str, list[bytes]] = {}
    for part in LEARNING_PARTS:
        records = [r for r in cohort.split.records(cohort.index, part) if r.image in whole]
        found[part] = [digest for r in records for digest in whole.digests(r.image, r.path)]
    return TrainingImages.of(found)


def weights_of(model: ModelSection) -> str:
    """What `load_pretrained` is given: "imagenet", "none" or a file's path. Raises WeightsError for a file that is absent."""
    if model.weights in ("imagenet", "none"):
        return model.weights
    if model.weights == "phantoms":
        mend = "use `cxreader study run`, or give a file"
        raise WeightsError("only a study makes weights from phantoms", where="model.weights", mend=mend)
    try:
        return str(locate(model.weights))
    except DataError as error:
        if model.if_absent != "error":
            return "none"
        raise WeightsError(error.what, where=model.weights, mend='give its path, or model.weights = "none"') from None


def _augmentation(config: Config) -> Augmentation | None:
    return None if config.augment is None else Augmentation(**config.augment.model_dump())


def _recipe(config: Config, parts: Mapping[str, CachedImages], *, pretrained: bool) -> Recipe:
    t = config.training
    counts = np.bincount(parts["train"].labels, minlength=2)
    weights = (float(counts.sum() / (2 * counts[0])), float(counts.sum() / (2 * counts[1])))
    return Recipe(
        seed=config.seed,
        spec=input_spec(config),
        augmentation=_augmentation(config),
        optimizer=t.optimizer,
        weight_decay=t.weight_decay,
        schedule=t.schedule,
        label_smoothing=t.label_smoothing,
        class_weights=weights if t.class_weights == "balanced" else None,
        batch_statistics=not (pretrained and t.batch_norm == "frozen"),
    )


def _settings(config: Config, *, show_progress: bool) -> Settings:
    t = config.training
    seen = show_progress and sys.stdout.isatty()  # a bar is drawn again and again: in a file each drawing is a line
    return Settings(t.batch_size, t.monitor, t.precision, t.accelerator, t.tensorboard, t.compile, seen, t.devices)

"""Region heads by folds: what one learnt from boxes knows of patients it has not met, on stages that nobody fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning

# isort: split
import numpy as np
import torch
from numpy.typing import NDArray

from cxreader.assessment.places import PlaceMaps, boxes_of, judge_regions
from cxreader.assessment.summary import store_regions
from cxreader.config import BoxesSection, Config
from cxreader.data.augment import Augmentation
from cxreader.data.folds import Folds, make_folds
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.data.sources import open_data
from cxreader.data.split import Split, group_of
from cxreader.errors import DataError, UsageError
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.inference.runtimes.torch_backend import load_network
from cxreader.models.artifact import load_artifact
from cxreader.models.region_head import RegionHead
from cxreader.models.stages import StagedModel
from cxreader.progress import Bar, Say, no_bar
from cxreader.records import NORMAL
from cxreader.runs import RunFolder, only_process, provenance, write_json
from cxreader.training.cohort import LEARNING_PARTS, input_spec
from cxreader.training.module import Recipe
from cxreader.training.region.learning import Trunk, learn_regions
from cxreader.training.region.lessons import Lessons, lessons_from
from cxreader.training.region.phase import new_region_head, region_recipe
from cxreader.training.region.trunk import ChosenTrunk, trunk_of
from cxreader.training.train import build_model

ABOUT, BATCH = "region_folds.json", 32


@dataclass(frozen=True, eq=False)
class RegionFolds:
    """What the folds gave: `reports` whatever the finding and by finding; `transfer` of the stages; boxes learnt from by fold."""

    reports: tuple[LocalisationReport, ...]
    transfer: str
    learnt_from: tuple[int, ...]


def region_folds(
    config: Config | RunFolder, folds: int, out: str | Path, *, command: str = "", say: Say = print, bar: Bar = no_bar
) -> RegionFolds:
    """Learn one region head a fold, without its patients, and judge all boxes by the head that has not met their patient.

    The stages are the same in every fold, so that the images pass them once: those of the pretrained network, where a
    configuration whose phases move them is refused; or those of a finished run. A run's stages know the patients of the parts
    that set its classifier: their boxes teach, but none of them is judged, and what is found is stored in the run's artifact.
    Into `out`, which goes on where it stood: `region_head.json`, `region_head_by_finding.json`, and `region_folds.json` with
    command, seed, date, machine. Raises UsageError for that, where `training.boxes` is off, and for a run that was not
    evaluated; DataError without boxes; WeightsError; SplitError as `make_folds`.
    """
    config, stages = (config, _pretrained(config)) if isinstance(config, Config) else _finished(config)
    section, model = _section(config), stages.model
    with only_process(out, "region folds"):
        run = RunFolder.create(out, config, resume=True, what="study of region heads", begun=("phases",))
        dealt, lessons = _lessons(config, section, folds, run, bar)
        unmet = _unmet(stages, lessons)
        recipe = Recipe(config.seed, input_spec(config), None)
        if config.augment is not None:
            recipe = Recipe(config.seed, recipe.spec, Augmentation(**config.augment.model_dump()))
        _, whole = new_region_head(section, model, recipe.spec.size, lessons, seed=config.seed)
        trunk = trunk_of(config.training, model, whole.stages, lessons, recipe, _cache(config, run), say=say, bar=bar)
        maps, learnt_from = PlaceMaps(), []
        for number in range(1, folds + 1):
            own = [dealt.of[group_of(record)] == number for record in lessons.records]
            learning = [n for n, judged in enumerate(own) if not judged]
            chosen = lessons.chosen(learning)
            head, record = new_region_head(section, model, recipe.spec.size, chosen, seed=config.seed)
            say(f"fold {number} of {folds}: {record.description}")
            parts, how = ChosenTrunk(trunk, learning), region_recipe(section, config.seed)
            learn_regions(head, chosen, record.findings, parts, how, run.phase(f"fold-{number}"), bar=bar)
            judged_here = [n for n, judged in enumerate(own) if judged and n in unmet]
            maps.add(_maps(head, record.findings, lessons, trunk, judged_here))
            learnt_from.append(sum(record.boxes.values()))
        boxed = [lessons.records[n] for n in sorted(unmet)]
        reports = judge_regions(maps, boxes_of(recipe.spec, boxed), bar=bar, seed=config.seed)
        for report in reports:
            write_json(run.path / f"{report.slug}.json", report.to_dict())
        about = {"command": command, "transfer": stages.text, "folds": folds, "salt": dealt.salt}
        date = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(run.path / ABOUT, {**about, "learnt_from": learnt_from, "date": date, **provenance(config.seed)})
    if stages.run is not None:
        store_regions(
            stages.run, reports, f"{folds} folds of heads on its stages; boxes of patients they had not met", say
        )
    return RegionFolds(reports, stages.text, tuple(learnt_from))


@dataclass(frozen=True, eq=False)
class _Stages:
    """A network whose stages stay as they are, in words, and of a run its folder and the patients that taught them."""

    model: StagedModel
    text: str
    run: Path | None = None
    taught_by: frozenset[str] = frozenset()


def _pretrained(config: Config) -> _Stages:
    _section(config)
    if config.training.phases != ("head",):
        mend = 'train it, and give the run\'s folder in the place of the file; or --set training.phases=["head"]'
        raise UsageError("phases that change the stages want a finished run", where="training.phases", mend=mend)
    model, transfer = build_model(config)
    if not transfer.pretrained:
        raise UsageError("the stages are not pretrained", where="model.weights", mend="give weights")
    return _Stages(model, transfer.text)


def _finished(run: RunFolder) -> tuple[Config, _Stages]:
    """Of a run that was evaluated: its configuration, its network, and who taught it."""
    config, artifact = run.load_config(), load_artifact(run.artifact)
    if artifact.evaluation is None:
        raise UsageError("the run was not evaluated yet", where=run.path, mend=f"cxreader evaluate {run.path}")
    index, split = open_data(config.data), Split.load(run.split)
    learnt = [index.by_image[i] for part in LEARNING_PARTS for i in split.parts[part] if i in index.by_image]
    taught_by = frozenset(group_of(record) for record in learnt if not index.teaches_places_alone(record))
    text = f"stages of the run's own network ({artifact.transfer})"
    return config, _Stages(load_network(artifact, run.artifact), text, run.artifact, taught_by)


def _unmet(stages: _Stages, lessons: Lessons) -> frozenset[int]:
    """Positions of the images whose boxes are judged: those of patients who taught the stages nothing."""
    found = [n for n, r in enumerate(lessons.records) if r.boxes and group_of(r) not in stages.taught_by]
    if not found:
        what = "every image with boxes is of a patient who taught the classifier"
        mend = "give boxes of others, or sources of weight 0"
        raise DataError(what, where=stages.run, mend=mend)
    return frozenset(found)


def _section(config: Config) -> BoxesSection:
    section = config.training.boxes
    if section is None:
        mend = "add the section [training.boxes], or --set training.boxes=true"
        raise UsageError("no region head is asked for", where="training.boxes", mend=mend)
    return section


def _cache(config: Config, run: RunFolder) -> Path:
    return run.cache if config.data.cache is None else Path(config.data.cache)


def _lessons(config: Config, section: BoxesSection, folds: int, run: RunFolder, bar: Bar) -> tuple[Folds, Lessons]:
    """Who is in which fold, and the images that teach; the folds are of all patients, boxed or not."""
    index = open_data(config.data)
    records = [r for r in index.records if r.boxes or (section.normals and r.label == NORMAL)]
    if not any(record.boxes for record in records):
        raise DataError("no image has a box", where=config.data.where, mend="give images with boxes")
    spec = input_spec(config)
    with bar("pixel cache") as progress:
        cache = build_cache(records, spec, _cache(config, run), workers=config.data.workers, progress=progress)
    cache = cache.without_copies(record.image for record in records)
    return make_folds(index.records, folds), lessons_from(
        [record for record in records if record.image in cache], cache, spec, normals=section.normals
    )


def _maps(
    head: RegionHead, findings: Sequence[str], lessons: Lessons, trunk: Trunk, positions: Sequence[int]
) -> PlaceMaps:
    """The head's maps of the images at these positions, as they are."""
    found = PlaceMaps()
    for start in range(0, len(positions), BATCH):
        some = positions[start : start + BATCH]
        outputs, _ = trunk(some, torch.empty(len(some), 0, 1, 1), None)
        with torch.no_grad():
            maps: NDArray[np.float32] = head(outputs).sigmoid().numpy()
        for at, own in zip(some, maps, strict=True):
            image = lessons.records[at].image
            found.whole[image] = own[-1]
            found.each.update({(image, finding): one for finding, one in zip(findings, own, strict=False)})
    return found

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
from cxreader.config import BoxesSection, Config
from cxreader.data.augment import Augmentation
from cxreader.data.folds import Folds, make_folds
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.data.sources import open_data
from cxreader.data.split import group_of
from cxreader.errors import DataError, UsageError
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.models.region_head import RegionHead
from cxreader.progress import Bar, Say, no_bar
from cxreader.records import NORMAL
from cxreader.runs import RunFolder, only_process, provenance, write_json
from cxreader.training.cohort import input_spec
from cxreader.training.module import Recipe
from cxreader.training.region import Trunk, learn_regions
from cxreader.training.region_lessons import Lessons, lessons_from
from cxreader.training.region_phase import new_region_head, region_recipe
from cxreader.training.region_trunk import ChosenTrunk, trunk_of
from cxreader.training.train import build_model

ABOUT, BATCH = "region_folds.json", 32


@dataclass(frozen=True, eq=False)
class RegionFolds:
    """What the folds gave: `reports` whatever the finding and by finding; `transfer` of the stages; boxes learnt from by fold."""

    reports: tuple[LocalisationReport, ...]
    transfer: str
    learnt_from: tuple[int, ...]


def region_folds(
    config: Config, folds: int, out: str | Path, *, command: str = "", say: Say = print, bar: Bar = no_bar
) -> RegionFolds:
    """Learn one region head a fold, without its patients, and judge all boxes by the head that has not met their patient.

    The stages are those of the pretrained network, the same in every fold, so that the images pass it once: a configuration
    whose phases move them is refused, and `study cross-validate` is the way. Into `out`, which goes on where it stood:
    `region_head.json`, `region_head_by_finding.json`, and `region_folds.json` with command, seed, date, machine. Raises
    UsageError for that, and where `training.boxes` is off; DataError without boxes; WeightsError; SplitError as `make_folds`.
    """
    section = _section(config)
    model, transfer = build_model(config)
    if not transfer.pretrained:
        raise UsageError("the stages are not pretrained", where="model.weights", mend="give weights")
    with only_process(out, "region folds"):
        run = RunFolder.create(out, config, resume=True, what="study of region heads", begun=("phases",))
        dealt, lessons = _lessons(config, section, folds, run, bar)
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
            judged_here = [n for n, judged in enumerate(own) if judged and lessons.findings[n]]
            maps.add(_maps(head, record.findings, lessons, trunk, judged_here))
            learnt_from.append(sum(record.boxes.values()))
        boxed = [record for record in lessons.records if record.boxes]
        reports = judge_regions(maps, boxes_of(recipe.spec, boxed), bar=bar, seed=config.seed)
        for report in reports:
            write_json(run.path / f"{report.slug}.json", report.to_dict())
        about = {"command": command, "transfer": transfer.text, "folds": folds, "salt": dealt.salt}
        date = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(run.path / ABOUT, {**about, "learnt_from": learnt_from, "date": date, **provenance(config.seed)})
    return RegionFolds(reports, transfer.text, tuple(learnt_from))


def _section(config: Config) -> BoxesSection:
    section = config.training.boxes
    if section is None:
        mend = "add the section [training.boxes], or --set training.boxes=true"
        raise UsageError("no region head is asked for", where="training.boxes", mend=mend)
    if config.training.phases != ("head",):
        mend = 'use `cxreader study cross-validate`, then `cxreader audit places`; or --set training.phases=["head"]'
        raise UsageError("phases that change the stages want a network a fold", where="training.phases", mend=mend)
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

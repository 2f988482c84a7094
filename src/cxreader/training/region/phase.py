"""From a trained network and boxes to its region head: what it reads, what it learns from, what the artifact says of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning

# isort: split
import torch

from cxreader.config import BoxesSection, Config
from cxreader.counting import format_count
from cxreader.data.dataset import derive_seed
from cxreader.models.artifact import sha256
from cxreader.models.region_head import RegionHead, default_stages, require_stages, stage_shapes
from cxreader.models.region_record import RegionHeadRecord
from cxreader.models.stages import StagedModel
from cxreader.progress import Bar, Say
from cxreader.runs import RunFolder, write_json
from cxreader.training.cohort import Cohort
from cxreader.training.module import Recipe
from cxreader.training.region.learning import PHASE, RegionRecipe, learn_regions, region_bytes, usual_places
from cxreader.training.region.lessons import Lessons, lessons_of
from cxreader.training.region.trunk import trunk_of


def require_region_stages(config: Config, model: StagedModel) -> None:
    """Raise ModelError, before images are decoded, for a stage in `training.boxes` that the network has not."""
    if config.training.boxes is not None:
        require_stages(config.training.boxes.stages, stage_shapes(model, config.input.size))


def fit_region_head(
    config: Config,
    cohort: Cohort,
    model: StagedModel,
    recipe: Recipe,
    run: RunFolder,
    *,
    say: Say,
    bar: Bar,
) -> tuple[RegionHeadRecord, bytes] | None:
    """What an artifact says of the region head that `training.boxes` asks for, and its weights; None without it or without boxes.

    `model` has the weights that the artifact will have, and keeps them: none of its stages learns here. The history of the
    phase goes to the run's. Raises ModelError for a stage that the network has not.
    """
    section = config.training.boxes
    if section is None:
        return None
    lessons = lessons_of(cohort, recipe.spec, normals=section.normals)
    if not lessons.boxes:
        say("no region head: no image of train, tune and calibrate has a box")
        return None
    head, record = new_region_head(section, model, recipe.spec.size, lessons, seed=config.seed)
    normals = f" and {format_count(record.normals, 'normal [image|images]')}" if record.normals else ""
    say(f"phase {PHASE}: {record.description}{normals}, on {' and '.join(record.stages)}, {section.epochs} epochs")
    if config.training.devices > 1:
        say(f"phase {PHASE}: learns on one device")
    folder = run.cache if config.data.cache is None else Path(config.data.cache)
    trunk = trunk_of(config.training, model, record.stages, lessons, recipe, folder, say=say, bar=bar)
    how = region_recipe(section, config.seed)
    _note(run, learn_regions(head, lessons, record.findings, trunk, how, run.phase(PHASE), bar=bar))
    weights = region_bytes(head)
    return replace(record, weights_sha256=sha256(weights)), weights


def new_region_head(
    section: BoxesSection, model: StagedModel, size: int, lessons: Lessons, *, seed: int
) -> tuple[RegionHead, RegionHeadRecord]:
    """A head that has yet to learn, and what is known of it by then: it says where the findings of the lessons usually are.

    `size`: of the network's input. Raises ModelError for a stage that the network has not.
    """
    findings, shapes = tuple(lessons.boxes), stage_shapes(model, size)
    stages = section.stages or default_stages(shapes)
    require_stages(stages, shapes)
    channels, side = tuple(shapes[s][0] for s in stages), max(shapes[s][1] for s in stages)
    torch.manual_seed(derive_seed(seed, PHASE, "initial weights"))
    head = RegionHead(channels, side, len(findings), width=section.width)
    with torch.no_grad():
        head.usual.copy_(usual_places(lessons, findings, side))
    return head, RegionHeadRecord(
        findings=findings,
        stages=stages,
        channels=channels,
        side=side,
        width=section.width,
        boxes=lessons.boxes,
        images=sum(map(bool, lessons.findings)),
        patients=lessons.patients,
        normals=sum(not found for found in lessons.findings),
        weights_sha256="",
    )


def region_recipe(section: BoxesSection, seed: int) -> RegionRecipe:
    """How a head learns, as the configuration says."""
    return RegionRecipe(seed, section.lr, section.epochs, section.batch_size, section.weight_decay)


def _note(run: RunFolder, history: Sequence[dict[str, Any]]) -> None:
    """Put the phase beside the others in the run's history."""
    phases = json.loads(run.history.read_text(encoding="utf-8")) if run.history.exists() else {}
    write_json(run.history, {**phases, PHASE: list(history)})

"""Where a region head's inputs come from: what the frozen stages gave once and is stored, or the network at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning

# isort: split
import torch
from torch import Tensor

from cxreader.config import TrainingSection
from cxreader.data.dataset import StageOutputs, grey, normalise
from cxreader.models.region_head import stage_maps
from cxreader.models.stages import StagedModel
from cxreader.progress import Bar, Say
from cxreader.training.activation_cache import ActivationPlan, build_activation_caches
from cxreader.training.module import Recipe
from cxreader.training.region.learning import Trunk
from cxreader.training.region.lessons import Lessons


def trunk_of(
    section: TrainingSection,
    model: StagedModel,
    stages: Sequence[str],
    lessons: Lessons,
    recipe: Recipe,
    folder: Path,
    *,
    say: Say,
    bar: Bar,
) -> Trunk:
    """The stages' outputs of the images as they are, stored once in `folder`; without `prefix_cache` of freshly moved ones.

    Raises as `build_activation_caches`.
    """
    if not section.prefix_cache:
        return _AtWork(model.eval(), stages, lessons, recipe)
    plan = ActivationPlan(recipe.spec, None, recipe.seed, 1, section.prefix_precision)
    parts = {"train": lessons.images, "tune": lessons.images.chosen([0])}
    device = section.accelerator
    caches = build_activation_caches(model, stages, parts, plan, folder, accelerator=device, say=say, bar=bar)
    return _Stored(model, [caches[stage].train for stage in stages])


@dataclass(frozen=True, slots=True)
class _Stored:
    model: StagedModel
    outputs: Sequence[StageOutputs]

    def __call__(self, positions: Sequence[int], masks: Tensor, seed: int | None) -> tuple[list[Tensor], Tensor]:  # noqa: ARG002
        return [self.model.to_maps(stored[positions][0].float()) for stored in self.outputs], masks


@dataclass(frozen=True, slots=True)
class _AtWork:
    model: StagedModel
    stages: Sequence[str]
    lessons: Lessons
    recipe: Recipe

    def __call__(self, positions: Sequence[int], masks: Tensor, seed: int | None) -> tuple[list[Tensor], Tensor]:
        device = next(self.model.parameters()).device
        x, augmentation = grey(self.lessons.images[positions][0].to(device)), self.recipe.augmentation
        if augmentation is not None and seed is not None:
            x, masks = augmentation(x, seed), augmentation.move(masks, seed)
        with torch.no_grad():
            outputs = stage_maps(self.model, normalise(x, self.recipe.spec), self.stages)
        return [output.float().cpu() for output in outputs], masks


@dataclass(frozen=True, slots=True)
class ChosenTrunk:
    """Of some images alone: position n is the one at `positions[n]` of `trunk`."""

    trunk: Trunk
    chosen: Sequence[int]

    def __call__(self, positions: Sequence[int], masks: Tensor, seed: int | None) -> tuple[list[Tensor], Tensor]:
        """As `Trunk`."""
        return self.trunk([self.chosen[at] for at in positions], masks, seed)

"""What a network says of stored images, in their order, without augmentation and in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cxreader.data.dataset import CachedImages, EpochOrder, grey, loader, normalise
from cxreader.models.stages import StagedModel
from cxreader.training.module import Recipe

BATCH = 64


def predict_logits(model: StagedModel, images: CachedImages, recipe: Recipe) -> Tensor:
    """Logits float32 (n, 2)."""
    (logits,) = _asked(model, images, recipe, lambda x: (model(x),))
    return logits


def predict_with_features(
    model: StagedModel, images: CachedImages, recipe: Recipe, stage: str
) -> tuple[Tensor, Tensor]:
    """Logits float32 (n, 2), and the features (n, D) of `StagedModel.maps_and_features` up to `stage`."""

    def both(x: Tensor) -> tuple[Tensor, ...]:
        spatial, seen = model.maps_and_features(x, stage)
        return model.after(spatial, stage), seen

    logits, features = _asked(model, images, recipe, both)
    return logits, features


def _asked(
    model: StagedModel, images: CachedImages, recipe: Recipe, ask: Callable[[Tensor], tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """What `ask` gives of each batch, joined; the network is left in the mode in which it was."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        batches = loader(images, EpochOrder(len(images), BATCH))
        found = [[part.float().cpu() for part in ask(normalise(grey(x.to(device)), recipe.spec))] for x, _ in batches]
    model.train(was_training)
    return tuple(torch.cat(parts) for parts in zip(*found, strict=True))

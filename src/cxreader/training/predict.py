"""Logits and features of cached images, in their order, without augmentation and in evaluation mode."""

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
    (logits,) = _over_batches(model, images, recipe, lambda x: (model(x),))
    return logits


def predict_with_features(
    model: StagedModel, images: CachedImages, recipe: Recipe, stage: str
) -> tuple[Tensor, Tensor]:
    """Logits float32 (n, 2), and the features (n, D) of `StagedModel.maps_and_features` up to `stage`."""

    def both(x: Tensor) -> tuple[Tensor, ...]:
        spatial, features = model.maps_and_features(x, stage)
        return model.after(spatial, stage), features

    logits, features = _over_batches(model, images, recipe, both)
    return logits, features


def _over_batches(
    model: StagedModel, images: CachedImages, recipe: Recipe, forward: Callable[[Tensor], tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """The outputs of `forward` for each batch, joined; the network keeps its mode."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        batches = loader(images, EpochOrder(len(images), BATCH))
        found = [
            [part.float().cpu() for part in forward(normalise(grey(batch[0].to(device)), recipe.spec))]
            for batch in batches
        ]
    model.train(was_training)
    return tuple(torch.cat(parts) for parts in zip(*found, strict=True))

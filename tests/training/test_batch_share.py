"""Of each batch a process of several has its share: together they learn what one process learns of the whole."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
from tests.training.on_devices import RECIPE, Parts, make_parts, network

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch
from torch import Tensor, nn

from cxreader.data.dataset import WHOLE, BatchShare, CachedImages, SharedImages
from cxreader.models.registry import create_model
from cxreader.training.module import PhaseModule, Recipe, synchronised
from cxreader.training.phases import Phase


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(tmp_path_factory.mktemp("pixels") / "pixels.bin")


def _gradients(
    recipe: Recipe, images: CachedImages, positions: list[int], share: BatchShare
) -> tuple[float, list[Tensor]]:
    """Loss and gradients of a training step of float64, as one process finds them."""
    model = network().double()
    module = PhaseModule(model, Phase("full", "all", 1e-3, 1, 1), recipe, share=share)
    module.network = lambda x: model(x.double())
    loss = module.training_step(SharedImages(images, share)[positions], 0)
    loss.backward()
    return loss.item(), [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize(("count", "ranks"), [(8, 2), (7, 3), (2, 3)])
@pytest.mark.parametrize("taught", ["labels", "classes", "sources"])
def test_the_mean_of_the_shares_is_the_loss_and_the_gradient_of_the_whole_batch(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, taught: str, count: int, ranks: int
) -> None:
    """To 1e-9, images augmented and vectors dropped; also where a share has images of weight 0 alone, or none."""
    monkeypatch.setattr(PhaseModule, "log", lambda *_, **__: None)
    images, positions = parts["train"], list(range(5, 5 + count))
    recipe = replace(RECIPE, class_weights=(0.6, 3.0) if taught == "classes" else None)
    if taught == "sources":
        assert images.supervision is not None
        weights = images.supervision.copy()
        weights[positions[1::ranks], 1] = 0
        images = CachedImages(images.pixels, images.rows, images.labels, weights)
    else:
        images = CachedImages(images.pixels, images.rows, images.labels)
    loss, gradients = _gradients(recipe, images, positions, WHOLE)
    found = [_gradients(recipe, images, positions, BatchShare(rank, ranks)) for rank in range(ranks)]
    assert np.mean([loss for loss, _ in found]) == pytest.approx(loss, rel=1e-9)
    for n, expected in enumerate(gradients):
        mean = torch.stack([of_share[n] for _, of_share in found]).mean(0)
        torch.testing.assert_close(mean, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0"])
def test_synchronised_norms_keep_the_function(name: str) -> None:
    """EfficientNet's norms have their activation in them, which torch's own conversion loses."""
    torch.manual_seed(2)
    model, x = create_model(name, size=32).eval(), torch.randn(2, 3, 32, 32)
    expected, count = model(x), sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    converted = synchronised(copy.deepcopy(model)).eval()
    assert torch.equal(converted(x), expected)
    assert sum(isinstance(m, nn.SyncBatchNorm) for m in converted.modules()) == count > 0

"""Finer maps of the same weights: the old positions are among them, to the last digit that matters."""

from __future__ import annotations

import pytest
import torch

from cxreader.errors import ModelError
from cxreader.models.dilation import dilate
from cxreader.models.registry import create_model, list_models
from cxreader.models.stages import StagedModel

CONVOLUTIONAL = [entry.name for entry in list_models() if entry.name != "chestxray_cnn"]


def _without_means(model: StagedModel) -> StagedModel:
    """Without squeeze and excitation, whose means of a map are taken over more positions of a finer one."""
    for module in model.modules():
        if isinstance(getattr(module, "se", None), torch.nn.Module):
            module.se = torch.nn.Identity()
    return model


@pytest.mark.parametrize(
    ("name", "size"),
    [*((name, 96) for name in CONVOLUTIONAL), *((name, 112) for name in CONVOLUTIONAL if name != "densenet121")],
)
def test_every_second_position_of_the_finer_map_is_the_old_map(name: str, size: int) -> None:
    """96 pixels become 6 x 6 and 3 x 3 positions; 112 become 7 x 7 and 4 x 4, but for DenseNet, whose pool drops the rest."""
    torch.manual_seed(0)
    model = _without_means(create_model(name, size=size)).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # so that a shift in a padded border would be seen
            module.bias.data.uniform_(-0.5, 0.5)
    finer = _without_means(create_model(name, size=size))
    finer.load_state_dict(model.state_dict())
    finer = dilate(finer, size)
    assert finer.training
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        old, new = model.until(x, "last_block"), finer.eval().until(x, "last_block")
    assert new.shape[2:] == (size // 16, size // 16)
    assert old.shape[2] < new.shape[2]
    side = old.shape[2]
    torch.testing.assert_close(new[:, :, ::2, ::2][:, :, :side, :side], old, rtol=1e-4, atol=1e-4)
    assert finer(x).shape == (2, 2)


def test_a_map_that_is_fine_enough_stays_and_one_that_is_flattened_is_refused() -> None:
    assert dilate(create_model("chestxray_cnn", size=64), 64).names == create_model("chestxray_cnn", size=64).names
    model = create_model("resnet18", size=64)
    model.pool = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(512 * 4, 512))
    with pytest.raises(ModelError, match="flattens its last map"):
        dilate(model, 64)

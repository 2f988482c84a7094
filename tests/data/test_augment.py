"""Augmentation: each change by itself against a hand computation from the same draws; the same seed gives the same batch."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch
from torch import Tensor

from cxreader.data.augment import Augmentation

SIDE, SEED = 64, 11
NOTHING = Augmentation(rotation=0, shift=0, scale=0, brightness=0, contrast=0)


def _draws(images: int) -> Tensor:
    """What each image draws, between -1 and 1: rotation, scale, shift across and down, brightness, contrast, flip."""
    return torch.rand(images, 7, generator=torch.Generator().manual_seed(SEED)) * 2 - 1


def _spot(x: float, y: float, images: int = 8) -> Tensor:
    """A round bright spot, `x` and `y` pixels right of and below the centre."""
    at = torch.arange(SIDE) + 0.5 - SIDE / 2
    spot = torch.exp(-((at[None, :] - x) ** 2 + (at[:, None] - y) ** 2) / (2 * 2.5**2))
    return spot.expand(images, 1, SIDE, SIDE).clone()


def _centre(batch: Tensor) -> Tensor:
    """(n, 2): where the spot is, in pixels right of and below the centre."""
    at, weight = torch.arange(SIDE) + 0.5 - SIDE / 2, batch[:, 0].sum((1, 2))
    return torch.stack([(batch[:, 0].sum(1) @ at) / weight, (batch[:, 0].sum(2) @ at) / weight], dim=1)


def test_nothing_changes_nothing() -> None:
    batch = torch.rand(4, 1, SIDE, SIDE)
    torch.testing.assert_close(NOTHING(batch, SEED), batch, atol=1e-5, rtol=0)


def test_brightness_is_added_and_contrast_is_about_the_middle_grey() -> None:
    batch, draws = torch.full((8, 1, SIDE, SIDE), 0.6), _draws(8)
    brighter = replace(NOTHING, brightness=0.2)(batch, SEED)
    torch.testing.assert_close(brighter[:, 0, 32, 32], 0.6 + 0.2 * draws[:, 4])
    steeper = replace(NOTHING, contrast=0.3)(batch, SEED)
    torch.testing.assert_close(steeper[:, 0, 32, 32], 0.5 + 0.1 * (1 + 0.3 * draws[:, 5]))
    far = replace(NOTHING, brightness=1.0)(batch, SEED)[:, 0, 32, 32]
    torch.testing.assert_close(far, (0.6 + draws[:, 4]).clamp(0, 1))
    assert {0.0, 1.0} <= set(far.tolist())


def test_a_shift_is_a_share_of_the_side_and_repeats_the_edge_behind_it() -> None:
    draws = _draws(8)
    moved = replace(NOTHING, shift=0.1)(_spot(0, 0), SEED)
    torch.testing.assert_close(_centre(moved), -0.1 * SIDE * draws[:, 2:4], atol=0.02, rtol=0)
    ramp = (torch.arange(SIDE) / SIDE).expand(8, 1, SIDE, SIDE).clone()
    taken_from = torch.arange(SIDE) + SIDE * 0.1 * draws[:, 2:3]
    expected = taken_from.clamp(0, SIDE - 1) / SIDE
    torch.testing.assert_close(replace(NOTHING, shift=0.1)(ramp, SEED)[:, 0, 32], expected, atol=1e-5, rtol=0)
    turned = replace(NOTHING, rotation=30.0)(torch.full((8, 1, SIDE, SIDE), 0.7), SEED)
    torch.testing.assert_close(turned, torch.full_like(turned, 0.7))


def test_rotation_is_in_degrees_about_the_centre_anticlockwise() -> None:
    turned = _centre(replace(NOTHING, rotation=30.0)(_spot(15, 0), SEED))
    angle = _draws(8)[:, 0] * math.radians(30)
    torch.testing.assert_close(turned, 15 * torch.stack([torch.cos(angle), -torch.sin(angle)], 1), atol=0.05, rtol=0)


def test_scale_is_a_share_of_the_size_about_the_centre() -> None:
    larger = _centre(replace(NOTHING, scale=0.2)(_spot(12, -8), SEED))
    expected = (1 + 0.2 * _draws(8)[:, 1])[:, None] * torch.tensor([[12.0, -8.0]])
    torch.testing.assert_close(larger, expected, atol=0.05, rtol=0)


def test_a_flip_mirrors_left_and_right_of_half_of_the_images_and_only_when_asked() -> None:
    asked = _centre(replace(NOTHING, horizontal_flip=True)(_spot(10, 5), SEED))
    side = torch.where(_draws(8)[:, 6] > 0, -10.0, 10.0)
    torch.testing.assert_close(asked, torch.stack([side, torch.full((8,), 5.0)], 1), atol=0.02, rtol=0)
    assert set(side.tolist()) == {-10.0, 10.0}
    unasked = _centre(NOTHING(_spot(10, 5), SEED))
    torch.testing.assert_close(unasked, torch.tensor([[10.0, 5.0]]).expand(8, 2), atol=0.02, rtol=0)


def test_the_same_seed_gives_the_same_batch_and_another_one_does_not() -> None:
    batch = _spot(10, 5)
    assert torch.equal(Augmentation()(batch, 3), Augmentation()(batch, 3))
    assert not torch.equal(Augmentation()(batch, 3), Augmentation()(batch, 4))


@pytest.mark.parametrize(
    "one",
    [
        replace(NOTHING, rotation=20.0),
        replace(NOTHING, shift=0.2),
        replace(NOTHING, scale=0.2),
        replace(NOTHING, brightness=0.2),
        replace(NOTHING, contrast=0.2),
    ],
    ids=str,
)
def test_every_image_draws_its_own(one: Augmentation) -> None:
    ramp = torch.linspace(0.1, 0.9, SIDE).expand(2, 1, SIDE, SIDE).clone() * torch.linspace(0.5, 1, SIDE)[:, None]
    first, second = one(ramp, SEED)
    assert not torch.allclose(first, second, atol=1e-3)

"""InputSpec: two steps, one geometry, the same for training and reading."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxreader.data.dataset import grey, normalise
from cxreader.errors import ArtifactError, ConfigError
from cxreader.imaging.preprocess import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from cxreader.imaging.radiograph import Radiograph
from cxreader.records import Box


def _radiograph(height: int, width: int, seed: int = 0) -> Radiograph:
    return Radiograph(np.random.default_rng(seed).random((height, width), np.float32), source="test")


def test_an_image_of_the_networks_size_is_only_rounded() -> None:
    radiograph = _radiograph(64, 64)
    np.testing.assert_array_equal(InputSpec(64).pixels(radiograph), np.rint(radiograph.pixels * 255).astype(np.uint8))


def test_squash_is_pillows_bilinear_on_floats() -> None:
    radiograph = _radiograph(300, 200)
    peer = Image.fromarray(radiograph.pixels * 255).resize((64, 64), Image.Resampling.BILINEAR)
    ours = InputSpec(64, "squash").pixels(radiograph).astype(np.float32)
    assert np.abs(ours - np.asarray(peer)).max() <= 0.501


def test_pad_keeps_the_aspect_and_centres_on_black() -> None:
    spec = InputSpec(64)
    white = Radiograph(np.ones((100, 200), np.float32), source="test")
    pixels = spec.pixels(white)
    assert spec.content(200, 100) == (0, 16, 64, 32)
    assert pixels[16:48].min() == 255
    assert pixels[:16].max() == pixels[48:].max() == 0
    assert spec.content(200, 133) == (0, 10, 64, 43)  # 42.56 rows, 21 left to share: the lesser half above
    assert spec.content(32, 6400) == (31, 0, 1, 64)  # 0.32 columns, and yet a picture


@given(
    width=st.integers(32, 400),
    height=st.integers(32, 400),
    size=st.integers(32, 128),
    fit=st.sampled_from(["pad", "squash"]),
)
@settings(max_examples=40, deadline=None)
def test_content_lies_in_the_square_and_boxes_follow_it(width: int, height: int, size: int, fit: str) -> None:
    spec = InputSpec(size, fit)  # type: ignore[arg-type]
    x, y, w, h = spec.content(width, height)
    assert x >= 0
    assert y >= 0
    assert x + w <= size
    assert y + h <= size
    (whole,) = spec.place([Box("Mass", 0, 0, width, height)], width, height)
    assert (whole.x, whole.y, whole.width, whole.height) == pytest.approx((x, y, w, h))
    assert spec.pixels(_radiograph(height, width)).shape == (size, size)


def test_normalise_is_the_textbook_formula() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    out = InputSpec(32).normalise(pixels)
    assert out.shape == (3, 16, 16)
    assert out.dtype == np.float32
    for channel in range(3):
        expected = (pixels / 255 - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
        np.testing.assert_allclose(out[channel], expected, atol=1e-6)


def test_training_and_reading_normalise_to_the_same_bits() -> None:
    spec = InputSpec(32)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32)).astype(np.uint8)
    trained = normalise(grey(torch.from_numpy(pixels)), spec)
    np.testing.assert_array_equal(trained.numpy(), spec.normalise(pixels))


def test_the_pixel_key_depends_on_pixels_alone() -> None:
    base = InputSpec(64)
    assert base.pixel_key == InputSpec(64, mean=(0.5, 0.5, 0.5)).pixel_key
    assert base.pixel_key != InputSpec(65).pixel_key
    assert base.pixel_key != InputSpec(64, "squash").pixel_key


def test_a_spec_survives_json_and_refuses_nonsense() -> None:
    import json

    spec = InputSpec(96, "squash", (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert InputSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    with pytest.raises(ArtifactError):
        InputSpec.from_dict({"size": 96})
    with pytest.raises(ConfigError, match=r"input\.size"):
        InputSpec(8)
    with pytest.raises(ConfigError, match=r"input\.std"):
        InputSpec(64, std=(0.0, 1.0, 1.0))

"""What is drawn: heat where the map is high, nothing where it is flat, boxes where they are."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from cxreader.imaging import overlay as overlay_module
from cxreader.imaging.overlay import BOX_COLOUR, heat_scale, overlay
from cxreader.imaging.preprocess import InputSpec
from cxreader.records import Box

GREY = np.full((60, 80), 100, np.uint8)


def test_a_flat_map_looks_flat_not_hot() -> None:
    plain = overlay(GREY)
    np.testing.assert_array_equal(overlay(GREY, np.full((7, 7), 0.8, np.float32)), plain)
    np.testing.assert_array_equal(overlay(GREY, np.zeros((7, 7), np.float32)), plain)
    nearly = np.full((7, 7), 1.0, np.float32)
    nearly[3, 3] = 1.02
    assert heat_scale(nearly).max() == pytest.approx(0.02 / 1.02, rel=1e-3)  # min-max scaling would say 1


def test_a_peak_is_hot_where_it_is_and_cold_elsewhere() -> None:
    heat = np.zeros((6, 8), np.float32)
    heat[1, 6] = 5.0
    drawn = overlay(GREY, heat).astype(int)
    change = np.abs(drawn - 100).sum(axis=2)
    y, x = np.unravel_index(change.argmax(), change.shape)
    assert (y // 10, x // 10) == (1, 6)
    assert change[30:, :40].max() == 0


def test_padding_is_cut_away_so_that_heat_falls_on_the_image() -> None:
    spec = InputSpec(64)
    heat = np.zeros((8, 8), np.float32)
    heat[2, 0] = 1.0  # an 80 x 40 image lies in rows 2 to 5 of the square: this is its top left corner
    change = np.abs(overlay(np.full((40, 80), 100, np.uint8), heat, spec=spec).astype(int) - 100).sum(axis=2)
    y, x = np.unravel_index(change.argmax(), change.shape)
    assert y < 10
    assert x < 10


def test_boxes_are_drawn_on_their_edges() -> None:
    drawn = overlay(GREY, boxes=[Box("Mass", 10, 20, 30, 25)])
    assert tuple(drawn[20, 25]) == BOX_COLOUR
    assert tuple(drawn[30, 10]) == BOX_COLOUR
    assert tuple(drawn[30, 25]) == (100, 100, 100)


def test_a_boxs_line_is_a_200th_of_the_image_wide() -> None:
    drawn = overlay(np.full((600, 800), 100, np.uint8), boxes=[Box("Mass", 100, 100, 300, 200)])
    coloured = (drawn[:, 250] == BOX_COLOUR).all(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(coloured), [100, 101, 102, 298, 299, 300])


def test_floats_and_bytes_draw_alike() -> None:
    np.testing.assert_array_equal(overlay(GREY.astype(np.float32) / 255), overlay(GREY))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("strip", [1, 1000, 2**18])
def test_strips_draw_what_the_formula_says_of_the_whole_image(
    monkeypatch: pytest.MonkeyPatch, strip: int, padded: bool
) -> None:
    """The whole map stretched at once, and the ramp of the module blended in float64."""
    monkeypatch.setattr(overlay_module, "_STRIP", strip)
    random = np.random.default_rng(0)
    image, heat = random.integers(0, 256, (203, 311), dtype=np.uint8), random.random((7, 7), np.float32)
    spec = InputSpec(224) if padded else None
    x, y, w, h = spec.content(311, 203) if spec else (0, 0, 7, 7)
    scale = 7 / 224 if spec else 1
    whole = Image.fromarray(heat_scale(heat)).resize(
        (311, 203), Image.Resampling.BILINEAR, box=(x * scale, y * scale, (x + w) * scale, (y + h) * scale)
    )
    warm = np.clip(np.asarray(whole, np.float64), 0, 1)
    ramp = np.array([[0, 0, 0], [120, 20, 60], [215, 60, 30], [250, 160, 30], [255, 240, 120]])
    tint = np.stack([np.interp(warm, np.linspace(0, 1, 5), ramp[:, c]) for c in range(3)], axis=-1)
    expected = image[..., None] * (1 - 0.65 * warm[..., None]) + tint * 0.65 * warm[..., None]
    assert np.abs(overlay(image, heat, spec=spec) - expected).max() < 0.51


def test_a_large_image_is_drawn_in_little_more_than_its_picture() -> None:
    image, heat = np.zeros((3000, 4000), np.float32), np.eye(7, dtype=np.float32)
    tracemalloc.start()
    drawn = overlay(image, heat, spec=InputSpec(224))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert drawn.nbytes == 36_000_000
    assert peak < 36_000_000 + 40_000_000

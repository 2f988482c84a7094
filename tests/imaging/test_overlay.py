"""What is drawn: heat where the map is high, nothing where it is flat, boxes where they are."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_a_given_scale_compares_maps() -> None:
    weak = np.zeros((6, 8), np.float32)
    weak[2, 2] = 1.0
    assert heat_scale(weak, scale=10.0).max() == pytest.approx(0.1)
    assert heat_scale(weak * 100, scale=10.0).max() == 1


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


def test_floats_and_bytes_draw_alike() -> None:
    np.testing.assert_array_equal(overlay(GREY.astype(np.float32) / 255), overlay(GREY))

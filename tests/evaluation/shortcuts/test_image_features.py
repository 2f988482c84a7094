"""Features that see no disease, against numpy and scipy, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import laplace

from cxreader.errors import TableError
from cxreader.evaluation.shortcuts.image_features import (
    PERCENTILES,
    STATISTICS,
    blanked,
    border,
    image_features,
    image_statistics,
    pieces,
    thumbnails,
)


def _noise(n: int = 5, height: int = 40, width: int = 60, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, height, width)).astype(np.uint8)


def test_thumbnails_are_area_means() -> None:
    pixels = np.arange(2 * 32 * 64, dtype=np.uint32).reshape(2, 32, 64).astype(np.uint8)
    blocks = pixels.reshape(2, 16, 2, 16, 4).mean(axis=(2, 4)).reshape(2, 256)
    np.testing.assert_allclose(thumbnails(pixels), blocks)
    # 3 pixels to 2: each takes one and a half.
    np.testing.assert_allclose(thumbnails(np.array([[[0, 30, 90]]], dtype=np.uint8), side=2)[0, :2], [10, 70])
    np.testing.assert_allclose(thumbnails(np.full((300, 9, 50), 7, dtype=np.uint8)), 7.0)


def test_statistics_equal_numpys_and_scipys() -> None:
    pixels = _noise()
    pixels[1] = 0
    pixels[2, :10] = 255
    found = dict(zip(STATISTICS, image_statistics(pixels).T, strict=True))
    flat = pixels.reshape(5, -1).astype(float)
    np.testing.assert_allclose(found["mean"], flat.mean(axis=1))
    np.testing.assert_allclose(found["deviation"], flat.std(axis=1), atol=1e-9)
    for q in PERCENTILES:
        expected = np.percentile(flat, q, axis=1, method="inverted_cdf")
        np.testing.assert_array_equal(found[f"percentile {q}"], expected)
    np.testing.assert_allclose(found["black"], (flat == 0).mean(axis=1))
    np.testing.assert_allclose(found["white"], (flat == 255).mean(axis=1))
    variance = [laplace(image.astype(float))[1:-1, 1:-1].var() for image in pixels]
    np.testing.assert_allclose(found["laplacian"], np.log1p(variance), rtol=1e-5)
    across, down = (np.abs(np.diff(pixels.astype(float), axis=axis)).mean(axis=(1, 2)) for axis in (2, 1))
    np.testing.assert_allclose(found["gradient"] * np.maximum(flat.std(axis=1), 1), (across + down) / 2, rtol=1e-5)
    assert found["gradient"][1] == 0


def test_a_softer_image_is_less_sharp() -> None:
    sharp = _noise(1, 64, 64)
    soft = ((sharp.astype(int) + np.roll(sharp, 1, 2) + np.roll(sharp, 1, 1)) // 3).astype(np.uint8)
    at = STATISTICS.index("laplacian")
    assert image_statistics(soft)[0, at] < image_statistics(sharp)[0, at] - 1


def test_the_border_sees_nothing_of_the_central_80_percent_and_all_around_it() -> None:
    one, other = _noise(3), _noise(3)
    other[:, 4:36, 6:54] = 99  # a tenth of 40 and of 60 stays on each side
    np.testing.assert_array_equal(border(one), border(other))
    assert border(one).shape == (3, 144)
    marked = one.copy()
    marked[:, 37, 2] = np.where(one[:, 37, 2] > 100, 0, 255)
    assert (np.abs(border(marked) - border(one)).max(axis=1) > 0).all()
    # The first cell is 2 x 3 pixels of the upper left corner, the last of the lower right.
    np.testing.assert_allclose(border(one)[:, 0], one[:, :2, :3].mean(axis=(1, 2)))
    np.testing.assert_allclose(border(one)[:, -1], one[:, -2:, -3:].mean(axis=(1, 2)))


def test_blanking_keeps_one_part_and_the_two_parts_make_the_whole() -> None:
    pixels = _noise(2)
    edge, centre = blanked(pixels, "border", 115), blanked(pixels, "centre", 115)
    assert edge.dtype == centre.dtype == np.uint8
    assert (edge[:, 4:36, 6:54] == 115).all()
    np.testing.assert_array_equal(centre[:, 4:36, 6:54], pixels[:, 4:36, 6:54])
    inside = np.zeros((40, 60), bool)
    inside[4:36, 6:54] = True
    np.testing.assert_array_equal(np.where(inside, centre, edge), pixels)
    assert (centre[:, ~inside] == 115).all()


def test_rows_are_read_in_their_order_and_in_pieces_that_change_nothing() -> None:
    pixels = _noise(600, 32, 32)
    rows = np.random.default_rng(1).permutation(600)[:520]
    told: list[tuple[int, int]] = []
    found = image_features(pixels, rows, progress=lambda done, total: told.append((done, total)))
    whole = image_features(pixels)
    for name in ("statistics", "border", "thumbnail"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name)[rows])
    assert told == [(256, 520), (512, 520), (520, 520)]
    assert [len(piece) for piece in pieces(pixels, rows, 200)] == [200, 200, 120]
    empty = image_features(pixels[:0])
    assert (empty.statistics.shape, empty.border.shape, empty.thumbnail.shape) == ((0, 13), (0, 144), (0, 256))


def test_what_is_no_stack_of_images_is_refused() -> None:
    for call in (thumbnails, border, image_statistics, image_features, lambda p: blanked(p, "border", 0)):
        with pytest.raises(TableError, match="shape"):
            call(_noise()[0])

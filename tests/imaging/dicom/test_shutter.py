"""What lies outside a display shutter is black, and takes no part in the range of what is shown (PS3.3 C.7.6.11)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.dicom_files import HEIGHT, WIDTH, dataset, encoded, picture

from cxreader.imaging.read import read

NOTE = "what lies outside the display shutter is shown black"
UNREAD = "a display shutter that cannot be read, or shows nothing: left out"
WINDOW: dict[str, Any] = {"WindowCenter": 2048, "WindowWidth": 4096}
Y, X = np.mgrid[1 : HEIGHT + 1, 1 : WIDTH + 1]  # as the standard counts
RECTANGLE: dict[str, Any] = {
    "ShutterShape": "RECTANGULAR",
    "ShutterLeftVerticalEdge": 11,
    "ShutterRightVerticalEdge": 80,
    "ShutterUpperHorizontalEdge": 6,
    "ShutterLowerHorizontalEdge": 60,
}
WITHIN = (X >= 11) & (X <= 80) & (Y >= 6) & (Y <= 60)
CIRCLE: dict[str, Any] = {
    "ShutterShape": "CIRCULAR",
    "CenterOfCircularShutter": [40, 50],
    "RadiusOfCircularShutter": 20,
}
ROUND = (Y - 40) ** 2 + (X - 50) ** 2 <= 400
TRIANGLE: dict[str, Any] = {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 1, 61, 61, 1]}
HALF = X + Y <= 62


def bitmap(
    rows: int = HEIGHT, columns: int = WIDTH, origin: tuple[int, int] = (1, 1), hidden: Any = None
) -> dict[str, Any]:
    bits = np.zeros((rows, columns), np.uint8) if hidden is None else hidden
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    return {"rows": rows, "columns": columns, "origin": list(origin), "data": packed + b"\0" * (len(packed) % 2)}


def shot(values: NDArray[Any] | None = None, overlay: dict[str, Any] | None = None, **more: Any) -> bytes:
    made = dataset(picture() if values is None else values, **more)
    if overlay is not None:
        made.add_new(0x00181623, "US", 0x6002)
        for element, vr, name in (
            (0x10, "US", "rows"),
            (0x11, "US", "columns"),
            (0x50, "SS", "origin"),
            (0x3000, "OB", "data"),
        ):
            made.add_new(0x60020000 | element, vr, overlay[name])
    return encoded(made)


PLAIN = read(shot(**WINDOW)).pixels


@pytest.mark.parametrize(
    ("shutter", "shown"),
    [(RECTANGLE, WITHIN), (CIRCLE, ROUND), (TRIANGLE, HALF)],
    ids=["rectangle", "circle", "polygon"],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_outside_is_black_and_inside_as_it_was(
    shutter: dict[str, Any], shown: NDArray[np.bool_], photometric: str
) -> None:
    found = read(shot(**shutter, **WINDOW, PhotometricInterpretation=photometric))
    plain = 1 - PLAIN if photometric == "MONOCHROME1" else PLAIN
    np.testing.assert_allclose(found.pixels, np.where(shown, plain, 0), atol=1e-6)
    assert found.notes == (NOTE,)


def test_several_shapes_show_what_lies_within_all_of_them() -> None:
    both: dict[str, Any] = {**RECTANGLE, **CIRCLE, "ShutterShape": ["RECTANGULAR", "CIRCULAR"]}
    np.testing.assert_array_equal(read(shot(**both, **WINDOW)).pixels > 0, WITHIN & ROUND & (PLAIN > 0))


def test_a_bitmap_hides_where_its_bits_are_1() -> None:
    hidden = (X + 2 * Y > 120).astype(np.uint8)
    found = read(shot(overlay=bitmap(hidden=hidden), ShutterShape="BITMAP", **WINDOW))
    np.testing.assert_array_equal(found.pixels, np.where(hidden, 0, PLAIN))
    small = bitmap(10, 20, (-2, 90), np.ones((10, 20), np.uint8))  # hangs over the upper right corner
    found = read(shot(overlay=small, ShutterShape="BITMAP", **WINDOW))
    np.testing.assert_array_equal(found.pixels, np.where((Y <= 7) & (X >= 90), 0, PLAIN))


def test_the_range_of_a_picture_without_a_window_is_that_of_what_is_shown() -> None:
    dim = np.where(WITHIN, picture() // 4, 4095)
    found = read(shot(dim, **RECTANGLE))
    low, high = np.sort((picture() // 4)[WITHIN])[[int(0.005 * WITHIN.sum()), int(0.995 * WITHIN.sum())]]
    expected = np.where(WITHIN, np.clip((picture() // 4 - low) / (high - low), 0, 1), 0)
    np.testing.assert_allclose(found.pixels, expected, atol=0.01)


def test_colours_are_shut_too() -> None:
    grey = np.stack([picture(8)] * 3, axis=-1)
    found = read(shot(grey, bits=8, **RECTANGLE)).pixels
    assert found[~WITHIN].max() == 0
    np.testing.assert_allclose(found[WITHIN], picture(8)[WITHIN] / 255, atol=1e-6)


@pytest.mark.parametrize(
    "shutter",
    [
        {"ShutterShape": "HEART"},
        {"ShutterShape": "RECTANGULAR"},
        {**RECTANGLE, "ShutterLeftVerticalEdge": 90},
        {**RECTANGLE, "ShutterLeftVerticalEdge": 200, "ShutterRightVerticalEdge": 300},
        {**CIRCLE, "RadiusOfCircularShutter": -1, "CenterOfCircularShutter": [500, 500]},
        {"ShutterShape": "CIRCULAR"},
        {**TRIANGLE, "VerticesOfThePolygonalShutter": [1, 1, 2]},
        {**TRIANGLE, "VerticesOfThePolygonalShutter": [1, 1, 2, 2, 10**9, 10**9]},
        {"ShutterShape": "BITMAP"},
    ],
)
def test_a_shutter_that_makes_no_sense_is_left_out_and_told(shutter: dict[str, Any]) -> None:
    found = read(shot(**shutter, **WINDOW))
    np.testing.assert_array_equal(found.pixels, PLAIN)
    assert found.notes == (UNREAD,)


def test_a_shutter_beyond_the_picture_changes_nothing() -> None:
    wide: dict[str, Any] = {**RECTANGLE, "ShutterLeftVerticalEdge": -5, "ShutterRightVerticalEdge": 10**6}
    wide |= {"ShutterUpperHorizontalEdge": 0, "ShutterLowerHorizontalEdge": 72}
    found = read(shot(**wide, **WINDOW))
    assert found.notes == ()
    np.testing.assert_array_equal(found.pixels, PLAIN)

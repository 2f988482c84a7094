"""What the viewer draws, by WebGL2 and by Canvas 2D, against a numpy look-up of the same values."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxreader.serving import web

STATIC = Path(web.__file__).with_name("static")
KINDS = ("GlRenderer", "CanvasRenderer")
DRAW = """
async ({about, data, kind, view, port, window, flipped, limit}) => {
  const js = '/static/js/viewer/'
  const [gl, canvas, picture, grey] = await Promise.all(['gl', 'canvas2d', 'picture', 'grey'].map((n) => import(`${js}${n}.js`)))
  const element = document.createElement('canvas')
  Object.assign(element, port)
  const made = new {...gl, ...canvas}[kind](element, {software: true, limit: limit ?? Infinity})
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer
  made.setPicture(picture.pictureOf(about, bytes))
  const of = made.picture
  let table = window ? grey.windowTable(of.about, window) : of.table
  if (flipped) table = grey.inverse(table)
  made.draw(view, table, {x: 0, y: 0, ...port})
  const first = grey.firstWindow(of.about, of.table)
  const answer = {pixels: Array.from(made.read()), reduced: made.reduced, first}
  made.dispose()
  return answer
}
"""


@pytest.fixture(scope="module")
def blank(browser: Any) -> Iterator[Any]:
    """A page that may import the viewer's modules, and reaches nothing else."""
    page = browser.new_page()
    types = {".js": "text/javascript", ".css": "text/css"}

    def serve(route: Any) -> None:
        path = route.request.url.partition("/static/")[2]
        if not path:
            route.fulfill(body="<!doctype html>", content_type="text/html")
            return
        file = STATIC / path
        route.fulfill(body=file.read_bytes(), content_type=types[file.suffix])

    page.route("**/*", serve)
    page.goto("http://127.0.0.1:9/")
    yield page
    page.close()


def picture(
    rows: int, columns: int, bits: int, *, inverted: bool = False, **more: Any
) -> tuple[dict[str, Any], Any, Any]:
    """What the service tells of a picture, its values, and the table of greys of a file without a window."""
    random = np.random.default_rng(rows * columns)
    values = random.integers(0, 2**bits, (rows, columns), dtype=np.uint16)
    table = np.rint(np.arange(2**bits) / (2**bits - 1) * 255).astype(np.uint8)
    about = {"rows": rows, "columns": columns, "bits": bits, "slope": 1.0, "intercept": 0.0, "windows": []}
    about |= {"inverted": inverted, "width": columns, "height": rows, "spacing": None} | more
    return about, values, table[::-1].copy() if inverted else table


def drawn(blank: Any, kind: str, about: Any, values: Any, table: Any, **how: Any) -> tuple[NDArray[np.uint8], Any]:
    """What a renderer drew, (height, width), and what it told."""
    port = how.pop("port", {"width": about["width"], "height": about["height"]})
    view = {"x": about["width"] / 2, "y": about["height"] / 2, "scale": 1, "turns": 0} | how.pop("view", {})
    data = base64.b64encode(values.astype("<u2").tobytes() + table.tobytes()).decode()
    told = blank.evaluate(DRAW, {"about": about, "data": data, "kind": kind, "view": view, "port": port, **how})
    return np.array(told["pixels"], np.uint8).reshape(port["height"], port["width"]), told


def windowed(values: Any, center: float, width: float, function: str = "LINEAR") -> NDArray[np.float64]:
    """Greys of a window, PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    x = np.asarray(values, np.float64)
    if function == "SIGMOID":
        return 255 / (1 + np.exp(-4 * (x - center) / width))
    if function == "LINEAR_EXACT":
        return np.clip((x - center) / width + 0.5, 0, 1) * 255
    return np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1) * 255


@pytest.mark.parametrize(("kind", "size", "bits"), [*itertools.product(KINDS, [(37, 53), (64, 31)], [8, 12, 16])])
def test_pixels_at_their_own_size_are_those_of_the_table(
    blank: Any, kind: str, size: tuple[int, int], bits: int
) -> None:
    about, values, table = picture(*size, bits)
    found, _ = drawn(blank, kind, about, values, table)
    np.testing.assert_array_equal(found, table[values])
    flipped, _ = drawn(blank, kind, about, values, table, flipped=True)
    np.testing.assert_array_equal(flipped, 255 - table[values])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_window_is_the_standard_s_within_one_grey_level(blank: Any, kind: str, function: str, inverted: bool) -> None:
    about, values, table = picture(45, 33, 12, inverted=inverted, slope=2.0, intercept=-1000.0)
    window = {"center": 3100.5, "width": 1700.0, "function": function}
    found, _ = drawn(blank, kind, about, values, table, window=window)
    wanted = windowed(values * 2.0 - 1000, 3100.5, 1700, function)
    wanted = 255 - wanted if inverted else wanted
    assert np.abs(found - wanted).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turned_and_enlarged_pixels_are_mixed_of_four(blank: Any, kind: str, turns: int) -> None:
    about, values, table = picture(21, 35, 16)
    port = {"width": 90, "height": 77}
    found, _ = drawn(
        blank, kind, about, values, table, port=port, view={"scale": 2.5, "turns": turns, "x": 16.23, "y": 9.71}
    )
    wanted = looked_up(values, table, port, 2.5, turns, (16.23, 9.71))
    near = np.abs(found.astype(int) - wanted)
    assert near.max() <= 1, (near > 1).sum()
    assert (found == 0).sum() > 20  # beside the picture


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_small_is_made_of_means(blank: Any, kind: str) -> None:
    about, values, table = picture(101, 83, 12)
    port = {"width": 42, "height": 51}
    found, _ = drawn(blank, kind, about, values, table, port=port, view={"scale": 0.5, "x": 42, "y": 51})
    padded = np.pad(values, ((0, 1), (0, 1)), mode="edge").astype(int)
    means = (padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2] + 2) // 4
    assert found.shape == means.shape
    # The last row and column are half beside the picture.
    assert np.abs(found[:50, :41].astype(int) - table[means][:50, :41]).max() <= 1


def test_a_picture_larger_than_the_textures_is_drawn_reduced_and_says_so(blank: Any) -> None:
    about, values, table = picture(64, 64, 12)
    whole, told = drawn(blank, "GlRenderer", about, values, table, limit=64)
    assert not told["reduced"]
    less, told = drawn(blank, "GlRenderer", about, values, table, limit=32)
    assert told["reduced"]
    assert np.abs(less.astype(int) - whole).max() > 20


@pytest.mark.parametrize("inverted", [False, True])
def test_the_first_window_is_the_file_s_else_near_its_table(blank: Any, inverted: bool) -> None:
    about, values, _ = picture(8, 8, 12, slope=1.0)
    table = np.clip(np.rint((np.arange(4096) - 1000) / 2000 * 255), 0, 255).astype(np.uint8)
    about["inverted"] = inverted
    _, told = drawn(blank, "CanvasRenderer", about, values, 255 - table if inverted else table)
    assert told["first"]["center"] == pytest.approx(2000.5, abs=5)
    assert told["first"]["width"] == pytest.approx(2001, abs=10)
    about["windows"] = [{"center": 5.0, "width": 6.0, "function": "SIGMOID"}]
    _, told = drawn(blank, "CanvasRenderer", about, values, table)
    assert told["first"] == about["windows"][0]


def looked_up(
    values: Any, table: Any, port: dict[str, int], scale: float, turns: int, middle: tuple[float, float]
) -> NDArray[np.int_]:
    """The port's greys: four values mixed by their distances, rounded, looked up; black beside the picture."""
    rows, columns = values.shape
    py, px = np.mgrid[: port["height"], : port["width"]] + 0.5
    dx, dy = (px - port["width"] / 2) / scale, (py - port["height"] / 2) / scale
    for _ in range(turns):  # a quarter turn clockwise takes (x, y) to (-y, x); this is the way back
        dx, dy = dy, -dx
    x, y = middle[0] + dx, middle[1] + dy
    u, v = np.floor(x - 0.5).astype(int), np.floor(y - 0.5).astype(int)
    fx, fy = x - 0.5 - u, y - 0.5 - v
    left, right = np.clip(u, 0, columns - 1), np.clip(u + 1, 0, columns - 1)
    upper, lower = np.clip(v, 0, rows - 1), np.clip(v + 1, 0, rows - 1)
    of = values.astype(np.float64)
    top = of[upper, left] * (1 - fx) + of[upper, right] * fx
    bottom = of[lower, left] * (1 - fx) + of[lower, right] * fx
    mixed = np.floor(top * (1 - fy) + bottom * fy + 0.5).astype(int)
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    return np.where(inside, table[np.clip(mixed, 0, len(table) - 1)], 0).astype(int)

"""How a picture is asked for (PS3.18 8.3.5.1: viewport, window, quality), and drawing it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import UsageError
from cxreader.imaging.dicom.lut import windowed
from cxreader.imaging.stored import Window
from cxreader.serving.store.files.pixels import values_and_greys

JPEG, PNG = "image/jpeg", "image/png"
LARGEST = 4096
"""Pixels a side of a picture that is asked for, at most."""
_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Viewport:
    """Columns and rows that a picture must fit, and the region of the stored pixels that it shows.

    `left`, `top`, and `width`, `height` of the region, None for as far as the picture goes; a negative one turns it about.
    """

    columns: int
    rows: int
    left: int = 0
    top: int = 0
    width: int | None = None
    height: int | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """`columns,rows` or `columns,rows,left,top,width,height`, of which the last four may be empty. Raises UsageError."""
        size, region = text.split(",")[:2], text.split(",")[2:] or [""] * 4
        try:
            columns, rows = (int(one) for one in size)
            left, top, width, height = (round(float(one)) if one else None for one in region)
        except (ValueError, OverflowError):
            raise UsageError("no viewport", where="viewport", mend="give columns,rows, or a region too") from None
        if (
            not all(0 < one <= LARGEST for one in (columns, rows))
            or 0 in (width, height)
            or min(left or 0, top or 0) < 0
        ):
            mend = f"give 1 to {LARGEST} columns and rows, and a region of some size"
            raise UsageError("a viewport of no size", where="viewport", mend=mend)
        return cls(columns, rows, left or 0, top or 0, width, height)

    def region(self, values: NDArray[Any]) -> NDArray[Any]:
        """The part of the stored values (H, W) that it shows. Raises UsageError where that lies beside the picture."""
        height, width = values.shape
        tall, wide = self.height or height, self.width or width
        found = values[self.top : self.top + abs(tall), self.left : self.left + abs(wide)]
        if not found.size:
            raise UsageError("the region lies beside the picture", where="viewport", mend=f"it is {width} x {height}")
        return found[:: -1 if tall < 0 else 1, :: -1 if wide < 0 else 1]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a picture is to be drawn: all of it in the header's window where nothing else is said."""

    viewport: Viewport | None = None
    window: Window | None = None
    quality: int = _QUALITY

    @classmethod
    def of(cls, viewport: str, window: str, quality: str) -> Self:
        """Of the parameters, of which an empty one is none. Raises UsageError."""
        return cls(Viewport.of(viewport) if viewport else None, _window(window) if window else None, _quality(quality))


def drawn(content: bytes, about: Mapping[str, Any], kind: str, wanted: Wanted) -> bytes:
    """Kept pixels (`store.files.pixels`) as a JPEG or PNG of 8 bits and square pixels. Raises UsageError."""
    from PIL import Image

    values, greys = values_and_greys(content, dict(about))
    shown = values if wanted.viewport is None else wanted.viewport.region(values)
    table = greys if wanted.window is None else _greys(about, wanted.window)
    picture = Image.fromarray(np.take(table, shown))
    size = _fitted(shown.shape, about, wanted.viewport)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG" if kind == PNG else "JPEG", quality=wanted.quality)
    return buffer.getvalue()


def _window(text: str) -> Window:
    """`center,width` or `center,width,function`."""
    parts = text.split(",")
    function = _FUNCTIONS.get(parts[2].lower() if len(parts) == 3 else "linear")
    try:
        center, width = (float(one) for one in parts[:2])
    except ValueError:
        center = width = np.nan
    least = 1.0 if function == "LINEAR" else 0.0
    if function is None or not np.isfinite([center, width]).all() or width < least or width == 0 or len(parts) > 3:
        mend = f"give center,width,function; functions: {', '.join(_FUNCTIONS)}"
        raise UsageError("no window", where="window", mend=mend)
    return Window(center, width, function)


def _quality(text: str) -> int:
    if not text:
        return _QUALITY
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 100):
        raise UsageError("no quality", where="quality", mend="give 1 to 100")
    return int(text)


def _greys(about: Mapping[str, Any], window: Window) -> NDArray[np.uint8]:
    """The grey of each stored value by a window, as the viewer has it."""
    measured = np.arange(2 ** about["bits"], dtype=np.float64) * about["slope"] + about["intercept"]
    greys = np.rint(255 * windowed(measured, window.center, window.width, window.function)).astype(np.uint8)
    return 255 - greys if about["inverted"] else greys


def _fitted(shape: tuple[int, ...], about: Mapping[str, Any], viewport: Viewport | None) -> tuple[int, int]:
    """Width and height in square pixels of a region of stored pixels, as large as the viewport holds."""
    wide = shape[1] * about["width"] / about["columns"]
    high = shape[0] * about["height"] / about["rows"]
    scale = 1.0 if viewport is None else min(viewport.columns / wide, viewport.rows / high)
    return max(1, round(scale * wide)), max(1, round(scale * high))

"""The display shutter: what lies outside it is not to be shown (PS3.3 C.7.6.11, C.7.6.15)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxreader.imaging.dicom.elements import Elements

OVERLAYS = tuple(range(0x6000, 0x6020, 2))
TAGS = {
    "ShutterShape": 0x00181600,
    "ShutterLeftVerticalEdge": 0x00181602,
    "ShutterRightVerticalEdge": 0x00181604,
    "ShutterUpperHorizontalEdge": 0x00181606,
    "ShutterLowerHorizontalEdge": 0x00181608,
    "CenterOfCircularShutter": 0x00181610,
    "RadiusOfCircularShutter": 0x00181612,
    "VerticesOfThePolygonalShutter": 0x00181620,
    "ShutterOverlayGroup": 0x00181623,
} | {
    f"{name}{group:04X}": group << 16 | element
    for group in OVERLAYS
    for name, element in {
        "OverlayRows": 0x10,
        "OverlayColumns": 0x11,
        "OverlayOrigin": 0x50,
        "OverlayData": 0x3000,
    }.items()
}
"""Keywords and tags (PS3.6); those of an overlay with its group."""
_EDGES = (
    "ShutterLeftVerticalEdge",
    "ShutterRightVerticalEdge",
    "ShutterUpperHorizontalEdge",
    "ShutterLowerHorizontalEdge",
)
_UNREAD = "a display shutter that cannot be read, or shows nothing: left out"
_FARTHEST = 1e6
"""Pixels from the picture at which a shutter's corner still makes sense."""


def outside(elements: Elements, rows: int, columns: int) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """(rows, columns), True where a pixel lies outside the shutter; None without one; and a note where there is one.

    Several shapes show what lies within all of them. A shutter that cannot be read, or shows nothing, counts for nothing.
    """
    shapes = [shape.upper() for shape in elements.texts("ShutterShape") if shape]
    if not shapes:
        return None, ()
    hidden = np.zeros((rows, columns), np.bool_)
    for shape in shapes:
        reader = {"RECTANGULAR": _rectangle, "CIRCULAR": _circle, "POLYGONAL": _polygon, "BITMAP": _bitmap}.get(shape)
        found = None if reader is None else reader(elements, rows, columns)
        if found is None:
            return None, (_UNREAD,)
        hidden |= found
    if hidden.all():
        return None, (_UNREAD,)
    return (hidden, ("what lies outside the display shutter is shown black",)) if hidden.any() else (None, ())


def _rectangle(elements: Elements, rows: int, columns: int) -> NDArray[np.bool_] | None:
    """Edges are columns and rows, counted from 1, that are still shown."""
    edges = [elements.number(edge) for edge in _EDGES]
    if None in edges:
        return None
    left, right, upper, lower = (int(min(max(edge or 0, 0), _FARTHEST)) for edge in edges)
    hidden = np.ones((rows, columns), np.bool_)
    hidden[max(0, upper - 1) : lower, max(0, left - 1) : right] = False
    return hidden


def _circle(elements: Elements, rows: int, columns: int) -> NDArray[np.bool_] | None:
    centre, radius = elements.numbers("CenterOfCircularShutter"), elements.number("RadiusOfCircularShutter")
    if len(centre) != 2 or radius is None or not all(abs(v) <= _FARTHEST for v in (*centre, radius)):
        return None
    y, x = np.ogrid[1 : rows + 1, 1 : columns + 1]
    return np.asarray((y - centre[0]) ** 2 + (x - centre[1]) ** 2 > radius**2)


def _polygon(elements: Elements, rows: int, columns: int) -> NDArray[np.bool_] | None:
    """Vertices are row and column, counted from 1; the edge itself is shown."""
    told = elements.numbers("VerticesOfThePolygonalShutter")
    if len(told) < 6 or len(told) % 2 or not all(abs(v) <= _FARTHEST for v in told):
        return None
    mask = Image.new("1", (columns, rows), 1)
    corners = [(column - 1, row - 1) for row, column in zip(told[::2], told[1::2], strict=True)]
    ImageDraw.Draw(mask).polygon(corners, fill=0, outline=0)
    return np.asarray(mask)


def _bitmap(elements: Elements, rows: int, columns: int) -> NDArray[np.bool_] | None:
    """Bits of an overlay (C.9.2) that are 1 are hidden; what the overlay does not cover is shown."""
    group = elements.integer("ShutterOverlayGroup", 0)
    if group not in OVERLAYS:
        return None
    height, width = (elements.integer(f"{name}{group:04X}", 0) for name in ("OverlayRows", "OverlayColumns"))
    bits = np.unpackbits(elements.words(f"OverlayData{group:04X}").astype("<u2").view(np.uint8), bitorder="little")
    if not 0 < height * width <= bits.size or height < 0:
        return None
    origin = elements.numbers(f"OverlayOrigin{group:04X}") or (1.0, 1.0)
    if len(origin) != 2 or not all(abs(v) <= _FARTHEST for v in origin):
        return None
    top, left = (int(v) - 1 for v in origin)
    hidden = np.zeros((rows, columns), np.bool_)
    plane = bits[: height * width].reshape(height, width)[max(0, -top) :, max(0, -left) :]
    part = hidden[max(0, top) :, max(0, left) :]
    part[: plane.shape[0], : plane.shape[1]] = plane[: part.shape[0], : part.shape[1]]
    return hidden

"""Boxes with the names of their findings at their edges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxreader.imaging.overlay import BOX_COLOUR, outlined
from cxreader.inference.batch.names import on_one_line
from cxreader.inference.text_font import cut, font
from cxreader.records import Box

_NOT_NAMED = "finding not named"
_INK_EDGE = (0, 0, 0)
_ROOM = 160
"""Pixels that a name may take where half of the picture's width is less."""
_LEAST, _SHARE = 12, 40
"""Height of the text: pixels at least, and the part of the picture's shorter side."""
Place = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def box_name(box: Box) -> str:
    """What a box holds, in words."""
    return on_one_line(box.finding.replace("_", " ")) or _NOT_NAMED


def named_boxes(colour: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 with the outlines of boxes, in its pixels, and at each the name of its finding.

    A name has a dark edge, so that it is read on bright ground and on dark. It lies in the picture, and where there is room on
    no other name; at its box, it covers as little of the outlines as may be.
    """
    if not boxes:
        return colour
    picture = Image.fromarray(outlined(colour, boxes))
    draw, (height, width) = ImageDraw.Draw(picture), colour.shape[:2]
    letters = font(max(_LEAST, round(min(height, width) / _SHARE)))
    edge = max(2, round(letters.getbbox("X")[3] / 8))
    lines, names = [line for box in boxes for line in _outline(box, edge)], list[Place]()
    for box in boxes:
        text = cut(box_name(box), min(width, max(width / 2, _ROOM)) - 2 * edge, letters)
        left, top, _, bottom = letters.getbbox(f"{text}Xg")
        size = (letters.getlength(text) + 2 * edge, bottom - top + 2 * edge)
        places = _places(box, size, (width, height))
        place = min(places, key=lambda at: (_covered(at, names), round(_gap(at, box)), _covered(at, lines)))
        names.append(place)
        corner = (place[0] + edge - left, place[1] + edge - top)
        draw.text(corner, text, BOX_COLOUR, letters, stroke_width=edge, stroke_fill=_INK_EDGE)
    return np.asarray(picture)


def _places(box: Box, size: tuple[float, float], picture: tuple[int, int]) -> Iterator[Place]:
    """Where a name of this size may stand, the best first: above the box, below it, in it, beside it, then further down."""
    (wide, high), right, bottom = size, box.x + box.width, box.y + box.height
    inside = 0.3 * high
    corners = [(left, top) for top in (box.y - high, bottom) for left in (box.x, right - wide)]
    corners += [
        (left, top)
        for top in (box.y + inside, bottom - high - inside)
        for left in (box.x + inside, right - wide - inside)
    ]
    corners += [(left, top) for left in (right, box.x - wide) for top in (box.y, bottom - high)]
    corners += [(left, n * high) for n in range(int(picture[1] / high)) for left in (box.x, right)]
    for left, top in corners:
        x, y = min(max(left, 0.0), picture[0] - wide), min(max(top, 0.0), picture[1] - high)
        yield max(x, 0.0), max(y, 0.0), max(x, 0.0) + wide, max(y, 0.0) + high


def _gap(place: Place, box: Box) -> float:
    """Pixels between a name and its box."""
    left, top, right, bottom = place
    return max(0.0, left - box.x - box.width, box.x - right, top - box.y - box.height, box.y - bottom)


def _outline(box: Box, thick: float) -> tuple[Place, ...]:
    right, bottom = box.x + box.width, box.y + box.height
    return (
        (box.x, box.y, right, box.y + thick),
        (box.x, bottom - thick, right, bottom),
        (box.x, box.y, box.x + thick, bottom),
        (right - thick, box.y, right, bottom),
    )


def _covered(place: Place, others: Sequence[Place]) -> float:
    """Pixels of the others that lie under a place."""
    left, top, right, bottom = place
    return sum(max(0.0, min(right, r) - max(left, x)) * max(0.0, min(bottom, b) - max(top, y)) for x, y, r, b in others)

"""A heat map and boxes drawn on an image. Scaling a raw map for the eye is done here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxreader.imaging.preprocess import InputSpec
from cxreader.records import Box

# Anchors of a dark-red to yellow ramp that stays readable over grey and for colour-blind eyes.
_RAMP = np.array([[0, 0, 0], [120, 20, 60], [215, 60, 30], [250, 160, 30], [255, 240, 120]], np.float32)
_STRONGEST = 0.65
"""Opacity of the hottest spot: the anatomy below it must stay visible."""
_STRIP = 2**18
"""Pixels that are coloured at a time: what lies between takes some 60 bytes of each."""
BOX_COLOUR = (64, 220, 255)


def heat_scale(heat: NDArray[np.floating]) -> NDArray[np.float32]:
    """A raw map (h, w) of values >= 0 as heat in [0, 1]: what stands above the map's own minimum, by its maximum.

    A map of one value is 0 everywhere and a
    nearly flat one stays nearly cold: min-max scaling, which makes both look hot, is what this avoids.
    """
    low, high = float(heat.min()), float(heat.max())
    if high <= 0:
        return np.zeros(heat.shape, np.float32)
    return np.asarray(np.clip((heat - low) / high, 0, 1), np.float32)


def overlay(
    image: NDArray[np.floating] | NDArray[np.uint8],
    heat: NDArray[np.floating] | None = None,
    boxes: Iterable[Box] = (),
    *,
    spec: InputSpec | None = None,
    as_it_is: bool = False,
) -> NDArray[np.uint8]:
    """The image in colour, uint8 (H, W, 3), with heat and boxes laid over it.

    `image`: (H, W), float in [0, 1] or uint8. `heat`: raw map (h, w), any size, stretched bilinearly, by its `heat_scale`;
    `as_it_is`: its values are heat in [0, 1] already, as those of a region head, which finds nothing where all are low. When
    `spec` is given the map covers the network's square, and its padding is cut away so that it falls on the image. `boxes`: in
    the image's pixels.
    """
    height, width = image.shape
    colour = np.empty((height, width, 3), np.uint8)
    warmth = None if heat is None else np.asarray(np.clip(heat, 0, 1), np.float32) if as_it_is else heat_scale(heat)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        strip = slice(top, min(top + rows, height))
        grey = np.asarray(image[strip], np.float32) * np.float32(1 if image.dtype == np.uint8 else 255)
        warm = None if warmth is None else _stretch(warmth, width, height, strip, spec)
        colour[strip] = np.clip(np.rint(grey[..., None] if warm is None else _warmed(grey, warm)), 0, 255)
    drawn = tuple(boxes)
    return outlined(colour, drawn) if drawn else colour


def _warmed(grey: NDArray[np.float32], warm: NDArray[np.float32]) -> NDArray[np.floating]:
    """Grey (h, w) of 0 to 255 under heat (h, w) of 0 to 1, in colour (h, w, 3)."""
    position, opacity = warm * (len(_RAMP) - 1), _STRONGEST * warm[..., None]
    tint = np.stack([np.interp(position, range(len(_RAMP)), _RAMP[:, c]) for c in range(3)], axis=-1)
    return np.asarray(grey[..., None] * (1 - opacity) + tint * opacity)


def outlined(colour: NDArray[np.uint8], boxes: Iterable[Box]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 with the outlines of boxes, which are in its pixels."""
    picture = Image.fromarray(colour)
    draw = ImageDraw.Draw(picture)
    stroke = max(1, round(min(colour.shape[:2]) / 200))
    for box in boxes:
        draw.rectangle((box.x, box.y, box.x + box.width, box.y + box.height), outline=BOX_COLOUR, width=stroke)
    return np.asarray(picture)


def _stretch(
    heat: NDArray[np.float32], width: int, height: int, rows: slice, spec: InputSpec | None
) -> NDArray[np.float32]:
    """Some rows of the map on the image's grid: through the square, less its padding, to (height, width)."""
    source = (0.0, 0.0, float(heat.shape[1]), float(heat.shape[0]))
    if spec is not None:
        x, y, w, h = spec.content(width, height)
        sx, sy = heat.shape[1] / spec.size, heat.shape[0] / spec.size
        source = (x * sx, y * sy, (x + w) * sx, (y + h) * sy)
    left, upper, right, lower = source
    step = (lower - upper) / height
    part = (left, upper + rows.start * step, right, min(upper + rows.stop * step, float(heat.shape[0])))
    size = (width, rows.stop - rows.start)
    stretched = Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR, box=part)
    return np.asarray(np.clip(np.asarray(stretched), 0, 1), np.float32)

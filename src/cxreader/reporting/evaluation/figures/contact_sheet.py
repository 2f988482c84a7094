"""The images whose label a model contradicts most surely, side by side: where a label is wrong, it is here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.comparison.second_reading import Contradiction
from cxreader.imaging.overlay import overlay
from cxreader.records import LABEL_NAMES
from cxreader.reporting.style import INK, MUTED, new_figure, without_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 224
"""Pixels of each picture."""
_COLUMNS, _INCHES = 6, 1.5


def draw_contact_sheet(
    images: Sequence[Contradiction],
    pixels: Mapping[str, NDArray[np.uint8]],
    maps: Mapping[str, Sequence[NDArray[np.floating]]] | None = None,
) -> Figure:
    """The contradicted images in their order, each with its label, the model's probability and a second label if known.

    `pixels` by image, uint8 (H, W); an image without pixels is left out. `maps`: each model's raw heat map of the whole square;
    an image that has some stands beside itself under each of them.
    """
    shown = [image for image in images if image.image in pixels]
    heat = {image.image: maps[image.image] for image in shown if maps and image.image in maps}
    side_by_side = 1 + max(map(len, heat.values()), default=0)
    columns, width = max(2, _COLUMNS // side_by_side), side_by_side * _INCHES
    rows = math.ceil(len(shown) / columns)
    figure = new_figure(columns * width, rows * (_INCHES + 0.45))
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, image in zip(cells, shown, strict=False):
        own = pixels[image.image]
        gap = np.full((len(own), len(own) // 30, 3), 255, np.uint8)
        mapped = [overlay(own, raw) for raw in heat.get(image.image, ())] or [overlay(own)] * (side_by_side - 1)
        row = [overlay(own), *(part for one in mapped for part in (gap, one))]
        axes.imshow(np.hstack(row) if heat else own, cmap="gray", vmin=0, vmax=255)
        second = "" if image.second is None else f", second {LABEL_NAMES[image.second]}"
        axes.set_title(f"{image.probability:.2f}; label {LABEL_NAMES[image.label]}{second}", fontsize=6.5, color=INK)
        axes.set_xlabel(shorten(image.image.rsplit("/", 1)[-1], 28, placeholder="..."), fontsize=5.5, color=MUTED)
    for axes in cells:
        without_frame(axes)
    return figure

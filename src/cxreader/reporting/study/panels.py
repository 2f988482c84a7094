"""The same images across the networks as a figure of their own, for those who want it outside the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxreader.reporting.study.records import StudyPanel
from cxreader.reporting.style import BLUE, INK, MUTED, VERMILION, Picture, new_figure, without_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDE = 1.35  # inches of a picture


def draw_panels(group: str, panels: Sequence[StudyPanel]) -> Figure:
    """A line an image: the radiograph, then every network's heat map with its decision and probability."""
    columns = 1 + len(panels[0].looks)
    figure = new_figure(_SIDE * columns + 0.2, (_SIDE + 0.72) * len(panels) + 0.4)
    figure.suptitle(f"Heat maps: {group}", x=0.01, ha="left", fontsize=11, color=INK)
    for panel, line in zip(panels, figure.subplots(len(panels), columns, squeeze=False), strict=True):
        truth = f"truly {panel.truth}"
        _show(line[0], panel.image, f"{panel.findings or truth}", truth if panel.findings else "", MUTED)
        for look, axes in zip(panel.looks, line[1:], strict=True):
            right = look.decision == panel.truth
            answer = f"{'right' if right else 'wrong'}: {look.decision} {look.probability:.2f}"
            _show(axes, look.overlay, look.name, answer, BLUE if right else VERMILION)
    return figure


def _show(axes: Axes, picture: Picture, title: str, below: str, colour: str) -> None:
    from textwrap import fill

    pixels = _pixels(picture)
    axes.imshow(pixels, cmap="gray" if pixels.ndim == 2 else None)
    axes.set_title(fill(title, 20), fontsize=7, color=INK)
    axes.set_xlabel(below, fontsize=7, color=colour)
    without_frame(axes)


def _pixels(picture: Picture) -> NDArray[np.uint8]:
    if isinstance(picture, np.ndarray):
        return picture
    from PIL import Image

    return np.asarray(Image.open(picture if isinstance(picture, Path) else io.BytesIO(picture)))

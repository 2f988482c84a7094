"""The visual language of every figure: readable in print, in grey and by the colour-blind.

Abnormal is vermilion, normal and the model's own curve blue (Okabe & Ito 2008), right is blue and wrong vermilion, as light
as their intervals are uncertain; numbers stand beside what they describe. A figure belongs to no window and no global state.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.atomic import write_whole
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.tables import format_interval, format_patients, format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Picture = bytes | NDArray[np.uint8] | Path
"""PNG or JPEG bytes, pixels uint8 (H, W), (H, W, 3) or (H, W, 4), or a file of kind .svg, .png or .jpg."""
BLUE, VERMILION, INK, MUTED, FAINT = "#0072B2", "#D55E00", "#1b1f24", "#5b6570", "#d9dee3"
DASHED, DOTTED = (0, (4, 2)), (0, (1, 2.5))
CHANCE: dict[str, Any] = {"color": MUTED, "linewidth": 0.9, "linestyle": DOTTED, "zorder": 1}
"""The line of what chance, or nothing, would reach."""
SMALL: dict[str, Any] = {"fontsize": 8.5, "color": MUTED}
"""Text that says what a figure rests on."""
LEGEND: dict[str, Any] = {"fontsize": 8.5, "labelcolor": INK, "frameon": False}
POINTWISE = "95 % band, pointwise"
_DPI = 200
_KINDS = {".svg": "svg+xml", ".png": "png", ".jpg": "jpeg"}


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure, width and height in inches, whose layout makes room for all that is drawn."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def single_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of width and height in inches with one plot."""
    figure = new_figure(width, height)
    return figure, figure.add_subplot()


def side_by_side(figure: Figure, count: int) -> list[Axes]:
    """Plots in one line that share their y axis."""
    panels: list[Axes] = figure.subplots(1, count, sharey=True, squeeze=False)[0].tolist()
    return panels


def unit_square(x: str, y: str, below: float = 1.18) -> tuple[Figure, Axes]:
    """Axes from 0 to 1 of equal scale, named `x` and `y`; inches above for the headline and `below` for the legend."""
    from matplotlib.figure import Figure

    width, height, side = 4.6, 4.52 + below, 3.85  # inches
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0.62 / width, below / height, side / width, side / height))
    # Slightly open, so that a curve along an edge stays visible.
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), xlabel=x, ylabel=y)
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    clean(axes, grid="both")
    return figure, axes


def clean(axes: Axes, grid: Literal["x", "y", "both"] | None = None) -> None:
    """Two thin spines, small labels and, along the axes named, a faint grid below all that is drawn."""
    if grid is not None:
        axes.grid(axis=grid, color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=9, color=MUTED)
    axes.xaxis.label.set(color=INK, fontsize=10)
    axes.yaxis.label.set(color=INK, fontsize=10)


def without_frame(axes: Axes) -> None:
    """No ticks and no spines, as around a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def headline(axes: Axes, name: str, estimate: Estimate) -> None:
    """The number with its interval above the axes, and below it what it rests on or why it is undefined."""
    counts = f"{estimate.n_positive:,} abnormal, {estimate.n_negative:,} normal, {format_patients(estimate.n_patients)}"
    undefined, bounded = np.isnan(estimate.value), not np.isnan(estimate.low)
    interval = "" if undefined else f" ({format_interval(estimate, why=False)})"
    about = f"{estimate.reason}; " if undefined else "95 % interval; " if bounded else ""
    inside = axes.transAxes
    axes.text(0, 1.085, f"{name} {format_value(estimate)}{interval}", transform=inside, fontsize=12.5, color=INK)
    axes.text(0, 1.03, about + counts, transform=inside, **SMALL)


def legend_below(axes: Axes) -> None:
    """The legend below a `unit_square`, in two columns where its longest line leaves room for them."""
    labels = axes.get_legend_handles_labels()[1]
    columns = 2 if max(len(line) for label in labels for line in label.split("\n")) < 36 else 1
    below: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (-0.03, -0.125), "borderaxespad": 0}
    axes.legend(**LEGEND, columnspacing=1.2, handlelength=1.8, ncols=columns, **below)


def interval_bars(
    axes: Axes, estimates: Sequence[Estimate], *, shift: float, colour: str, digits: int, height: float = 0.36
) -> None:
    """A horizontal bar for each estimate, `shift` from its place 0, 1, ..., with its interval and its number at the end.

    An undefined estimate has no bar.
    """
    for place, estimate in enumerate(estimates):
        if np.isnan(estimate.value):
            continue
        axes.barh(place + shift, estimate.value, height=height, color=colour, zorder=2)
        end = estimate.value if np.isnan(estimate.low) else estimate.high
        axes.plot([estimate.low, end], [place + shift] * 2, color=INK, linewidth=1.1, zorder=3)
        style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 8, "color": INK}
        axes.annotate(format_value(estimate, digits), (end, place + shift), (4, 0), **style)


def interval_line(
    axes: Axes, estimate: Estimate, place: float, colour: str, *, width: float = 2.2, **style: Any
) -> None:
    """An estimate as a dot at the height `place`, its interval as a line through it; `style` of the dot."""
    if not np.isnan(estimate.low):
        ends = [estimate.low, estimate.high]
        axes.plot(ends, [place, place], color=colour, linewidth=width, solid_capstyle="butt", zorder=3)
    axes.plot([estimate.value], [place], "o", **{"color": colour, "zorder": 4, **style})


def outcome_patch(axes: Axes, row: int, column: int, outcome: str, share: float) -> None:
    """The square of `tp`, `fn`, `fp` or `tn` in a two by two table: blue is right, vermilion wrong; `share` in [0, 1] darkens."""
    from matplotlib.patches import Rectangle

    colour = BLUE if outcome in ("tp", "tn") else VERMILION
    axes.add_patch(Rectangle((column, row), 0.97, 0.97, facecolor=colour, alpha=0.08 + 0.5 * share, linewidth=0))


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write `path`.png (200 dpi) and `path`.svg and answer both paths; raises StorageError."""
    base = Path(path)
    png, svg = base.with_name(f"{base.name}.png"), base.with_name(f"{base.name}.svg")
    return write_whole(png, render_figure(figure, "png")), write_whole(svg, render_figure(figure, "svg"))


def to_data_uri(picture: Figure | Picture) -> str:
    """A picture for the `src` of an image; a Figure becomes SVG."""
    if isinstance(picture, Path):
        data, kind = picture.read_bytes(), _KINDS[picture.suffix]
    elif isinstance(picture, bytes):
        data, kind = picture, "jpeg" if picture.startswith(b"\xff\xd8\xff") else "png"
    elif isinstance(picture, np.ndarray):
        data, kind = _png(picture), "png"
    else:
        data, kind = render_figure(picture, "svg"), "svg+xml"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def render_figure(figure: Figure, kind: Literal["png", "svg", "pdf"]) -> bytes:
    """The figure's bytes; the same figure gives the same bytes (no date, no random names), with its fonts in the PDF."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    metadata = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}[kind]
    with rc_context({"svg.hashsalt": "cxreader", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()

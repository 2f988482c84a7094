"""The figure of a sweep over learning rates: the train loss by epoch, a panel for every rate, ln 2 drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cxreader.reporting.style import BLUE, DASHED, INK, LEGEND, MUTED, VERMILION, clean, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LN2 = math.log(2)
_COLOURS = {"learns": BLUE, "stays": VERMILION, "neither": MUTED}
_COLUMNS = 3
_ABOVE = tuple(digit * 10.0**n for n in range(6) for digit in (1, 3))


def draw_losses(lines: Sequence[tuple[float, str, Sequence[float]]]) -> Figure:
    """One panel a rate, one line a run: (rate, verdict `learns`, `stays` or `neither`, train loss of every epoch).

    The loss axis is linear below 1, logarithmic above, and the same in every panel; ln 2 is what a network gets that says
    0.5 to every image.
    """
    from matplotlib.ticker import FixedLocator, MaxNLocator

    rates = sorted({rate for rate, *_ in lines})
    columns = min(_COLUMNS, len(rates))
    rows = -(-len(rates) // columns)
    figure = new_figure(2.6 * columns + 0.9, 2.15 * rows + 0.7)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    for axes, rate in zip(grid, rates, strict=False):
        _panel(axes, rate, [(kind, losses) for at, kind, losses in lines if at == rate])
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_yscale("symlog", linthresh=1, linscale=3)
        axes.yaxis.set_major_locator(FixedLocator([*(n / 10 for n in range(10)), *_ABOVE]))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    every = [loss for *_, losses in lines for loss in losses]
    grid[0].set_ylim(0.9 * min(0.6, *every), 1.3 * max(1.0, *every))
    for axes in grid[len(rates) :]:
        axes.remove()
    figure.supxlabel("Epoch", fontsize=10, color=INK)
    figure.supylabel("Train loss (cross-entropy)", fontsize=10, color=INK)
    present = [kind for kind in _COLOURS if any(kind == verdict for _, verdict, _ in lines)]
    handles = [next(line for axes in grid for line in axes.lines if line.get_gid() == kind) for kind in present]
    handles.append(next(line for line in grid[0].lines if line.get_gid() == "ln 2"))
    labels = [*present, "ln 2 = 0.693"]
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), **LEGEND)
    return figure


def _panel(axes: Axes, rate: float, runs: Sequence[tuple[str, Sequence[float]]]) -> None:
    axes.axhline(LN2, color=INK, linewidth=0.9, linestyle=DASHED, zorder=2, gid="ln 2")
    for kind, losses in runs:
        colour, epochs = _COLOURS[kind], range(1, len(losses) + 1)
        axes.plot(epochs, losses, "o-", color=colour, linewidth=1.4, markersize=3, alpha=0.85, zorder=3, gid=kind)
    learnt = sum(kind == "learns" for kind, _ in runs)
    axes.set_title(f"{rate:g}: {learnt} of {len(runs)} learn", fontsize=9.5, color=INK, loc="left")
    clean(axes, grid="both")

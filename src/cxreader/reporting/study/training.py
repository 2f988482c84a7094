"""How the networks of a study learned, in small multiples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.reporting.study.records import StudyRow
from cxreader.reporting.style import BLUE, DASHED, INK, LEGEND, MUTED, VERMILION, clean, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
WIDTH = 10.4  # inches of a figure as wide as the page


def small_multiples(n: int, height: float, rows_each: int = 1) -> tuple[Figure, list[list[Axes]]]:
    """Small multiples, four a line: for each of n networks `rows_each` axes, one below the other."""
    lines, columns = -(-n // COLUMNS), min(n, COLUMNS)
    figure = new_figure(WIDTH * columns / COLUMNS + 0.2, height * lines * rows_each + 0.5)
    axes = figure.subplots(lines * rows_each, columns, squeeze=False)
    for i in range(n, lines * columns):
        for k in range(rows_each):
            axes[i // columns * rows_each + k, i % columns].remove()
    return figure, [[axes[i // columns * rows_each + k, i % columns] for k in range(rows_each)] for i in range(n)]


def draw_training(rows: Sequence[StudyRow]) -> Figure:
    """For every network the losses and, below, the tune accuracy by epoch; phases apart, stopping points ringed."""
    figure, grid = small_multiples(len(rows), 1.75, rows_each=2)
    values = [e for r in rows for t in r.trainings for p in t.phases for e in p.epochs]
    losses = [v for e in values for v in (e.train_loss, e.tune_loss) if np.isfinite(v)]
    accuracies = [e.tune_accuracy for e in values if np.isfinite(e.tune_accuracy)]
    for i, (row, (above, below)) in enumerate(zip(rows, grid, strict=True)):
        starts = _draw_phases(row, above, below)
        above.set_title(wrapped(row.name, 32), fontsize=9.5, color=INK, loc="left")
        for axes in (above, below):
            for start in starts[1:-1]:
                axes.axvline(start + 0.5, color=MUTED, linewidth=0.9, linestyle=DASHED, zorder=1)
            axes.set_xlim(0.5, max(1.5, starts[-1] + 0.5))
            clean(axes, grid="both")
        _name_phases(below, row, starts)
        _same_scale(above, below, losses, accuracies)
        if i % COLUMNS == 0:
            above.set_ylabel("Loss")
            below.set_ylabel("Tune accuracy")
        below.set_xlabel("Epoch")
    _training_legend(figure)
    return figure


def _same_scale(above: Axes, below: Axes, losses: Sequence[float], accuracies: Sequence[float]) -> None:
    """One scale for all networks; the few largest of many losses may leave the paper, so that the others are seen."""
    from matplotlib.ticker import MaxNLocator

    if losses:
        low, high = min(losses), float(np.quantile(losses, 0.98))
        above.set_ylim(low - 0.06 * (high - low) - 0.01, high + 0.12 * (high - low) + 0.01)
    if accuracies:
        below.set_ylim(min(accuracies) - 0.06, max(accuracies) + 0.02)
    for axes in (above, below):
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _draw_phases(row: StudyRow, above: Axes, below: Axes) -> list[int]:
    """Lines of all trainings; a phase begins where the longest of the one before ends. Answers the phases' bounds."""
    n_phases = max((len(t.phases) for t in row.trainings), default=0)
    lengths = [max(len(t.phases[p].epochs) for t in row.trainings if p < len(t.phases)) for p in range(n_phases)]
    starts = [0, *np.cumsum(lengths, dtype=int).tolist()]
    for training in row.trainings:
        for start, phase in zip(starts, training.phases, strict=False):
            x = np.arange(1, len(phase.epochs) + 1) + start
            line: dict[str, Any] = {"linewidth": 1.2, "alpha": 0.8, "zorder": 3}
            above.plot(x, [e.train_loss for e in phase.epochs], color=BLUE, **line)
            above.plot(x, [e.tune_loss for e in phase.epochs], color=VERMILION, linestyle=(0, (4, 1.5)), **line)
            below.plot(x, [e.tune_accuracy for e in phase.epochs], color=VERMILION, linestyle=(0, (4, 1.5)), **line)
            if phase.epochs:
                best = phase.epochs[phase.best_epoch - 1]
                for axes, y in ((above, best.tune_loss), (below, best.tune_accuracy)):
                    ring: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": INK, "markersize": 5}
                    axes.plot([start + phase.best_epoch], [y], "o", **ring, zorder=4, gid="stopping point")
    return starts


def _name_phases(axes: Axes, row: StudyRow, starts: Sequence[int]) -> None:
    longest = max((t.phases for t in row.trainings), key=len, default=())
    for phase, (start, _) in zip(longest, pairwise(starts), strict=False):
        at = axes.get_xaxis_transform()
        axes.text(start + 0.75, 0.03, phase.name, transform=at, va="bottom", fontsize=7.5, color=MUTED)


def _training_legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=BLUE, label="train loss"),
        Line2D([], [], color=VERMILION, linestyle=(0, (4, 1.5)), label="tune loss, tune accuracy"),
        Line2D([], [], color=INK, marker="o", markerfacecolor="white", linestyle="none", label="stopping point"),
        Line2D([], [], color=MUTED, linestyle=DASHED, label="next phase"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=4, **LEGEND)


def wrapped(text: str, width: int) -> str:
    """The text in lines of so many characters."""
    from textwrap import fill

    return fill(text, width)

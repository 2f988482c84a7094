"""Figures of a search, the best is vermilion, all others blue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.reporting.style import BLUE, DASHED, INK, MUTED, SMALL, VERMILION, clean, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Axis = tuple[str, Sequence[str] | None, Sequence[object], bool]
"""Name; the words of its levels, None for a range; the levels, or the range's ends; whether it is logarithmic."""
_SPREAD = 0.13  # of the axis on both sides of a level, so that no line hides another


def draw_parallel(
    axes: Sequence[Axis], lines: Sequence[tuple[Sequence[object], float]], figure_name: str, *, lower_is_better: bool
) -> Figure:
    """One line a configuration, the best first in `lines`: its value on every axis, and the tune figure on the last.

    Lines that share a level pass it side by side, in the order of their rank; the darker, the better.
    """
    figure = new_figure(1.75 * (len(axes) + 1) + 0.6, 4.2)
    plot = figure.add_subplot()
    scores = [score for _, score in lines]
    low, high = min(scores), max(scores)
    room = (high - low) or 0.02
    low, high = low - 0.05 * room, high + 0.05 * room
    end = len(axes)
    heights = [_heights(axis, [values[n] for values, _ in lines]) for n, axis in enumerate(axes)]
    for rank in reversed(range(len(lines))):
        at = [*(column[rank] for column in heights), (scores[rank] - low) / (high - low)]
        best = rank == 0
        alpha = 1.0 if best else 0.75 - 0.5 * rank / max(1, len(lines) - 1)
        style: dict[str, Any] = {
            "color": VERMILION if best else BLUE,
            "alpha": alpha,
            "linewidth": 2.4 if best else 1.3,
        }
        plot.plot(range(end + 1), at, "o-", markersize=5 if best else 3.2, zorder=4 if best else 3, **style)
    for n, axis in enumerate(axes):
        _rule(plot, n, axis)
    _score_rule(plot, end, low, high)
    plot.set_xticks(range(end + 1), [*(name for name, *_ in axes), figure_name])
    plot.set(xlim=(-0.45, end + 0.5), ylim=(-0.06, 1.06))
    plot.set_yticks([])
    plot.spines[:].set_visible(False)
    plot.tick_params(axis="x", length=0, labelsize=10, labelcolor=INK)
    better = "lower is better" if lower_is_better else "higher is better"
    legend = f"{len(lines)} configurations, the best in vermilion; {better}; apart on a level only to be seen"
    plot.set_title(legend, **SMALL, loc="left")
    return figure


def draw_effects(
    shares: Sequence[tuple[str, float]], effects: Sequence[tuple[str, float, float, float]], figure_name: str
) -> Figure:
    """Above, the share of variance by setting; below, each main effect (name, value, low, high; NaN ends: no interval)."""
    rows = [max(1, len(part)) for part in (shares, effects) if part]
    height = 0.42 * sum(rows) + 0.95 * len(rows)
    figure = new_figure(6.4, height)
    panels = figure.subplots(len(rows), 1, squeeze=False, height_ratios=[n + 0.8 for n in rows])[:, 0].tolist()
    if shares:
        _bars(panels.pop(0), sorted(shares, key=lambda pair: -pair[1]))
    if effects:
        _whiskers(panels.pop(0), effects, figure_name)
    return figure


def _bars(axes: Axes, shares: Sequence[tuple[str, float]]) -> None:
    places = range(len(shares))
    axes.barh(places, [100 * share for _, share in shares], height=0.62, color=BLUE, alpha=0.75, zorder=2)
    for place, (_, share) in zip(places, shares, strict=True):
        axes.text(100 * share + 1.2, place, f"{100 * share:.0f} %", va="center", fontsize=9, color=INK)
    axes.set_yticks(places, [name for name, _ in shares])
    axes.set(xlim=(0, 112), ylim=(len(shares) - 0.45, -0.55), xlabel="Share of the variance among these runs, %")
    axes.set_xticks([0, 25, 50, 75, 100])
    clean(axes, grid="x")


def _whiskers(axes: Axes, effects: Sequence[tuple[str, float, float, float]], figure_name: str) -> None:
    axes.axvline(0, color=INK, linewidth=0.9, linestyle=DASHED, zorder=2)
    for place, (_, value, low, high) in enumerate(effects):
        if math.isfinite(low):
            axes.plot([low, high], [place, place], color=BLUE, linewidth=1.8, zorder=3, solid_capstyle="butt")
        face = BLUE if math.isfinite(low) else "white"
        axes.plot([value], [place], "o", markersize=6.5, markerfacecolor=face, markeredgecolor=BLUE, zorder=4)
    axes.set_yticks(range(len(effects)), [name for name, *_ in effects])
    axes.set(
        ylim=(len(effects) - 0.45, -0.55),
        xlabel=f"Change of {figure_name}\n95 % t interval over pairs; an open ring has none",
    )
    axes.margins(x=0.08)
    clean(axes, grid="x")


def _heights(axis: Axis, values: Sequence[object]) -> list[float]:
    """Where each line crosses an axis, in [0, 1]."""
    _, words, levels, log = axis
    if words is None:
        return [_on_range(float(str(value)), levels, log) for value in values]
    places = dict(zip(levels, _level_places(len(levels)), strict=True))
    reach = _SPREAD if len(levels) <= 3 else 0.3 / len(levels)
    found = []
    for rank, value in enumerate(values):
        alike = [n for n, other in enumerate(values) if other == value]
        aside = 0.0 if len(alike) == 1 else reach * (1 - 2 * alike.index(rank) / (len(alike) - 1))
        found.append(places[value] + aside)
    return found


def _level_places(count: int) -> list[float]:
    return [0.5] if count == 1 else np.linspace(0.15, 0.85, count).tolist()


def _on_range(value: float, ends: Sequence[object], log: bool) -> float:
    low, high = (float(str(end)) for end in ends)
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)


def _rule(plot: Axes, at: int, axis: Axis) -> None:
    """The axis itself, with its levels in words or the ends of its range."""
    _, words, levels, _ = axis
    plot.plot([at, at], [0, 1], color=MUTED, linewidth=0.9, zorder=2)
    marks = list(zip(_level_places(len(words)), words, strict=True)) if words is not None else []
    marks = marks or [(place, f"{float(str(end)):g}") for place, end in zip((0.0, 1.0), levels, strict=True)]
    for place, word in marks:
        _word(plot, at, place, word)


def _score_rule(plot: Axes, at: int, low: float, high: float) -> None:
    from matplotlib.ticker import MaxNLocator

    plot.plot([at, at], [0, 1], color=MUTED, linewidth=0.9, zorder=2)
    for value in MaxNLocator(5).tick_values(low, high):
        if low <= value <= high:
            _word(plot, at, (value - low) / (high - low), f"{value:.3g}")


def _word(plot: Axes, at: float, place: float, word: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.2}
    plot.text(at + 0.06, place, word, va="center", ha="left", fontsize=8.5, color=INK, bbox=box, zorder=5)

"""Figures of where a model looked: its maps beside a fixed one, and the randomisation test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.style import (
    BLUE,
    DOTTED,
    INK,
    LEGEND,
    MUTED,
    SMALL,
    clean,
    interval_bars,
    new_figure,
    side_by_side,
    single_axes,
)
from cxreader.reporting.tables import finding_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cxreader.explanation.localisation_report import LocalisationByFinding, LocalisationReport
    from cxreader.explanation.sanity_report import SanityReport

_SHOWN = ("iou", "iou_25", "pointing")
_BARS = {
    "model": (BLUE, "the model's maps"),
    "null": ("#b4bcc4", "a fixed map: the mean of other patients' boxes"),
    "null_by_finding": ("#8b96a1", "a fixed map of each finding"),
}
"""The bars of a group from the top: field of `LocalisationByFinding`, colour, legend."""


def draw_localisation(report: LocalisationReport) -> Figure:
    """Mean IoU, IoU > 0.25 and pointing game by finding: the model's bar above the fixed maps', with their intervals."""
    from matplotlib.patches import Patch

    from cxreader.explanation.map_scores import METRIC_TITLES

    groups = report.groups
    parts = {part: look for part, look in _BARS.items() if getattr(report.all, part)}
    figure = new_figure(9.6, 0.24 * len(parts) * len(groups) + 1.75)
    panels, height = side_by_side(figure, len(_SHOWN)), 0.84 / len(parts)
    for axes, metric in zip(panels, _SHOWN, strict=True):
        for n, (part, (colour, _)) in enumerate(parts.items()):
            shift, bars = height * (n - (len(parts) - 1) / 2), [getattr(group, part)[metric] for group in groups]
            interval_bars(axes, bars, shift=shift, colour=colour, digits=2, height=0.94 * height)
        axes.set(xlim=(0, 1.14 * axes.get_xlim()[1]), xlabel=METRIC_TITLES[metric])
        clean(axes, grid="x")
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(groups)), [_named(group) for group in groups])
    panels[0].set_ylim(len(groups) - 0.45, -0.55)
    handles = [Patch(color=colour, label=label) for colour, label in parts.values()]
    who = "image" if report.all.patients is None else "patient"
    title = f"lines: 95 % intervals, by {who}"
    figure.legend(
        handles=handles, loc="outside upper left", ncols=3, title=title, title_fontsize=8.5, alignment="left", **LEGEND
    )
    return figure


def _named(group: LocalisationByFinding) -> str:
    return f"{finding_title(group.name)}\n{format_count(group.boxes, '[box|boxes]')}"


def draw_sanity(report: SanityReport) -> Figure:
    """Likeness of the maps to the model's own, stage by stage, as the weights become random from the head backwards."""
    from cxreader.explanation.sanity_report import INSENSITIVE

    stages = report.stages
    figure, axes = single_axes(max(5.6, 0.72 * len(stages) + 2.2), 3.7)
    axes.axhline(0, color=MUTED, linewidth=0.8, zorder=1)
    note = f"from {INSENSITIVE:g} on: much the same ranks"
    axes.axhline(INSENSITIVE, color=MUTED, linewidth=0.9, linestyle=DOTTED, zorder=1, label=note)
    _line(axes, [s.rank_correlation for s in stages], "o-", BLUE, -0.06, "rank correlation")
    _line(axes, [s.ssim for s in stages], "s--", INK, 0.06, "SSIM")
    names = [f"{s.stage}\n{s.flat} flat" if s.flat else s.stage for s in stages]
    axes.set_xticks(range(len(stages)), names)
    axes.set(
        xlim=(-0.5, len(stages) - 0.5), xlabel="Random from here to the head", ylabel="Likeness to the model's own map"
    )
    low = min([0.0, *(e.low for s in stages for e in (s.rank_correlation, s.ssim) if not np.isnan(e.low))])
    axes.set_ylim(min(-0.05, low - 0.05), 1.05)
    clean(axes)
    axes.tick_params(axis="x", labelsize=8)
    title = f"{report.images} images" + (
        f", {report.flat} left out: the model's own map is flat" if report.flat else ""
    )
    axes.set_title(f"{title}; bars: 95 % intervals", **SMALL, loc="left")
    axes.legend(**LEGEND, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def _line(axes: Axes, estimates: Sequence[Estimate], style: str, colour: str, shift: float, label: str) -> None:
    places = np.arange(len(estimates)) + shift
    axes.plot(
        places, [e.value for e in estimates], style, color=colour, markersize=5, linewidth=1.3, label=label, zorder=3
    )
    for place, estimate in zip(places, estimates, strict=True):
        if not np.isnan(estimate.low):
            axes.plot([place, place], [estimate.low, estimate.high], color=colour, linewidth=1.3, zorder=2)

"""Figures of where a model looked: its maps beside a fixed one, and the randomisation test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.findings import FINDINGS
from cxreader.reporting.evaluation.figures import BLUE, FAINT, INK, MUTED, _clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cxreader.explanation.localisation_report import LocalisationByFinding, LocalisationReport
    from cxreader.explanation.sanity_report import SanityReport

_SHOWN = ("iou", "iou_25", "pointing")
_FIXED = "#b4bcc4"


def draw_localisation(report: LocalisationReport) -> Figure:
    """Mean IoU, IoU > 0.25 and pointing game by finding: the model's bar above the fixed map's, each with its interval."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    from cxreader.explanation.map_scores import METRIC_TITLES

    groups, with_model = report.groups, bool(report.all.model)
    figure = Figure(figsize=(9.6, 0.5 * len(groups) + 1.55), layout="constrained", facecolor="white")
    panels: list[Axes] = figure.subplots(1, len(_SHOWN), sharey=True, squeeze=False)[0].tolist()
    for axes, metric in zip(panels, _SHOWN, strict=True):
        if with_model:
            _bars(axes, [group.model[metric] for group in groups], -0.19, BLUE)
        _bars(axes, [group.null[metric] for group in groups], 0.19 if with_model else 0.0, _FIXED)
        axes.set(xlim=(0, 1.14 * axes.get_xlim()[1]), xlabel=METRIC_TITLES[metric])
        axes.grid(axis="x", color=FAINT, linewidth=0.6)
        _clean(axes)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(groups)), [_named(group) for group in groups])
    panels[0].set_ylim(len(groups) - 0.45, -0.55)
    handles = [Patch(color=BLUE, label="the model's maps")] if with_model else []
    handles.append(Patch(color=_FIXED, label="a fixed map: the mean of other patients' boxes"))
    style: dict[str, Any] = {"fontsize": 8.5, "labelcolor": INK, "frameon": False}
    who = "image" if report.all.patients is None else "patient"
    title = f"lines: 95 % intervals, by {who}"
    figure.legend(
        handles=handles, loc="outside upper left", ncols=2, title=title, title_fontsize=8.5, alignment="left", **style
    )
    return figure


def _bars(axes: Axes, estimates: Sequence[Estimate], shift: float, colour: str) -> None:
    height = 0.36 if shift else 0.6
    for place, estimate in enumerate(estimates):
        axes.barh(place + shift, estimate.value, height=height, color=colour, zorder=2)
        end = estimate.value if np.isnan(estimate.low) else estimate.high
        axes.plot([estimate.low, end], [place + shift] * 2, color=INK, linewidth=1.1, zorder=3)
        style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 8, "color": INK}
        axes.annotate(f"{estimate.value:.2f}", (end, place + shift), (4, 0), **style)


def _named(group: LocalisationByFinding) -> str:
    display = {finding.name: finding.display for finding in FINDINGS}.get(group.name, group.name)
    return f"{display}\n{group.boxes:,} box{'es' * (group.boxes > 1)}"


def draw_sanity(report: SanityReport) -> Figure:
    """Likeness of the maps to the model's own, stage by stage, as the weights become random from the head backwards."""
    from matplotlib.figure import Figure

    from cxreader.explanation.sanity_report import INSENSITIVE

    stages = report.stages
    figure = Figure(figsize=(max(5.6, 0.72 * len(stages) + 2.2), 3.7), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.axhline(0, color=MUTED, linewidth=0.8, zorder=1)
    note = f"from {INSENSITIVE:g} on: much the same ranks"
    axes.axhline(INSENSITIVE, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2.5)), zorder=1, label=note)
    _line(axes, [s.rank_correlation for s in stages], "o-", BLUE, -0.06, "rank correlation")
    _line(axes, [s.ssim for s in stages], "s--", INK, 0.06, "SSIM")
    names = [f"{s.stage}\n{s.flat} flat" if s.flat else s.stage for s in stages]
    axes.set_xticks(range(len(stages)), names)
    axes.set(
        xlim=(-0.5, len(stages) - 0.5), xlabel="Random from here to the head", ylabel="Likeness to the model's own map"
    )
    low = min([0.0, *(e.low for s in stages for e in (s.rank_correlation, s.ssim) if not np.isnan(e.low))])
    axes.set_ylim(min(-0.05, low - 0.05), 1.05)
    _clean(axes)
    axes.tick_params(axis="x", labelsize=8)
    title = f"{report.images} images" + (
        f", {report.flat} left out: the model's own map is flat" if report.flat else ""
    )
    axes.set_title(f"{title}; bars: 95 % intervals", fontsize=8.5, color=MUTED, loc="left")
    axes.legend(fontsize=8.5, labelcolor=INK, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def _line(axes: Axes, estimates: Sequence[Estimate], style: str, colour: str, shift: float, label: str) -> None:
    places = np.arange(len(estimates)) + shift
    axes.plot(
        places, [e.value for e in estimates], style, color=colour, markersize=5, linewidth=1.3, label=label, zorder=3
    )
    for place, estimate in zip(places, estimates, strict=True):
        if not np.isnan(estimate.low):
            axes.plot([place, place], [estimate.low, estimate.high], color=colour, linewidth=1.3, zorder=2)

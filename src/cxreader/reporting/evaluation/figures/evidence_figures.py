"""Figures of the evidence, how honest the probabilities are, whether to act on them, for whom, and the worklist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.evaluation.figures.readers_figure import draw_readers
from cxreader.reporting.style import (
    BLUE,
    CHANCE,
    DASHED,
    INK,
    LEGEND,
    MUTED,
    SMALL,
    VERMILION,
    clean,
    headline,
    interval_bars,
    interval_line,
    legend_below,
    new_figure,
    side_by_side,
    single_axes,
    unit_square,
)
from cxreader.reporting.tables import DIMENSION_TITLES, RATE_TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cxreader.evaluation.calibration.report import CalibrationReport
    from cxreader.evaluation.evidence import Evidence
    from cxreader.evaluation.subgroups.performance import Subgroup, Subgroups
    from cxreader.evaluation.subgroups.rates import Metric
    from cxreader.evaluation.worklist.triage import Triage
    from cxreader.reporting.evaluation.image_evidence import ImageEvidence

_SHOWN: dict[Metric, str] = {"auc": "auc", "sensitivity": "recall", "specificity": "specificity"}
"""Each metric of a group, and the name of the same one of all images."""
_LONGEST = 30
WHO = {"abnormal": VERMILION, "normal": BLUE}


def evidence_figures(evaluation: Evaluation) -> dict[str, Figure]:
    """The figures of what was asked, by name: reliability, decision_curve, subgroups, triage and readers where there are any."""
    evidence = evaluation.evidence
    if evidence is None:
        return {}
    figures = {
        "reliability": draw_reliability(evidence.calibration),
        "decision_curve": draw_decision_curve(evidence),
    }
    if evidence.subgroups.groups:
        figures["subgroups"] = draw_subgroups(evidence.subgroups, evaluation)
    if evidence.triage is not None:
        figures["triage"] = draw_triage(evidence.triage)
    if evidence.readers is not None and evidence.readers.readers:
        figures["readers"] = draw_readers(evidence.readers)
    return figures


def image_evidence_figures(image_evidence: ImageEvidence) -> dict[str, Figure]:
    """The figures of what was found from the images, by name: shortcuts, localisation, regions and sanity."""
    from cxreader.reporting.evaluation.figures.localisation_figures import (
        draw_localisation,
        draw_sanity,
    )
    from cxreader.reporting.evaluation.shortcuts import draw_confounders

    figures = {}
    if image_evidence.shortcuts is not None:
        figures["shortcuts"] = draw_confounders(image_evidence.shortcuts)
    if image_evidence.localisation is not None:
        figures["localisation"] = draw_localisation(image_evidence.localisation)
    figures |= {found.slug: draw_localisation(found) for found in image_evidence.regions}
    if image_evidence.sanity is not None:
        figures["sanity"] = draw_sanity(image_evidence.sanity)
    return figures


def draw_reliability(report: CalibrationReport) -> Figure:
    """Observed share of abnormal over the mean probability of each bin, with its band, and the fitted calibration line."""
    figure, axes = unit_square("Mean probability of the images in the bin", "Share that is truly abnormal")
    headline(axes, "Calibration error (ECE)", report.reliability.ece)
    axes.plot([0, 1], [0, 1], **CHANCE, label="ideal: what is said comes true")
    bins = report.reliability.bins
    if bins:
        x = np.array([b.mean_probability for b in bins])
        y, low, high = (np.array([getattr(b.observed, end) for b in bins]) for end in ("value", "low", "high"))
        axes.fill_between(x, low, high, color=BLUE, alpha=0.18, linewidth=0, zorder=2, label="95 % band, bin by bin")
        axes.vlines(x, low, high, color=BLUE, linewidth=1.2, zorder=3)
        ring: dict[str, Any] = {"color": BLUE, "markersize": 5.5, "linestyle": "none", "zorder": 4}
        axes.plot(x, y, "o", **ring, label=f"{len(bins)} bins of equal mass")
        _fitted_line(axes, report, float(x[0]), float(x[-1]))
    legend_below(axes)
    return figure


def _fitted_line(axes: Axes, report: CalibrationReport, low: float, high: float) -> None:
    """P(abnormal) = sigmoid(intercept_at_slope + slope * log odds of the probability), from `low` to `high`."""
    slope, intercept = report.line.slope.value, report.line.intercept_at_slope.value
    x = np.linspace(max(low, 1e-4), min(high, 1 - 1e-4), 200)
    if np.isnan(slope) or np.isnan(intercept) or x[0] >= x[-1]:
        return
    y = 1 / (1 + np.exp(-(intercept + slope * np.log(x / (1 - x)))))
    style: dict[str, Any] = {"color": INK, "linewidth": 1.1, "linestyle": DASHED, "zorder": 3}
    axes.plot(x, y, **style, label=f"fitted line, slope {slope:.2f}")


def draw_decision_curve(evidence: Evidence) -> Figure:
    """Net benefit of the model over the threshold, with its band, against flagging all images and flagging none."""
    curve = evidence.decision_curve
    figure, axes = single_axes(5.6, 4.1)
    where = "where it would work" if curve.deployed else "as in this sample"
    axes.set(xlim=(0, 1), xlabel="Threshold probability", ylabel="Net benefit an image")
    axes.axhline(0, **CHANCE, label="flag no image")
    if np.isnan(curve.net_benefit).all():
        axes.set_title(f"undefined: {curve.reason}", **SMALL, loc="left")
        clean(axes)
        return figure
    axes.set_title(
        f"{100 * curve.prevalence:.3g} % abnormal, {where}; {curve.n_positive:,} abnormal, {curve.n_negative:,} normal images",
        **SMALL,
        loc="left",
    )
    axes.plot(curve.threshold, curve.treat_all, color=MUTED, linewidth=1.3, label="flag every image", zorder=2)
    axes.fill_between(
        curve.threshold,
        curve.low,
        curve.high,
        color=BLUE,
        alpha=0.18,
        linewidth=0,
        zorder=2,
        label="95 % band, pointwise",
    )
    axes.plot(curve.threshold, curve.net_benefit, color=BLUE, linewidth=1.8, zorder=3, label="flag by the model")
    top = max(curve.prevalence, float(np.nanmax(curve.net_benefit)), 1e-3)
    low = float(np.nanmin(curve.net_benefit))
    axes.set_ylim(max(-top, min(-0.08 * top, 1.2 * low)), 1.12 * top)
    for point in evidence.points:
        axes.axvline(point.point.threshold, color=INK, linewidth=0.9, linestyle=DASHED, zorder=1)
    axes.plot([], [], color=INK, linewidth=0.9, linestyle=DASHED, label="operating points")
    clean(axes, grid="y")
    figure.legend(loc="outside lower left", ncols=2, **LEGEND)
    return figure


def draw_subgroups(subgroups: Subgroups, evaluation: Evaluation) -> Figure:
    """AUC, sensitivity and specificity of every group with intervals, beside those of all images."""
    rows = _rows(subgroups)
    figure = new_figure(9.6, 0.235 * len(rows) + 1.2)
    panels = side_by_side(figure, len(_SHOWN))
    for axes, (metric, whole_name) in zip(panels, _SHOWN.items(), strict=True):
        whole = evaluation.metrics[whole_name]
        axes.axvline(whole.value, color=MUTED, linewidth=0.9, linestyle=DASHED, zorder=1)
        ends = [whole.value]
        for place, row in enumerate(rows):
            if isinstance(row, str):
                continue
            estimate, colour = row.metrics[metric], _colour(row, metric)
            ends += [e for e in (estimate.low, estimate.value) if not np.isnan(e)]
            _dot(axes, estimate, place, colour, hollow=row.too_small is not None)
        known = [end for end in ends if not np.isnan(end)]
        axes.set(xlim=(max(0.0, min([0.9, *known]) - 0.04), 1.015), xlabel=RATE_TITLES[metric])
        clean(axes, grid="x")
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(rows)), [row if isinstance(row, str) else _short(row.name) for row in rows])
    for label, row in zip(panels[0].get_yticklabels(), rows, strict=True):
        label.set(
            fontsize=8.5, color=MUTED if isinstance(row, str) else INK, style="italic" if isinstance(row, str) else None
        )
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    _forest_legend(figure)
    return figure


def _rows(subgroups: Subgroups) -> list[Subgroup | str]:
    """Each group, and a line with its dimension before the first of it."""
    rows: list[Subgroup | str] = []
    dimension = None
    for group in subgroups.groups:
        if group.dimension != dimension:
            dimension = group.dimension
            rows.append(DIMENSION_TITLES[dimension])
        rows.append(group)
    return rows


def _colour(group: Subgroup, metric: Metric) -> str:
    if group.gaps[metric].flagged and group.gaps[metric].estimate.value < 0:
        return VERMILION
    return MUTED if group.too_small is not None else BLUE


def _dot(axes: Axes, estimate: Estimate, place: float, colour: str, *, hollow: bool = False) -> None:
    if not np.isnan(estimate.value):
        # A rate of 0 or 1 stands on the frame, which must not cut it.
        style: dict[str, Any] = {"markeredgecolor": colour, "markersize": 5, "clip_on": False}
        interval_line(axes, estimate, place, colour, width=1.5, **style | ({"color": "white"} if hollow else {}))


def _forest_legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    def mark(face: str, edge: str, label: str) -> Line2D:
        return Line2D([], [], marker="o", color=edge, markerfacecolor=face, markersize=5, linewidth=1.5, label=label)

    handles = [
        mark(BLUE, BLUE, "group, 95 % interval by patient"),
        mark(VERMILION, VERMILION, "significantly below the rest"),
        mark("white", MUTED, "too small to be tested"),
        Line2D([], [], color=MUTED, linewidth=0.9, linestyle=DASHED, label="all images"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=4, **LEGEND)


def _short(name: str) -> str:
    """A name from a table: no mathematics in it, and no longer than the figure can bear."""
    cut = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
    return cut.replace("$", r"\$")


def draw_triage(triage: Triage) -> Figure:
    """Mean and 95th centile of the minutes until an image is read, abnormal and normal apart, by worklist policy."""
    from matplotlib.patches import Patch

    results = triage.results
    figure = new_figure(9.6, 0.62 * len(results) + 1.25)
    panels = side_by_side(figure, 2)
    for axes, (measure, title) in zip(panels, {"mean": "Mean", "p95": "95th centile"}.items(), strict=True):
        for shift, (who, colour) in zip((-0.19, 0.19), WHO.items(), strict=True):
            minutes = [result.times[who][measure] for result in results]
            interval_bars(axes, minutes, shift=shift, colour=colour, digits=0)
        axes.set(xlim=(0, 1.16 * axes.get_xlim()[1]), xlabel=f"{title}, minutes until read")
        clean(axes, grid="x")
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(results)), [str(result.policy) for result in results])
    panels[0].set_ylim(len(results) - 0.45, -0.55)
    handles = [Patch(color=colour, label=f"{who} images") for who, colour in WHO.items()]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, **LEGEND)
    return figure

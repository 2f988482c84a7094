"""Figures of a study: all networks in one language of colours, and of line styles for those who print in grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.evaluation.comparison.records import Comparison, MeanCurve
from cxreader.reporting.study.panels import draw_panels
from cxreader.reporting.study.records import StudyReport
from cxreader.reporting.study.training import WIDTH, draw_training, small_multiples, wrapped
from cxreader.reporting.style import (
    BLUE,
    CHANCE,
    INK,
    LEGEND,
    MUTED,
    VERMILION,
    clean,
    interval_line,
    outcome_patch,
    single_axes,
    unit_square,
    without_frame,
)
from cxreader.reporting.tables import estimate_counts, format_estimate, format_interval, format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008 without the yellow, which is lost on white.
_COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", INK, "#E69F00", "#56B4E9", MUTED)
_STYLES: tuple[Any, ...] = (
    "-",
    (0, (6, 2)),
    (0, (1.2, 1.4)),
    (0, (6, 2, 1.2, 2)),
    (0, (3, 1.2)),
    (0, (9, 2)),
    (0, (4, 1.5, 1, 1.5, 1, 1.5)),
)


def study_figures(report: StudyReport) -> dict[str, Figure]:
    """All figures of a study by name: auc, roc, precision_recall, confusion, kappa, training; panels by `grad_cam_GROUP`."""
    panels = {
        f"grad_cam_{group.replace(' ', '_')}": draw_panels(group, found)
        for group, found in report.panels.items()
        if found
    }
    return {
        "auc": draw_auc(report),
        "roc": draw_roc_curves(report.comparison),
        "precision_recall": draw_precision_recall_curves(report.comparison),
        "confusion": draw_confusions(report.comparison),
        "kappa": draw_kappa(report.comparison),
        "training": draw_training(report.rows),
        **panels,
    }


def draw_auc(report: StudyReport) -> Figure:
    """AUC of every network with its interval, each training as a tick, and the study's own number as a diamond."""
    rows = report.pairs
    figure, axes = single_axes(WIDTH, 0.42 * len(rows) + 1.15)
    axes.axvline(0.5, **CHANCE)
    ends = [0.5]
    for y, (row, result) in enumerate(rows):
        auc, seeds = result.metrics["auc"], [v for v in result.by_seed["auc"] if not np.isnan(v)]
        interval_line(axes, auc, y, BLUE, markersize=6.5)
        axes.plot(seeds, [y + 0.27] * len(seeds), "|", color=INK, markersize=6, zorder=3, gid="trainings")
        published = row.published.auc if row.published else None
        if published is not None:
            ring: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": MUTED, "markersize": 6.5}
            axes.plot([published], [y], "D", **ring, zorder=3, gid="published")
        ends += [v for v in (auc.low, auc.high, *seeds, published) if v is not None and not np.isnan(v)]
        inside = axes.get_yaxis_transform()
        axes.text(1.015, y, format_estimate(auc, 3, why=False), transform=inside, va="center", fontsize=10, color=INK)
    axes.set_yticks(range(len(rows)), [row.name for row, _ in rows])
    room = 0.03 * (max(ends) - min(ends)) + 0.005
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(min(ends) - room, max(ends) + room), xlabel="AUC on the test part")
    clean(axes, grid="x")
    axes.tick_params(axis="y", labelsize=10, length=0)
    _forest_legend(axes, published=any(row.published for row, _ in rows))
    return figure


def _forest_legend(axes: Axes, *, published: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=BLUE, marker="o", linewidth=2.2, label="mean of the trainings, 95 % interval"),
        Line2D([], [], color=INK, marker="|", linestyle="none", label="each training"),
        Line2D(
            [], [], color=MUTED, marker="D", markerfacecolor="white", linestyle="none", label="the study's, on its data"
        ),
        Line2D([], [], **{k: v for k, v in CHANCE.items() if k != "zorder"}, label="chance"),
    ]
    if not published:
        del handles[2]
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0), "borderaxespad": 0}
    axes.legend(handles=handles, ncols=4, handlelength=1.8, **place, **LEGEND)


def draw_roc_curves(comparison: Comparison) -> Figure:
    """The mean ROC curve of every network with its pointwise 95 % band, AUC beside the name."""
    figure, axes = unit_square("False positive rate (1 - specificity)", "Sensitivity", below=_below(comparison))
    axes.plot([0, 1], [0, 1], **CHANCE, label="chance")
    _curves(axes, comparison, [row.roc for row in comparison.rows], "auc", origin=(0.0, 0.0))
    _title(axes, "ROC curves", comparison)
    return figure


def draw_precision_recall_curves(comparison: Comparison) -> Figure:
    """The mean precision-recall curve of every network with its band, average precision beside the name."""
    figure, axes = unit_square(
        "Recall (sensitivity)", "Precision (positive predictive value)", below=_below(comparison)
    )
    counts = comparison.rows[0].metrics["accuracy"]
    share = counts.n_positive / max(1, counts.n_positive + counts.n_negative)
    axes.axhline(share, **CHANCE, label=f"chance: prevalence {share:.2f}")
    _curves(axes, comparison, [row.precision_recall for row in comparison.rows], "average_precision")
    _title(axes, "Precision-recall curves", comparison)
    return figure


def _below(comparison: Comparison) -> float:
    """Inches below the axes: their label, and a line of the legend a network."""
    return 0.62 + 0.165 * (len(comparison.rows) + 1)


def _curves(
    axes: Axes,
    comparison: Comparison,
    curves: Sequence[MeanCurve],
    metric: str,
    origin: tuple[float, float] | None = None,
) -> None:
    for i, (row, curve) in enumerate(zip(comparison.rows, curves, strict=True)):
        style: dict[str, Any] = {"color": _COLOURS[i % len(_COLOURS)], "linestyle": _STYLES[i % len(_STYLES)]}
        label = f"{row.name}: {format_estimate(row.metrics[metric], 3, why=False)}"
        x, y = curve.grid, curve.mean
        if np.isnan(y).all():
            axes.plot([], [], **style, label=label)
            continue
        if origin:
            x, y = np.append(origin[0], x), np.append(origin[1], y)
        axes.fill_between(curve.grid, curve.low, curve.high, color=style["color"], alpha=0.09, linewidth=0, zorder=2)
        axes.plot(x, y, linewidth=1.7, zorder=3, **style, label=label)
    below: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (-0.13, -0.125), "borderaxespad": 0}
    axes.legend(**LEGEND | {"fontsize": 8}, handlelength=3.2, labelspacing=0.4, **below)


def _title(axes: Axes, name: str, comparison: Comparison) -> None:
    lines = ((1.115, f"{name}, means of the trainings", 12), (1.062, "95 % bands, pointwise", 8.5))
    for y, text, size in (*lines, (1.018, counts_of(comparison), 8.5)):
        colour = INK if y > 1.1 else MUTED
        axes.text(-0.13, y, text, transform=axes.transAxes, fontsize=size, color=colour)


def counts_of(comparison: Comparison) -> str:
    """On how many images and patients every number rests."""
    return estimate_counts(comparison.rows[0].metrics["accuracy"])


def draw_confusions(comparison: Comparison) -> Figure:
    """Two by two for every network: mean share of the row, and the counts of each training."""
    figure, grid = small_multiples(len(comparison.rows), 2.25)
    for row, (axes,) in zip(comparison.rows, grid, strict=True):
        axes.set(xlim=(-0.5, 2), ylim=(2.05, -0.5))
        axes.axis("off")
        axes.text(-0.5, -0.44, wrapped(row.name, 34), va="bottom", fontsize=9.5, color=INK, linespacing=1.1)
        for line, names in enumerate((("tp", "fn"), ("fp", "tn"))):
            truth = ("truly\nabnormal", "truly\nnormal")[line]
            axes.text(-0.06, line + 0.48, truth, ha="right", va="center", fontsize=8, color=INK)
            for column, name in enumerate(names):
                _cell(axes, line, column, name, [(c[name], sum(c[n] for n in names)) for c in row.confusion])
        for column, called in enumerate(("called abnormal", "called normal")):
            axes.text(column + 0.485, -0.1, called, ha="center", va="center", fontsize=8, color=INK)
    return figure


def _cell(axes: Axes, line: int, column: int, name: str, outcomes: Sequence[tuple[int, int]]) -> None:
    """One outcome over the trainings, each (count, images of the row): their mean share, and every count."""
    counts, total = [count for count, _ in outcomes], outcomes[0][1]
    share = float(np.mean(counts)) / total if total else 0.0
    outcome_patch(axes, line, column, name, share)
    each = " / ".join(f"{c:,}" for c in counts) if len(counts) <= 3 else f"{min(counts):,}-{max(counts):,}"
    texts = ((0.42, f"{100 * share:.0f} %" if total else "none", 13), (0.74, each, 7 if len(each) > 13 else 8))
    for y, text, size in texts:
        axes.text(column + 0.485, line + y, text, ha="center", va="center", fontsize=size, color=INK)


def draw_kappa(comparison: Comparison) -> Figure:
    """Cohen's kappa of every two networks, with its interval."""
    from matplotlib.patches import Rectangle

    names = [row.name for row in comparison.rows]
    n = len(names)
    figure, axes = single_axes(2.7 + 0.95 * n, 0.75 + 0.62 * n)
    for pair in comparison.agreements:
        i, j = names.index(pair.first), names.index(pair.second)
        value = pair.kappa.value
        depth = 0.0 if np.isnan(value) else float(np.clip(value, 0, 1))
        axes.add_patch(Rectangle((i, j), 0.96, 0.94, facecolor=BLUE, alpha=0.05 + 0.55 * depth, linewidth=0))
        interval = "" if np.isnan(value) else format_interval(pair.kappa, why=False).replace(" to ", " to\n", 1)
        inside: dict[str, Any] = {"ha": "center", "va": "center", "color": INK}
        axes.text(i + 0.48, j + 0.36, format_value(pair.kappa, 2), fontsize=11, **inside)
        axes.text(i + 0.48, j + 0.7, interval, fontsize=6.5, **inside)
    for i in range(n):
        axes.text(i + 0.48, i + 0.5, f"{i + 1}", ha="center", va="center", fontsize=10, color=MUTED)
    axes.set(xlim=(0, n), ylim=(n, 0))
    without_frame(axes)
    axes.set_yticks(np.arange(n) + 0.48, [f"{name}  {i + 1}" for i, name in enumerate(names)])
    axes.tick_params(length=0, labelsize=9.5, labelcolor=INK)
    return figure

"""Figures of an evaluation at its operating point: curves, decisions and probabilities. Each `draw_*` returns a Figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.style import (
    BLUE,
    CHANCE,
    DASHED,
    INK,
    MUTED,
    POINTWISE,
    VERMILION,
    clean,
    headline,
    legend_below,
    outcome_patch,
    single_axes,
    unit_square,
)
from cxreader.reporting.tables import format_interval, format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cxreader.reporting.evaluation.image_evidence import ImageEvidence

OUTCOMES = {"tp": "found", "fn": "missed", "fp": "false alarm", "tn": "true negative"}
"""The four outcomes of a decision, in words."""


def evaluation_figures(evaluation: Evaluation, image_evidence: ImageEvidence | None = None) -> dict[str, Figure]:
    """All figures of an evaluation by name: roc, precision_recall, confusion, probabilities, and those of its evidence.

    `image_evidence` adds `shortcuts`, `localisation` and `sanity` where the images were looked at.
    """
    from cxreader.reporting.evaluation.figures.evidence_figures import (
        evidence_figures,
        image_evidence_figures,
    )

    return {
        "roc": draw_roc(evaluation),
        "precision_recall": draw_precision_recall(evaluation),
        "confusion": draw_confusion(evaluation),
        "probabilities": draw_probabilities(evaluation),
        **evidence_figures(evaluation),
        **({} if image_evidence is None else image_evidence_figures(image_evidence)),
    }


def draw_roc(evaluation: Evaluation) -> Figure:
    """ROC curve with its pointwise 95 % band, the AUC, and the operating point with its sensitivity and specificity."""
    roc, metrics = evaluation.roc, evaluation.metrics
    figure, axes = unit_square("False positive rate (1 - specificity)", "Sensitivity")
    headline(axes, "AUC", metrics["auc"])
    axes.plot([0, 1], [0, 1], **CHANCE, label="chance")
    if len(roc.threshold):
        axes.fill_between(roc.grid, roc.low, roc.high, color=BLUE, alpha=0.18, linewidth=0, zorder=2, label=POINTWISE)
        axes.plot(roc.false_positive_rate, roc.true_positive_rate, color=BLUE, linewidth=1.8, zorder=3)
        x, y = 1 - metrics["specificity"].value, metrics["recall"].value
        _point(axes, x, y, evaluation, f"sensitivity {y:.2f}, specificity {1 - x:.2f}")
    legend_below(axes)
    return figure


def draw_precision_recall(evaluation: Evaluation) -> Figure:
    """Precision-recall steps with their pointwise 95 % band, the average precision, and what chance would reach."""
    curve, metrics = evaluation.precision_recall, evaluation.metrics
    figure, axes = unit_square("Recall (sensitivity)", "Precision (positive predictive value)")
    headline(axes, "Average precision", metrics["average_precision"])
    if len(curve.threshold):
        axes.axhline(curve.prevalence, **CHANCE, label=f"chance: prevalence {curve.prevalence:.2f}")
        axes.fill_between(
            curve.grid, curve.low, curve.high, color=BLUE, alpha=0.18, linewidth=0, zorder=2, label=POINTWISE
        )
        axes.step(curve.recall, curve.precision, where="pre", color=BLUE, linewidth=1.8, zorder=3)
        x, y = metrics["recall"].value, metrics["precision"].value
        if not np.isnan(y):
            _point(axes, x, y, evaluation, f"recall {x:.2f}, precision {y:.2f}")
        legend_below(axes)
    return figure


def draw_confusion(evaluation: Evaluation) -> Figure:
    """Two by two counts at the operating point, each with its share of the row; sensitivity and specificity beside."""
    figure, axes = single_axes(5.6, 3.5)
    axes.set(xlim=(-0.62, 3.1), ylim=(2.28, -0.42))
    axes.axis("off")
    for row, names in enumerate((("tp", "fn"), ("fp", "tn"))):
        total = sum(evaluation.confusion[name] for name in names)
        for column, name in enumerate(names):
            _cell(axes, row, column, name, evaluation.confusion[name], total)
    sides = (("abnormal", "recall", "sensitivity"), ("normal", "specificity", "specificity"))
    for row, (truth, metric, title) in enumerate(sides):
        axes.text(-0.06, row + 0.485, f"truly\n{truth}", ha="right", va="center", fontsize=9.5, color=INK)
        estimate = evaluation.metrics[metric]
        axes.text(2.08, row + 0.28, title, va="center", fontsize=9, color=MUTED)
        axes.text(2.08, row + 0.49, format_value(estimate), va="center", fontsize=13, color=INK)
        axes.text(2.08, row + 0.68, _interval_text(estimate), va="center", fontsize=9, color=MUTED)
    for column, called in enumerate(("abnormal", "normal")):
        axes.text(column + 0.485, -0.1, f"called {called}", ha="center", va="center", fontsize=9.5, color=INK)
    point = evaluation.operating_point
    note = f"{point.name}: called abnormal when probability ≥ {point.threshold:.3f}; shares are of each row"
    axes.text(0, 2.13, note, va="center", fontsize=8, color=MUTED)
    return figure


def _cell(axes: Axes, row: int, column: int, name: str, count: int, total: int) -> None:
    """One of the four outcomes with its count, and its share of the row, which has `total` images."""
    word, share = OUTCOMES[name], count / total if total else 0.0
    outcome_patch(axes, row, column, name, share)
    centre, text = column + 0.485, f"{word}, {100 * share:.0f} %" if total else word
    axes.text(centre, row + 0.40, f"{count:,}", ha="center", va="center", fontsize=19, color=INK)
    axes.text(centre, row + 0.72, text, ha="center", va="center", fontsize=9, color=INK)


def _interval_text(estimate: Estimate) -> str:
    interval = format_interval(estimate, why=False)
    return interval if np.isnan(estimate.low) else f"95 % interval {interval}"


def draw_probabilities(evaluation: Evaluation) -> Figure:
    """Calibrated probabilities by class, the abnormal above the line and the normal below, with the threshold."""
    from matplotlib.ticker import MaxNLocator

    histogram, counts = evaluation.histogram, evaluation.counts
    figure, axes = single_axes(5.6, 3.5)
    left, width = histogram.edges[:-1], np.diff(histogram.edges)
    axes.bar(left, histogram.abnormal, width * 0.92, align="edge", color=VERMILION, zorder=2)
    axes.bar(left, -histogram.normal, width * 0.92, align="edge", color=BLUE, zorder=2)
    top = max(1, int(histogram.abnormal.max()), int(histogram.normal.max())) * 1.25
    axes.axhline(0, color=INK, linewidth=0.8, zorder=3)
    axes.set(xlim=(0, 1), ylim=(-top, top), xlabel="Calibrated probability of abnormal", ylabel="Images")
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    above, below = f"{counts.abnormal:,} truly abnormal", f"{counts.normal:,} truly normal"
    inside = axes.transAxes
    axes.text(0.985, 0.985, above, transform=inside, ha="right", va="top", fontsize=9.5, color=VERMILION, zorder=6)
    axes.text(0.015, 0.015, below, transform=inside, ha="left", va="bottom", fontsize=9.5, color=BLUE, zorder=6)
    threshold = evaluation.operating_point.threshold
    axes.axvline(threshold, color=INK, linewidth=1.1, linestyle=DASHED, zorder=4)
    room = threshold < 0.55  # to the right of the line, else to its left
    note = f"{threshold:.2f}: called abnormal from here on →" if room else f"called abnormal from {threshold:.2f} on →"
    axes.text(threshold, top * 1.03, note, ha="left" if room else "right", va="bottom", fontsize=8, color=INK)
    clean(axes)
    return figure


def _point(axes: Axes, x: float, y: float, evaluation: Evaluation, rates: str) -> None:
    """The operating point as a ring, with its name and `rates` for the legend."""
    point = evaluation.operating_point
    text = f"{point.name}, probability ≥ {point.threshold:.2f}:\n{rates}"
    ring: dict[str, Any] = {"color": "white", "markeredgecolor": INK, "markersize": 7, "markeredgewidth": 1.5}
    axes.plot([x], [y], "o", **ring, linestyle="none", zorder=5, label=text)

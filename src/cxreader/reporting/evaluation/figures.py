"""Figures of an evaluation: one visual language, readable in print, in grey and by the colour-blind.

Each `draw_*` returns a Figure that belongs to no window and no global state. Abnormal is vermilion, normal and the
model's own curve blue (Okabe & Ito 2008), as light as their intervals are uncertain; numbers stand beside what they
describe.
"""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.atomic import write_whole
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.statistics.intervals import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cxreader.reporting.evaluation.image_evidence import ImageEvidence

Picture = bytes | NDArray[np.uint8]
BLUE, VERMILION, INK, MUTED, FAINT = "#0072B2", "#D55E00", "#1b1f24", "#5b6570", "#d9dee3"
_DPI = 200
_BAND = "95 % band, pointwise"
_CHANCE: dict[str, Any] = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (1, 2.5)), "zorder": 1}


def evaluation_figures(evaluation: Evaluation, image_evidence: ImageEvidence | None = None) -> dict[str, Figure]:
    """All figures of an evaluation by name: roc, precision_recall, confusion, probabilities, and those of its evidence.

    `image_evidence` adds `shortcuts`, `localisation` and `sanity` where the images were looked at.
    """
    from cxreader.reporting.evaluation.evidence_figures import evidence_figures, image_evidence_figures

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
    figure, axes = _square("False positive rate (1 - specificity)", "Sensitivity")
    _headline(axes, "AUC", metrics["auc"])
    axes.plot([0, 1], [0, 1], **_CHANCE, label="chance")
    if len(roc.threshold):
        axes.fill_between(roc.grid, roc.low, roc.high, color=BLUE, alpha=0.18, linewidth=0, zorder=2, label=_BAND)
        axes.plot(roc.false_positive_rate, roc.true_positive_rate, color=BLUE, linewidth=1.8, zorder=3)
        x, y = 1 - metrics["specificity"].value, metrics["recall"].value
        _point(axes, x, y, evaluation, f"sensitivity {y:.2f}, specificity {1 - x:.2f}")
    _legend(axes)
    return figure


def draw_precision_recall(evaluation: Evaluation) -> Figure:
    """Precision-recall steps with their pointwise 95 % band, the average precision, and what chance would reach."""
    curve, metrics = evaluation.precision_recall, evaluation.metrics
    figure, axes = _square("Recall (sensitivity)", "Precision (positive predictive value)")
    _headline(axes, "Average precision", metrics["average_precision"])
    if len(curve.threshold):
        axes.axhline(curve.prevalence, **_CHANCE, label=f"chance: prevalence {curve.prevalence:.2f}")
        axes.fill_between(curve.grid, curve.low, curve.high, color=BLUE, alpha=0.18, linewidth=0, zorder=2, label=_BAND)
        axes.step(curve.recall, curve.precision, where="pre", color=BLUE, linewidth=1.8, zorder=3)
        x, y = metrics["recall"].value, metrics["precision"].value
        if not np.isnan(y):
            _point(axes, x, y, evaluation, f"recall {x:.2f}, precision {y:.2f}")
        _legend(axes)
    return figure


def draw_confusion(evaluation: Evaluation) -> Figure:
    """Two by two counts at the operating point, each with its share of the row; sensitivity and specificity beside."""
    figure, axes = _figure((5.6, 3.5))
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
        axes.text(2.08, row + 0.49, _value(estimate), va="center", fontsize=13, color=INK)
        axes.text(2.08, row + 0.68, _short_interval(estimate), va="center", fontsize=9, color=MUTED)
    for column, called in enumerate(("abnormal", "normal")):
        axes.text(column + 0.485, -0.1, f"called {called}", ha="center", va="center", fontsize=9.5, color=INK)
    point = evaluation.operating_point
    note = f"{point.name}: called abnormal when probability ≥ {point.threshold:.3f}; shares are of each row"
    axes.text(0, 2.13, note, va="center", fontsize=8, color=MUTED)
    return figure


def _cell(axes: Axes, row: int, column: int, name: str, count: int, total: int) -> None:
    """One of the four outcomes, the darker the larger its share of the row; blue is right, vermilion wrong."""
    from matplotlib.patches import Rectangle

    word = {"tp": "found", "fn": "missed", "fp": "false alarm", "tn": "left alone"}[name]
    share = count / total if total else 0.0
    colour = BLUE if name in ("tp", "tn") else VERMILION
    axes.add_patch(Rectangle((column, row), 0.97, 0.97, facecolor=colour, alpha=0.08 + 0.5 * share, linewidth=0))
    centre, text = column + 0.485, f"{word}, {100 * share:.0f} %" if total else word
    axes.text(centre, row + 0.40, f"{count:,}", ha="center", va="center", fontsize=19, color=INK)
    axes.text(centre, row + 0.72, text, ha="center", va="center", fontsize=9, color=INK)


def draw_probabilities(evaluation: Evaluation) -> Figure:
    """Calibrated probabilities by class, the abnormal above the line and the normal below, with the threshold."""
    from matplotlib.ticker import MaxNLocator

    histogram, counts = evaluation.histogram, evaluation.counts
    figure, axes = _figure((5.6, 3.5))
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
    axes.axvline(threshold, color=INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=4)
    room = threshold < 0.55  # to the right of the line, else to its left
    note = f"{threshold:.2f}: called abnormal from here on →" if room else f"called abnormal from {threshold:.2f} on →"
    axes.text(threshold, top * 1.03, note, ha="left" if room else "right", va="bottom", fontsize=8, color=INK)
    _clean(axes)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write `path`.png (200 dpi) and `path`.svg and answer both paths; raises StorageError."""
    base = Path(path)
    png, svg = base.with_name(f"{base.name}.png"), base.with_name(f"{base.name}.svg")
    return write_whole(png, _render(figure, "png")), write_whole(svg, _render(figure, "svg"))


def to_data_uri(picture: Figure | Picture) -> str:
    """A picture for the `src` of an image: a Figure (as SVG), PNG bytes, or pixels uint8 (H, W), (H, W, 3 or 4)."""
    if isinstance(picture, bytes):
        data, kind = picture, "png"
    elif isinstance(picture, np.ndarray):
        data, kind = _png(picture), "png"
    else:
        data, kind = _render(picture, "svg"), "svg+xml"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _render(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """The figure's bytes; the same figure gives the same bytes (no date, no random names in the SVG)."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with rc_context({"svg.hashsalt": "cxreader"}):
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()


def _figure(size: tuple[float, float]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    return figure, figure.add_subplot()


def _square(x: str, y: str, below: float = 1.18) -> tuple[Figure, Axes]:
    """Unit axes of equal scale, room above for the number and `below` for the legend, so that nothing covers a curve."""
    from matplotlib.figure import Figure

    width, height, side = 4.6, 4.52 + below, 3.85  # inches
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0.62 / width, below / height, side / width, side / height))
    # Slightly open, so that a curve along an edge stays visible.
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), xlabel=x, ylabel=y)
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.grid(color=FAINT, linewidth=0.6, zorder=0)
    _clean(axes)
    return figure, axes


def _clean(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=9, color=MUTED)
    axes.xaxis.label.set(color=INK, fontsize=10)
    axes.yaxis.label.set(color=INK, fontsize=10)


def _headline(axes: Axes, name: str, estimate: Estimate) -> None:
    """The number with its interval above the axes, and what it rests on."""
    patients = "patients unknown" if estimate.n_patients is None else f"{estimate.n_patients:,} patients"
    counts = f"{estimate.n_positive:,} abnormal, {estimate.n_negative:,} normal, {patients}"
    unsure = np.isnan(estimate.low)
    interval = "" if np.isnan(estimate.value) else " (no interval)" if unsure else f" ({estimate.interval})"
    inside, prefix = (
        axes.transAxes,
        f"{estimate.reason}; " if np.isnan(estimate.value) else "" if unsure else "95 % interval; ",
    )
    axes.text(0, 1.085, f"{name} {_value(estimate)}{interval}", transform=inside, fontsize=12.5, color=INK)
    axes.text(0, 1.03, prefix + counts, transform=inside, fontsize=8.5, color=MUTED)


def _point(axes: Axes, x: float, y: float, evaluation: Evaluation, rates: str) -> None:
    """The operating point as a ring, told in the legend."""
    point = evaluation.operating_point
    text = f"{point.name}, probability ≥ {point.threshold:.2f}:\n{rates}"
    ring: dict[str, Any] = {"color": "white", "markeredgecolor": INK, "markersize": 7, "markeredgewidth": 1.5}
    axes.plot([x], [y], "o", **ring, linestyle="none", zorder=5, label=text)


def _legend(axes: Axes) -> None:
    """Below the axes, in two columns where the operating point's name leaves room for them."""
    labels = axes.get_legend_handles_labels()[1]
    columns = 2 if max(len(line) for label in labels for line in label.split("\n")) < 36 else 1
    below: dict[str, Any] = {
        "loc": "upper left",
        "bbox_to_anchor": (-0.03, -0.125),
        "borderaxespad": 0,
        "ncols": columns,
    }
    axes.legend(fontsize=8.5, labelcolor=INK, frameon=False, columnspacing=1.2, handlelength=1.8, **below)


def _value(estimate: Estimate) -> str:
    return "undefined" if np.isnan(estimate.value) else f"{estimate.value:.3f}"


def _short_interval(estimate: Estimate) -> str:
    if np.isnan(estimate.value):
        return estimate.reason or ""
    return "no interval" if np.isnan(estimate.low) else f"95 % interval {estimate.interval}"

"""The figure of a reader study: each reader a point beside the model's ROC curve, against the same truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.reporting.style import BLUE, CHANCE, INK, VERMILION, headline, legend_below, unit_square

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cxreader.evaluation.readers.performance import ReaderResult
    from cxreader.evaluation.readers.study import ReaderStudy

_MARKS = ("o", "s", "^", "D", "v", "P", "X")


def draw_readers(study: ReaderStudy) -> Figure:
    """False positive rate and sensitivity of every reader with both intervals, over the model's curve where there is one.

    Members of the panel are hollow: the others judge them, on the images on which these agree.
    """
    shown = [reader for reader in study.readers if not np.isnan([r.value for r in reader.rates.values()]).any()]
    figure, axes = unit_square(
        "False positive rate (1 - specificity)", "Sensitivity", below=1.0 + 0.2 * (len(shown) + 3)
    )
    if study.model_auc is not None:
        headline(axes, "AUC of the model", study.model_auc)
    axes.plot([0, 1], [0, 1], **CHANCE, label="chance")
    if study.roc is not None and len(study.roc.threshold):
        axes.plot(
            study.roc.false_positive_rate,
            study.roc.true_positive_rate,
            color=BLUE,
            linewidth=1.8,
            zorder=3,
            label="the model",
        )
    axes.plot([], [], linestyle="none", label="reader: sensitivity, specificity")
    for place, reader in enumerate(shown):
        _point(axes, reader, _MARKS[place % len(_MARKS)], INK)
    if study.label is not None and not np.isnan([r.value for r in study.label.rates.values()]).any():
        _point(axes, study.label, "*", VERMILION)
    if study.model is not None and study.threshold is not None:
        x, y = 1 - study.model.rates["specificity"].value, study.model.rates["sensitivity"].value
        axes.plot([x], [y], "o", color=BLUE, markersize=8, zorder=5, label=f"the model from {study.threshold:.3f} on")
    legend_below(axes)
    return figure


def _point(axes: Axes, reader: ReaderResult, mark: str, colour: str) -> None:
    found, spared = reader.rates["sensitivity"], reader.rates["specificity"]
    x, y = 1 - spared.value, found.value
    if not np.isnan(found.low):
        axes.plot([x, x], [found.low, found.high], color=colour, linewidth=0.8, alpha=0.6, zorder=2)
    if not np.isnan(spared.low):
        axes.plot([1 - spared.high, 1 - spared.low], [y, y], color=colour, linewidth=0.8, alpha=0.6, zorder=2)
    name = f"{reader.reader} (in the panel)" if reader.in_panel else reader.reader
    name = name.replace("$", r"\$")  # no formula
    face = "white" if reader.in_panel else colour
    style: dict[str, Any] = {
        "color": colour,
        "markerfacecolor": face,
        "markersize": 7,
        "linestyle": "none",
        "zorder": 6,
    }
    axes.plot([x], [y], marker=mark, label=f"{name}: {y:.3f}, {spared.value:.3f}", **style)

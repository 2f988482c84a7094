"""The page of an audit for shortcuts: the verdict with its reasons, the model beside what sees no disease, the leak."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from cxreader.evaluation.shortcuts.records import ShortcutAudit
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.evaluation.tables.comparison_tables import confounders_table
from cxreader.reporting.pages import environment
from cxreader.reporting.style import (
    BLUE,
    CHANCE,
    DASHED,
    INK,
    VERMILION,
    clean,
    interval_line,
    single_axes,
    to_data_uri,
)
from cxreader.reporting.tables import format_estimate, format_value, methods_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHOD = (
    "Learnt here: fitted on the judged images themselves, on other patients than those they answer for (five folds by patient; "
    "patient identity looks at the same patient's other images, by design); by these the verdict goes. Learnt elsewhere: fitted "
    "on the model's training images. Differences are paired: both numbers come from the same resamples of patients."
)


def render_shortcuts(audit: ShortcutAudit, *, figure: Figure | None = None) -> str:
    """The audit as one HTML file; `figure` as `draw_confounders` gives it, which is drawn when left out."""
    methods = methods_of(r.auc for r in audit.baselines)
    page = environment().get_template("shortcuts.html.jinja")
    return page.render(
        title="Audit for shortcuts",
        verdict=audit.line,
        audit=audit,
        provenance=audit.provenance,
        model=format_estimate(audit.model, 3),
        confounders=confounders_table(audit, f"{METHOD} 95 % intervals: {methods}."),
        picture=to_data_uri(draw_confounders(audit) if figure is None else figure),
    )


def draw_confounders(audit: ShortcutAudit) -> Figure:
    """AUC with its interval of the model, of each baseline, and of the model on parts of the image; the limit as a line."""
    rows: list[tuple[str, Estimate, str]] = [("the model", audit.model, BLUE)]
    rows += [
        (r.title, r.auc, VERMILION if r.auc.low > audit.limits.shortcut_auc and r.shortcut else INK)
        for r in audit.beside
        if not isnan(r.auc.value)
    ]
    figure, axes = single_axes(7.2, 0.9 + 0.36 * len(rows))
    for at, (_, estimate, colour) in enumerate(rows):
        if not isnan(estimate.value):
            interval_line(axes, estimate, at, colour, markersize=6)
        axes.text(1.03, at, format_value(estimate), va="center", fontsize=9, color=INK)
    axes.axvline(0.5, **CHANCE)
    axes.axvline(audit.limits.shortcut_auc, color=VERMILION, linewidth=0.9, linestyle=DASHED, zorder=1)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    ends = [e.low for _, e, _ in rows if not isnan(e.low)]
    axes.set(xlim=(max(0.0, min([0.4, *ends]) - 0.02), 1.01), ylim=(len(rows) - 0.4, -0.6))
    axes.set_xlabel(f"AUC, 95 % interval (dotted: chance; dashed: {audit.limits.shortcut_auc:.2f})")
    clean(axes, grid="x")
    return figure

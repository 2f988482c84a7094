"""The page of an audit for shortcuts: the verdict with its reasons, the model beside what sees no disease, the leak."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING

from cxreader.evaluation.shortcuts.records import BaselineComparison, ShortcutAudit
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.evaluation.figures import BLUE, FAINT, INK, MUTED, VERMILION, _clean, _figure, to_data_uri
from cxreader.reporting.evaluation.page import _environment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHOD = (
    "Baselines are fitted on the judged images themselves, on other patients than those they answer for (five folds by patient; "
    "patient identity looks at the same patient's other images, by design). Differences are paired: both numbers come from the "
    "same resamples of patients."
)


def render_shortcuts(audit: ShortcutAudit, *, figure: Figure | None = None) -> str:
    """The audit as one HTML file; `figure` as `draw_confounders` gives it, which is drawn when left out."""
    page = _environment().get_template("shortcuts.html.jinja")
    return page.render(
        title="Audit for shortcuts",
        verdict=audit.line,
        audit=audit,
        provenance=audit.provenance,
        model=f"{number(audit.model)} ({audit.model.interval})",
        rows=[confounder_cells(confounder, audit) for confounder in (*audit.baselines, *audit.views)],
        methods="; or ".join(dict.fromkeys(r.auc.method for r in audit.baselines if not isnan(r.auc.value))),
        method=METHOD,
        picture=to_data_uri(draw_confounders(audit) if figure is None else figure),
    )


def draw_confounders(audit: ShortcutAudit) -> Figure:
    """AUC with its interval of the model, of each baseline, and of the model on parts of the image; the limit as a line."""
    rows: list[tuple[str, Estimate, str]] = [("the model", audit.model, BLUE)]
    rows += [
        (r.name, r.auc, VERMILION if r.auc.low > audit.limits.shortcut_auc and r.shortcut else INK)
        for r in (*audit.baselines, *audit.views)
        if not isnan(r.auc.value)
    ]
    figure, axes = _figure((7.2, 0.9 + 0.36 * len(rows)))
    for at, (_, estimate, colour) in enumerate(rows):
        if isnan(estimate.value):
            continue
        if not isnan(estimate.low):
            axes.plot(
                [estimate.low, estimate.high], [at, at], color=colour, linewidth=2.2, solid_capstyle="butt", zorder=3
            )
        axes.plot([estimate.value], [at], "o", color=colour, markersize=6, zorder=4)
        axes.text(1.03, at, number(estimate), va="center", fontsize=9, color=INK)
    axes.axvline(0.5, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2.5)), zorder=1)
    axes.axvline(audit.limits.shortcut_auc, color=VERMILION, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    ends = [e.low for _, e, _ in rows if not isnan(e.low)]
    axes.set(xlim=(max(0.0, min([0.4, *ends]) - 0.02), 1.01), ylim=(len(rows) - 0.4, -0.6))
    axes.set_xlabel(f"AUC, 95 % interval (dotted: chance; dashed: {audit.limits.shortcut_auc:.2f})")
    axes.grid(axis="x", color=FAINT, linewidth=0.6, zorder=0)
    _clean(axes)
    return figure


def confounder_cells(confounder: BaselineComparison, audit: ShortcutAudit) -> Mapping[str, str]:
    """One row of the table, in words: name, what it sees, AUC and gain with their intervals, and what they mean."""
    tested = not isnan(confounder.auc.value)
    says = confounder.says(audit.limits)
    return {
        "name": confounder.name,
        "what": confounder.what,
        "auc": number(confounder.auc) if tested else "-",
        "interval": confounder.auc.interval if tested else "",
        "gain": number(confounder.gain) if tested else "-",
        "gain_interval": confounder.gain.interval if tested else "",
        "says": f"{says} (the best baseline)" if confounder.name == audit.best else says,
    }


def number(estimate: Estimate) -> str:
    """Three digits, or `undefined`."""
    return "undefined" if isnan(estimate.value) else f"{estimate.value:.3f}"

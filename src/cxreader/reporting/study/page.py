"""The page of a study: one self-contained file, the verdict first, then every number with its interval and counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cxreader.evaluation.shortcuts.thumbnail import ONLY_THIS
from cxreader.reporting.pages import environment
from cxreader.reporting.study.figures import counts_of, study_figures
from cxreader.reporting.study.markdown import SHARED
from cxreader.reporting.study.records import StudyPanel, StudyReport
from cxreader.reporting.study.study_tables import page_tables
from cxreader.reporting.style import to_data_uri
from cxreader.reporting.tables import format_interval, format_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render_study(report: StudyReport, *, figures: Mapping[str, Figure] | None = None) -> str:
    """The study as one HTML file that loads nothing, prints on A4 and knows a dark screen.

    `figures` by the names of `study_figures`, which draws them when left out.
    """
    comparison = report.comparison
    drawn = study_figures(report) if figures is None else figures
    alike = comparison.all_agree
    page = environment().get_template("study.html.jinja")
    return page.render(
        title=report.title,
        verdict=report.headline,
        detail=report.detail,
        by_accuracy=comparison.statement("accuracy"),
        report=report,
        shared=SHARED,
        facts={
            **report.provenance,
            "resamples": comparison.n_resamples,
            "seed of the resamples": comparison.seed,
        },
        provenance=report.provenance,
        counts=counts_of(comparison),
        tables=page_tables(report),
        only_this=ONLY_THIS,
        all_agree=f"{format_value(alike)} ({format_interval(alike)})",
        groups={name: list(map(_panel, panels)) for name, panels in report.panels.items()},
        examples=[{"uri": to_data_uri(e.image), "caption": e.caption} for e in report.cohort.examples],
        figures={name: to_data_uri(figure) for name, figure in drawn.items() if not name.startswith("grad_cam")},
    )


def _panel(panel: StudyPanel) -> dict[str, Any]:
    looks = [
        {"look": look, "overlay": to_data_uri(look.overlay), "right": look.decision == panel.truth}
        for look in panel.looks
    ]
    return {
        "panel": panel,
        "image": to_data_uri(panel.image),
        "looks": looks,
        "right": sum(bool(each["right"]) for each in looks),
    }

"""The table of a study as Markdown, for a document that shows a run and the command that made it."""

from __future__ import annotations

from collections.abc import Iterable

from cxreader.reporting.study.network_tables import networks_table
from cxreader.reporting.study.published import STUDY_DATA, STUDY_TITLE
from cxreader.reporting.study.records import StudyReport
from cxreader.reporting.tables import Cell

SHARED = (
    "the same for all networks, so that they compare; an artifact reads, and is judged by cxreader evaluate, at its own primary "
    "operating point"
)
"""What is said of a study's threshold wherever it stands."""


def table_markdown(report: StudyReport) -> str:
    """Verdict, Table 1 with interval and spread in each cell, the published numbers, the warnings, and the command."""
    comparison, table = report.comparison, networks_table(report)
    published = any(row.published for row in report.rows)
    header = (table.head[0], "Weights", *table.head[1:], *["Published accuracy, AUC"] * published)
    weights = [*(row.weights for row in report.rows), *["logistic regression"] * (len(table.rows) - len(report.rows))]
    beside = f" Published: {STUDY_TITLE}, on other data ({STUDY_DATA}): not comparable number by number." * published
    lines = [
        f"**{report.headline}** {report.detail}",
        "",
        _line(header),
        _line("---" for _ in header),
        *(
            _line((row.name, begun, *map(_inline, row.cells), *theirs))
            for row, begun, theirs in zip(table.rows, weights, _published(report, len(weights)), strict=True)
        ),
        "",
        f"{table.caption} Called abnormal from a probability of {comparison.threshold:.2f} on, {SHARED}.{beside}",
        "",
        *(f"- {warning}" for warning in report.cautions),
        "",
        "```",
        report.command,
        "```",
        "",
        "; ".join(f"{name}: {value}" for name, value in report.provenance.items()),
        "",
    ]
    return "\n".join(lines)


def _published(report: StudyReport, lines: int) -> list[tuple[str, ...]]:
    """The last cell of each of so many lines; no such cell where nothing published stands in the table."""
    rows = [row.published for row in report.rows]
    if not any(rows):
        return [()] * lines
    told = [("no such row",) if row is None else (f"{row.words('accuracy')}, {row.words('auc')}",) for row in rows]
    return [*told, *[("",)] * (lines - len(told))]


def _inline(cell: Cell) -> str:
    """The value, its interval in brackets, and what stands below that."""
    interval, *further = cell.below or ("",)
    return " ".join(filter(None, (cell.value, f"({interval})" if interval else "", *further)))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"

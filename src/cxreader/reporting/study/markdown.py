"""The table of a study as Markdown, for a document that shows a run and the command that made it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cxreader.evaluation.comparison.records import RowResult
from cxreader.evaluation.shortcuts.thumbnail import ThumbnailComparison
from cxreader.evaluation.verdict import THUMBNAIL
from cxreader.reporting.study.figures import counts_of
from cxreader.reporting.study.published import STUDY_DATA, STUDY_TITLE
from cxreader.reporting.study.records import StudyReport, StudyRow
from cxreader.reporting.tables import format_estimate, format_spread

NOT_JUDGED = "not judged"
_METRICS = {"accuracy": "Test accuracy", "precision": "Precision", "recall": "Recall", "f1": "F1", "auc": "AUC"}


SHARED = (
    "the same for all networks, so that they compare; an artifact reads, and is judged by cxreader evaluate, at its own primary "
    "operating point"
)
"""What is said of a study's threshold wherever it stands."""


def table_markdown(report: StudyReport) -> str:
    """Verdict, Table 1 with interval and spread in each cell, the published numbers, the warnings, and the command."""
    comparison = report.comparison
    seeds = max(len(row.trainings) for row in report.rows)
    published = any(row.published for row in report.rows)
    header = (
        *("Model", "Weights", "Best tune accuracy", *_METRICS.values(), "AUC minus thumbnail"),
        *["Published accuracy, AUC"] * published,
    )
    beside = (
        f" Published: {STUDY_TITLE}, on other data ({STUDY_DATA}): not comparable number by number."
        if published
        else ""
    )
    lines = [
        f"**{comparison.headline()}** {comparison.detail()}",
        "",
        _line(header),
        _line("---" for _ in header),
        *(_line(_cells(row, result, report.thumbnail)[: len(header)]) for row, result in report.pairs),
        *_thumbnail(report.thumbnail, len(header)),
        "",
        f"On the test part: {counts_of(comparison)}; called abnormal from a probability of {comparison.threshold:.2f} on, "
        f"{SHARED}. Each cell: {_over(seeds)} (95 % interval {comparison.by_whom}){' [lowest-highest training]' * (seeds > 1)}. "
        f"Tune figures chose the weights, so they carry no interval.{beside}",
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


def _over(seeds: int) -> str:
    return "one training" if seeds == 1 else f"mean over {seeds} trainings"


def _cells(row: StudyRow, result: RowResult, thumbnail: ThumbnailComparison | None) -> tuple[str, ...]:
    tune = [training.tune_accuracy for training in row.trainings]
    published = "no such row"
    if row.published is not None:
        published = f"{row.published.words('accuracy')}, {row.published.words('auc')}"
    metrics = (_cell(result, metric) for metric in _METRICS)
    return (
        row.name,
        row.weights,
        f"{np.mean(tune):.3f} {format_spread(tune)}, {row.n_tune:,} images",
        *metrics,
        NOT_JUDGED if thumbnail is None else format_estimate(thumbnail.gains[row.name], 3, signed=True),
        published,
    )


def _thumbnail(found: ThumbnailComparison | None, columns: int) -> list[str]:
    """The baseline's own row, of so many columns."""
    if found is None:
        return []
    empty = [""] * (len(_METRICS) - 1)
    return [_line((THUMBNAIL, "logistic regression", "", *empty, format_estimate(found.auc, 3), "", "")[:columns])]


def _cell(result: RowResult, metric: str) -> str:
    estimate = result.metrics[metric]
    spread = "" if np.isnan(estimate.value) else f" {format_spread(result.by_seed[metric])}"
    return f"{format_estimate(estimate, 3)}{spread}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"

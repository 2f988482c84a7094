"""The table of a study as Markdown, for a document that shows a run and the command that made it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cxreader.evaluation.comparison.records import RowResult
from cxreader.reporting.study.figures import counts_of
from cxreader.reporting.study.published import STUDY_DATA, STUDY_TITLE
from cxreader.reporting.study.records import StudyReport, StudyRow
from cxreader.reporting.tables import format_estimate, format_spread

_METRICS = {"accuracy": "Test accuracy", "precision": "Precision", "recall": "Recall", "f1": "F1", "auc": "AUC"}


def table_markdown(report: StudyReport) -> str:
    """Verdict, Table 1 with interval and spread in each cell, the published numbers, the warnings, and the command."""
    comparison = report.comparison
    seeds = max(len(row.trainings) for row in report.rows)
    published = any(row.published for row in report.rows)
    header = ("Model", "Weights", "Best tune accuracy", *_METRICS.values(), *["Published accuracy, AUC"] * published)
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
        *(_line(_cells(row, result)[: len(header)]) for row, result in report.pairs),
        "",
        f"On the test part: {counts_of(comparison)}; called abnormal from a probability of {comparison.threshold:.2f} on. Each "
        f"cell: mean over {seeds} trainings (95 % interval {comparison.by_whom}) [lowest-highest training]. Tune figures chose "
        f"the weights, so they carry no interval.{beside}",
        "",
        *(f"- {warning}" for warning in report.warnings),
        "",
        "```",
        report.command,
        "```",
        "",
        "; ".join(f"{name}: {value}" for name, value in report.provenance.items()),
        "",
    ]
    return "\n".join(lines)


def _cells(row: StudyRow, result: RowResult) -> tuple[str, ...]:
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
        published,
    )


def _cell(result: RowResult, metric: str) -> str:
    estimate = result.metrics[metric]
    spread = "" if np.isnan(estimate.value) else f" {format_spread(result.by_seed[metric])}"
    return f"{format_estimate(estimate, 3)}{spread}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"

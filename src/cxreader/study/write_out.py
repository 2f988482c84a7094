"""What an evaluation leaves behind: its numbers, predictions, figures and page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.predictions import write_predictions
from cxreader.records import PredictionTable
from cxreader.reporting.figures import evaluation_figures, save_figure
from cxreader.reporting.html import render_evaluation
from cxreader.runs import write_json, write_text

PREDICTIONS = "predictions.csv"


def write_out(evaluation: Evaluation, table: PredictionTable, unread: Mapping[str, str], out: Path) -> None:
    """`evaluation.json`, `predictions.csv`, `report.html`, figures as PNG and SVG, and `unread.json` when there is any."""
    out.mkdir(parents=True, exist_ok=True)
    write_predictions(out / PREDICTIONS, table)
    figures = evaluation_figures(evaluation)
    for name, figure in figures.items():
        save_figure(figure, out / name)
    write_text(out / "report.html", render_evaluation(evaluation, figures=figures))
    if unread:
        write_json(out / "unread.json", dict(unread))
    evaluation.save(out / "evaluation.json")

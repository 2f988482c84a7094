"""What an evaluation leaves behind: its numbers, predictions, figures and page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.predictions import write_predictions
from cxreader.evaluation.shortcuts.records import ShortcutAudit
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.explanation.sanity_report import SanityReport
from cxreader.records import PredictionTable
from cxreader.reporting.evaluation.figures import evaluation_figures
from cxreader.reporting.evaluation.image_evidence import ImageEvidence
from cxreader.reporting.evaluation.model_card import render_model_card
from cxreader.reporting.evaluation.page import render_evaluation
from cxreader.reporting.evaluation.sections import tables_of
from cxreader.reporting.for_papers import write_figures, write_tables
from cxreader.reporting.methods import methods_of_evaluation
from cxreader.reporting.style import save_figure
from cxreader.runs import write_json, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREDICTIONS = "predictions.csv"


def write_evaluation(
    evaluation: Evaluation,
    table: PredictionTable,
    unread: Mapping[str, str],
    out: Path,
    *,
    shortcuts: ShortcutAudit | None = None,
    localisation: LocalisationReport | None = None,
    sanity: SanityReport | None = None,
    further: Mapping[str, Figure] | None = None,
    facts: Mapping[str, str] | None = None,
) -> None:
    """`evaluation.json`, `predictions.csv`, `report.html`, `model_card.md`, figures as PNG and SVG, and `unread.json` if any.

    What looked at the images has files of its own: `shortcuts.json`, `localisation.json`, `sanity.json`. `further`
    figures stand behind those of the evaluation, by their names. `facts` of the model as `model_facts.facts_of` gives
    them, None where only predictions were given. For a paper: `methods.md`, every table in `tables/` (CSV, LaTeX), every
    figure in `figures/` (PDF, SVG).
    """
    out.mkdir(parents=True, exist_ok=True)
    write_predictions(out / PREDICTIONS, table)
    image_evidence = ImageEvidence(shortcuts, localisation, sanity)
    figures = {**evaluation_figures(evaluation, image_evidence), **(further or {})}
    for name, figure in figures.items():
        save_figure(figure, out / name)
    write_figures(figures, out)
    write_tables(tables_of(evaluation, image_evidence), out)
    write_text(out / "methods.md", methods_of_evaluation(evaluation, facts))
    write_text(out / "report.html", render_evaluation(evaluation, figures=figures, image_evidence=image_evidence))
    write_text(out / "model_card.md", render_model_card(evaluation, facts=facts, image_evidence=image_evidence))
    for name, record in (("shortcuts", shortcuts), ("localisation", localisation), ("sanity", sanity)):
        if record is not None:
            write_json(out / f"{name}.json", record.to_dict())
    if unread:
        write_json(out / "unread.json", dict(unread))
    evaluation.save(out / "evaluation.json")

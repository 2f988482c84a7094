"""What an evaluation leaves behind: its numbers, predictions, figures and page."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from cxreader.atomic import writing_whole
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.predictions import NUMERIC, write_predictions
from cxreader.evaluation.shortcuts.records import ShortcutAudit
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.explanation.sanity_report import SanityReport
from cxreader.records import PredictionTable
from cxreader.reporting.evaluation.figures.evaluation_figures import evaluation_figures
from cxreader.reporting.evaluation.image_evidence import ImageEvidence
from cxreader.reporting.evaluation.model_card import render_model_card
from cxreader.reporting.evaluation.page import ReadingPanel, render_evaluation
from cxreader.reporting.evaluation.sections import tables_of
from cxreader.reporting.for_papers import write_figures, write_tables
from cxreader.reporting.methods import methods_of_evaluation
from cxreader.reporting.style import save_figure
from cxreader.runs import write_json, write_text
from cxreader.tables.workbook import refuse_workbook, write_workbook

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREDICTIONS = "predictions.csv"
_NUMBERS = frozenset(
    {"probability", "probability_low", "probability_high", "threshold", "agreement", "ood_score", *NUMERIC}
)


def write_evaluation(
    evaluation: Evaluation,
    table: PredictionTable,
    unread: Mapping[str, str],
    out: Path,
    *,
    shortcuts: ShortcutAudit | None = None,
    localisation: LocalisationReport | None = None,
    sanity: SanityReport | None = None,
    regions: tuple[LocalisationReport, ...] = (),
    further: Mapping[str, Figure] | None = None,
    facts: Mapping[str, str] | None = None,
    examples: Sequence[ReadingPanel] = (),
) -> None:
    """`evaluation.json`, `predictions.csv`, `report.html`, `model_card.md`, figures as PNG and SVG, and `unread.json` if any.

    What looked at the images has files of its own: `shortcuts.json`, `localisation.json`, `sanity.json`, and one by its slug
    for each of `regions`. `further` figures, of
    photographs, stand behind those of the evaluation, by their names; the page holds them as JPEG, to stay small. `facts` of the
    model as `model_facts.facts_of` gives them, None where only predictions were given. `examples`: some of the images with
    their heat maps, for the page. For a paper: `methods.md`, every table in `tables/` (CSV, LaTeX), every figure in `figures/`
    (PDF, SVG).
    """
    out.mkdir(parents=True, exist_ok=True)
    write_predictions(out / PREDICTIONS, table)
    image_evidence = ImageEvidence(shortcuts, localisation, sanity, regions)
    figures = {**evaluation_figures(evaluation, image_evidence), **(further or {})}
    saved = {name: save_figure(figure, out / name) for name, figure in figures.items()}
    write_figures(figures, out, {name: svg for name, (_, svg) in saved.items()})
    write_tables(tables_of(evaluation, image_evidence), out)
    write_text(out / "methods.md", methods_of_evaluation(evaluation, facts))
    drawn = {name: _as_jpeg(png) if name in (further or {}) else svg for name, (png, svg) in saved.items()}
    page = render_evaluation(evaluation, figures=drawn, image_evidence=image_evidence, examples=examples)
    write_text(out / "report.html", page)
    write_text(out / "model_card.md", render_model_card(evaluation, facts=facts, image_evidence=image_evidence))
    looked = {"shortcuts": shortcuts, "localisation": localisation, "sanity": sanity}
    for name, record in {**looked, **{found.slug: found for found in regions}}.items():
        if record is not None:
            write_json(out / f"{name}.json", record.to_dict())
    if unread:
        write_json(out / "unread.json", dict(unread))
    evaluation.save(out / "evaluation.json")


def _as_jpeg(png: Path) -> bytes:
    data = io.BytesIO()
    with Image.open(png) as picture:
        picture.convert("RGB").save(data, "JPEG", quality=85, optimize=True)
    return data.getvalue()


def write_excel(out: Path) -> Path:
    """`predictions.xlsx` of the `predictions.csv` in `out`, cell by cell: numbers as numbers, all else as text.

    Raises MissingDependencyError without openpyxl, UsageError for more rows than a sheet has, StorageError.
    """
    path = (out / PREDICTIONS).with_suffix(".xlsx")
    with (out / PREDICTIONS).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    refuse_workbook(path, len(rows))
    kinds = [float if name in _NUMBERS else str for name in header]
    cells = ([kind(text) if text else None for kind, text in zip(kinds, row, strict=True)] for row in rows)
    with writing_whole(path) as made:
        write_workbook(header, cells, made)
    return path

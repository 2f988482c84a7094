"""`cxreader audit readers`, and what `cxreader evaluate --readers` prints; the report has all of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.output.console import DISCLAIMER, say, show, table, waiting
from cxreader.cli.output.evidence_tables import figure_cell, missing
from cxreader.cli.output.out_paths import out_folder
from cxreader.cli.source_options import named_columns

if TYPE_CHECKING:
    from cxreader.evaluation.evidence import EvaluationOptions, Evidence
    from cxreader.evaluation.readers.arbitration import SecondReader
    from cxreader.evaluation.readers.study import ReaderStudy
    from cxreader.reporting.tables import Table

ReadingsFile = Annotated[
    str | None,
    typer.Option(
        "--readers", help="CSV image,reader,label of radiologists who read these images: the model beside them."
    ),
]
PanelReaders = Annotated[
    str | None,
    typer.Option(
        help="Readers a,b,c whose majority is the truth; each of them is judged by the others. The table's label if left out."
    ),
]
QualityOfLabels = Annotated[
    str | None,
    typer.Option(
        help="Sensitivity,specificity of the labels (and the abnormal,normal images they were measured on): corrects the AUC."
    ),
]


def readers(
    readings: Annotated[
        str, typer.Argument(help="A table image,reader,label (or score), and modality if there are several.")
    ],
    panel_readers: PanelReaders = None,
    labels: Annotated[
        str | None, typer.Option(help="A table image,label,patient: the truth, or with a panel one more rater.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="With --labels: label=nih_label names the table's column. Repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(callback=out_folder, help="Write readers.json, tables and the figure into this folder."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
) -> None:
    """How good readers are and how far they agree, without a model: by a panel, by labels, or by nobody's truth."""
    from cxreader.assessment.readers import judge_readings, write_readers

    with waiting("intervals"):
        study = judge_readings(
            readings, panel=panel_names(panel_readers), labels=labels, columns=named_columns(column), seed=seed
        )
    if out is not None:
        write_readers(study, out, seed=seed)
    show_readers(study, whole=True)


def panel_names(text: str | None) -> tuple[str, ...]:
    """The names of `--panel-readers`; raises UsageError where one is empty or stands twice."""
    from cxreader.errors import UsageError

    names = tuple(name.strip() for name in text.split(",")) if text is not None else ()
    if "" in names or len(set(names)) < len(names):
        raise UsageError(f"{text!r} names no panel", where="--panel-readers", mend="write each reader once, as a,b,c")
    return names


def with_readers(
    options: EvaluationOptions, readers: str | None, panel: str | None, label_quality: str | None
) -> EvaluationOptions:
    """The options with readings and their panel, and with the labels' quality. Raises UsageError, TableError and DataError."""
    from dataclasses import replace

    from cxreader.errors import UsageError
    from cxreader.evaluation.readers.label_quality import LabelQuality
    from cxreader.evaluation.readers.readings import read_readings

    if panel is not None and readers is None:
        raise UsageError("a panel needs readings", where="--panel-readers", mend="give --readers FILE")
    quality = None if label_quality is None else LabelQuality.parse(label_quality)
    options = replace(options, label_quality=quality, panel=panel_names(panel))
    if readers is None:
        return options
    readings = read_readings(readers)
    readings.places(options.panel)
    for note in readings.notes:
        say(f"{Path(readers).name}: {note}")
    return replace(options, readings=replace(readings, notes=()))


def show_beside(evidence: Evidence) -> None:
    """What was asked of readers and of the labels' quality, in short."""
    from cxreader.reporting.evaluation.tables.adjusted_auc import corrected_table

    if evidence.readers is not None:
        show_readers(evidence.readers)
    if evidence.corrected is not None:
        _show_table("If the labels are as good as stated", corrected_table(evidence.corrected))


def show_readers(study: ReaderStudy, *, whole: bool = False) -> None:
    """Every reader against the truth, else his ratings, and, in the mean, what the model would change.

    `whole`: each table of the report too.
    """
    from cxreader.reporting.evaluation.readers import AGAINST_TRUTH, RATINGS, readers_tables, study_counts

    if study.readers:
        _show_each(study, study_counts(study))
    mean = study.second[-1] if study.second else None
    if mean is not None:
        _show_second(mean)
    tables = readers_tables(study)
    titles = [title for title in tables if title != AGAINST_TRUTH]
    for title in titles if whole else [title for title in titles if title == RATINGS and not study.readers]:
        _show_table(title, tables[title])
    if whole:
        show(DISCLAIMER)


def _show_each(study: ReaderStudy, counts: str) -> None:
    from cxreader.evaluation.readers.performance import RATES
    from cxreader.reporting.tables import methods_of

    each = [*study.readers, *(one for one in (study.label, study.model) if one is not None)]
    rows, shown = [], []
    for one in each:
        own = [*(one.rates[rate] for rate in RATES), one.kappa]
        beside = [] if one.model is None else [one.model.matched[rate] for rate in RATES]
        cells = [*map(figure_cell, own), *(figure_cell(estimate, signed=True) for estimate in beside)]
        images = one.rates["sensitivity"]
        name = f"{one.reader}{', panel' if one.in_panel else ''}"
        counts_of = f"{images.n_positive}/{images.n_negative}, {images.n_patients or 'unknown'}"
        rows.append((f"{name}\n{counts_of}", *cells, *[""] * (0 if study.model is None else 2 - len(beside))))
        shown += [*own, *beside]
    header: tuple[str, ...] = ("reader,\nabnormal/normal,\npatients", "sensitivity", "specificity", "kappa")
    moved = ""
    if study.model is not None:
        header += ("sensitivity,\nmodel minus him", "specificity,\nmodel minus him")
        moved = " The model minus him: its sensitivity at his specificity, and its specificity at his sensitivity."
    notes = "".join(f" {note[:1].upper()}{note[1:]}." for note in study.notes)
    note = f"Truth: {study.truth} ({counts}). Below: 95 % intervals, {methods_of(shown)}.{moved}{notes}{missing(shown)}"
    table("Readers", header, rows, note=note)


def _show_second(mean: SecondReader) -> None:
    from cxreader.evaluation.readers.performance import RATES
    from cxreader.reporting.evaluation.readers import SCHEME_TITLES, format_images, without_images

    rows, shown = [], []
    for scheme in mean.schemes:
        change = [figure_cell(scheme.change[rate], signed=True) if scheme.change else "" for rate in RATES]
        asked = "" if scheme.asked is None else figure_cell(scheme.asked)
        rates = [figure_cell(scheme.rates[rate]) for rate in RATES]
        counted = (format_images(number) for number in (scheme.missed, scheme.false_alarms))
        rows.append((SCHEME_TITLES[scheme.scheme], *counted, *rates, *change, asked))
        shown += [*scheme.rates.values(), *scheme.change.values(), *(() if scheme.asked is None else (scheme.asked,))]
    header = (
        "way of reading",
        "missed",
        "false\nalarms",
        "sensitivity",
        "specificity",
        "change",
        "change",
        "to the\narbiter",
    )
    out = f" {without_images(mean)}." if mean.without_images else ""
    note = f"Means over the readers; below: 95 % intervals. The report has each reader.{out}{missing(shown)}"
    table("The model as second reader", header, rows, note=note)


def _show_table(title: str, found: Table) -> None:
    rows = [
        ("\n".join((row.name, *row.notes)), *("\n".join((cell.value, *cell.below)) for cell in row.cells))
        for row in found.rows
    ]
    table(title, found.head, rows, note=found.caption)

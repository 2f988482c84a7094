"""`cxreader audit readers`, and what `cxreader evaluate --readers` prints; the report has all of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.output.console import DISCLAIMER, say, show, table, waiting
from cxreader.cli.output.evidence_tables import figure_cell, missing
from cxreader.cli.output.out_paths import out_folder
from cxreader.cli.source_options import named_columns
from cxreader.counting import format_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cxreader.evaluation.evaluate import Evaluation
    from cxreader.evaluation.evidence import EvaluationOptions, Evidence
    from cxreader.evaluation.readers.study import ReaderStudy
    from cxreader.reporting.tables import Table

ReadingsFile = Annotated[
    str | None,
    typer.Option(
        "--readers", help="CSV image,reader,label of radiologists who read these images: the model beside them."
    ),
]
PanelReaders = Annotated[
    list[str] | None,
    typer.Option(
        help="Readers a,b,c whose majority is the truth; each of them is judged by the others. Repeatable, for names that hold "
        "a comma. Left out, the label is the truth, or its makers are the panel where it is a majority of readers; none: the "
        "label, whoever made it."
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
        list[str] | None,
        typer.Option(
            help="With --labels: label=nih_label names the table's column; score=confidence one of the readings. Repeatable."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(callback=out_folder, help="Write readers.json, tables and the figure into this folder."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
) -> None:
    """How good readers are and how far they agree, without a model: by a panel, by labels, or by nobody's truth."""
    from cxreader.assessment.readers import judge_readings, write_readers
    from cxreader.evaluation.readers.readings import NAMED

    with waiting("intervals"):
        study = judge_readings(
            readings, panel=panel_readers, labels=labels, columns=named_columns(column, NAMED), seed=seed
        )
    if out is not None:
        write_readers(study, out, seed=seed)
    show_readers(study, whole=True)


def with_readers(
    options: EvaluationOptions,
    readers: str | None,
    panel: list[str] | None,
    label_quality: str | None,
    columns: Mapping[str, str],
) -> EvaluationOptions:
    """The options with readings, whose `columns` are named, and their panel, and with the labels' quality.

    Raises UsageError, TableError and DataError.
    """
    from dataclasses import replace

    from cxreader.errors import UsageError
    from cxreader.evaluation.readers.label_quality import LabelQuality
    from cxreader.evaluation.readers.panel import OPTION, panel_of
    from cxreader.evaluation.readers.readings import read_readings

    if panel is not None and readers is None:
        raise UsageError("a panel needs readings", where=OPTION, mend="give --readers FILE")
    if columns and readers is None:
        what = f"{next(iter(columns))} names a column of readings, which are not given"
        raise UsageError(what, where="--column", mend="give --readers FILE, or leave it out")
    quality = None if label_quality is None else LabelQuality.parse(label_quality)
    options = replace(options, label_quality=quality)
    if readers is None:
        return options
    readings = read_readings(readers, columns)
    for note in readings.notes:
        say(f"{Path(readers).name}: {note}")
    return replace(options, readings=replace(readings, notes=()), panel=panel_of(panel, readings.reader))


def show_beside(evaluation: Evaluation, evidence: Evidence) -> None:
    """What was asked of readers and of the labels' quality, in short."""
    from cxreader.reporting.evaluation.readers import truths_apart
    from cxreader.reporting.evaluation.tables.adjusted_auc import corrected_table

    if evidence.readers is not None:
        show_readers(evidence.readers, truths_apart(evaluation))
    if evidence.corrected is not None:
        _show_table("If the labels are as good as stated", corrected_table(evidence.corrected))


def show_readers(study: ReaderStudy, apart: str = "", *, whole: bool = False) -> None:
    """Every reader against the truth, his ratings, what the model would change in the mean, and readers against the model.

    `apart`: by which truths an evaluation and this judge. `whole`: each table of the report too.
    """
    from cxreader.reporting.evaluation.readers import AGAINST_TRUTH, OTHERS, RATINGS, readers_tables

    if study.readers:
        _show_each(study, apart)
    if study.second:
        _show_second(study)
    for title, found in readers_tables(study, apart).items():
        if title != AGAINST_TRUTH and (whole or title in (OTHERS, RATINGS)):
            _show_table(title, found)
    if whole:
        show(DISCLAIMER)


def _show_each(study: ReaderStudy, apart: str) -> None:
    from cxreader.evaluation.readers.performance import RATES
    from cxreader.reporting.evaluation.readers import MODEL_MINUS_HIM, left_out_words, study_counts, undecided_words
    from cxreader.reporting.tables import methods_of

    each = [*study.readers, *(one for one in (study.label, study.model) if one is not None)]
    rows, shown = [], []
    for one in each:
        own = [*(one.rates[rate] for rate in RATES), one.kappa]
        beside = [] if one.model is None else [one.model.matched[rate] for rate in RATES]
        cells = [*map(figure_cell, own), *(figure_cell(estimate, signed=True) for estimate in beside)]
        images = one.rates["sensitivity"]
        name = f"{one.reader}{', panel' if one.in_panel else ''}"
        name += f"\n{images.n_positive}/{images.n_negative}, {images.n_patients or 'unknown'}"
        name += f",\n{left_out_words(one)}" if one.left_out else ""
        rows.append((name, *cells, *[""] * (0 if study.model is None else 2 - len(beside))))
        shown += [*own, *beside]
    header: tuple[str, ...] = ("reader,\nabnormal/normal,\npatients", "sensitivity", "specificity", "kappa")
    moved = ""
    if study.model is not None:
        header += ("sensitivity,\nmodel minus him", "specificity,\nmodel minus him")
        moved = (
            f"{MODEL_MINUS_HIM} Its sensitivity is taken at his specificity, and its specificity at his sensitivity."
        )
    lines = (
        f"Truth: {study.truth} ({study_counts(study)}).",
        apart,
        f"Below: 95 % intervals, {methods_of(shown)}.{missing(shown)}",
        moved,
        undecided_words(study),
        *(f"{note[:1].upper()}{note[1:]}." for note in study.notes),
    )
    table("Readers", header, rows, note="\n".join(filter(None, lines)))


def _show_second(study: ReaderStudy) -> None:
    from cxreader.evaluation.readers.performance import RATES
    from cxreader.reporting.evaluation.second_reader import (
        CHANGES,
        SCHEME_TITLES,
        arbiter_words,
        format_images,
        without_images,
    )

    mean = study.second[-1]
    most = max(scheme.n_readers for scheme in mean.schemes)
    rows, shown = [], []
    for scheme in mean.schemes:
        change = [figure_cell(scheme.change[rate], signed=True) if scheme.change else "" for rate in RATES]
        asked = "" if scheme.asked is None else figure_cell(scheme.asked)
        rates = [figure_cell(scheme.rates[rate]) for rate in RATES]
        counted = (format_images(number) for number in (scheme.missed, scheme.false_alarms))
        fewer = scheme.n_readers < most
        of = f"\nof {format_count(scheme.n_readers, '[reader|readers]')}" if fewer else ""
        rows.append((f"{SCHEME_TITLES[scheme.scheme]}{of}", *counted, *rates, *change, asked))
        shown += [*scheme.rates.values(), *scheme.change.values(), *(() if scheme.asked is None else (scheme.asked,))]
    changes = ("change of\nsensitivity", "change of\nspecificity")
    header = ("way of reading", "missed", "false\nalarms", "sensitivity", "specificity", *changes, "to the\narbiter")
    out = f" {without_images(mean)}." if mean.without_images else ""
    who = f"Of {mean.reader}" if mean.reader else f"Means over {format_count(most, '[reader|readers]')}"
    lines = (
        f"{who}; below: 95 % intervals. The report has each reader.{out}{missing(shown)}",
        CHANGES,
        arbiter_words(study),
    )
    table("The model as second reader", header, rows, note="\n".join(filter(None, lines)))


def _show_table(title: str, found: Table) -> None:
    rows = [
        ("\n".join((row.name, *row.notes)), *("\n".join((cell.value, *cell.below)) for cell in row.cells))
        for row in found.rows
    ]
    table(title, found.head, rows, note=found.caption)

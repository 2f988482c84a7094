"""The tables of a study for a paper: the numbers that the page shows, as records that go out as CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxreader.evaluation.comparison.records import Difference
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.pages import format_duration
from cxreader.reporting.study.figures import counts_of
from cxreader.reporting.study.records import StudyReport
from cxreader.reporting.tables import Cell, Row, Table, estimate_cell, format_spread, short_title, text_cell

_METRICS = ("auc", "accuracy", "recall", "specificity", "precision", "f1", "average_precision", "brier")


def paper_tables(report: StudyReport) -> dict[str, Table]:
    """By file name: networks, differences, agreement, prevalence, stopping, costs and cohort; those without a line left out."""
    found = {
        "networks": _networks(report),
        "differences": _differences(report),
        "agreement": _agreement(report),
        "prevalence": _prevalence(report),
        "stopping": _stopping(report),
        "costs": _costs(report),
        "cohort": _cohort(report),
    }
    return {name: table for name, table in found.items() if table.rows}


def _cell(estimate: Estimate, seeds: Sequence[float] = (), *, signed: bool = False) -> Cell:
    """A number with its interval and the lowest and highest of its trainings."""
    return estimate_cell(estimate, signed=signed, note=format_spread(seeds))


def _networks(report: StudyReport) -> Table:
    rows = []
    for row, result in report.pairs:
        tune = [training.tune_accuracy for training in row.trainings]
        chosen = Cell(f"{np.mean(tune):.3f}", (f"{row.n_tune:,} images", format_spread(tune)))
        cells = (text_cell(row.weights), chosen, *(_cell(result.metrics[m], result.by_seed[m]) for m in _METRICS))
        rows.append(Row(row.name, cells))
    comparison = report.comparison
    caption = (
        f"Test part: {counts_of(comparison)}. Mean over the trainings, 95 % interval {comparison.by_whom}, in brackets the "
        f"lowest and highest training. Called abnormal from a probability of {comparison.threshold:.2f} on. Best tune accuracy: "
        "of the images that chose the epoch, so without an interval."
    )
    return Table(("Network", "Weights", "Best tune accuracy", *map(short_title, _METRICS)), tuple(rows), caption)


def _differences(report: StudyReport) -> Table:
    comparison = report.comparison
    pairs = zip(comparison.of("auc"), comparison.of("accuracy"), strict=True)
    rows = tuple(
        Row(auc.first, (text_cell(auc.second), *_difference(auc), *_difference(accuracy))) for auc, accuracy in pairs
    )
    caption = (
        f"First minus second, paired on the same patients: {counts_of(comparison)}. Adjusted: at "
        f"{100 * comparison.adjusted_level:.2f} % for all pairs at once (Bonferroni); only such an interval may carry a claim."
    )
    head = ("First", "Second", *(f"{measure}{what}" for measure in ("AUC", "Accuracy") for what in ("", ", adjusted")))
    return Table(head, rows, caption)


def _difference(difference: Difference) -> tuple[Cell, Cell]:
    adjusted = _cell(difference.adjusted, signed=True).below
    own = _cell(difference.estimate, difference.by_seed, signed=True)
    return own, Cell(adjusted[0] if adjusted else "", ("holds",) if difference.better is not None else ())


def _agreement(report: StudyReport) -> Table:
    rows = tuple(
        Row(a.first, (text_cell(a.second), _cell(a.kappa), _cell(a.agreement), text_cell(str(a.n_paired))))
        for a in report.comparison.agreements
    )
    caption = f"Means over trainings paired in order, 95 % intervals {report.comparison.by_whom}; {counts_of(report.comparison)}."
    return Table(("First", "Second", "Cohen's kappa", "Share decided alike", "Trainings paired"), rows, caption)


def _prevalence(report: StudyReport) -> Table:
    comparison = report.comparison
    names = tuple(comparison.rows[0].at_prevalence)
    rows = tuple(Row(r.name, tuple(_cell(r.at_prevalence[name]) for name in names)) for r in comparison.rows)
    caption = (
        f"The same decisions reweighted to {100 * comparison.prevalence:.0f} % abnormal images; mean over the trainings, 95 % "
        f"interval {comparison.by_whom}."
    )
    return Table(("Network", *map(short_title, names)), rows, caption)


def _stopping(report: StudyReport) -> Table:
    rows = tuple(
        Row(
            row.name,
            (
                text_cell(str(t.seed)),
                text_cell(", ".join(f"{p.name} {p.best_epoch} of {len(p.epochs)}" for p in t.phases)),
                text_cell(f"{t.tune_accuracy:.3f}"),
            ),
        )
        for row in report.rows
        for t in row.trainings
    )
    return Table(("Network", "Seed", "Epoch kept", "Best tune accuracy"), rows, "Epochs are counted from 1.")


def _costs(report: StudyReport) -> Table:
    rows = tuple(
        Row(
            row.name,
            tuple(
                map(
                    text_cell,
                    (
                        " / ".join(format_duration(t.seconds) for t in row.trainings),
                        f"{row.cost.parameters:,}",
                        f"{row.cost.learning_parameters:,}",
                        "not measured" if row.cost.flops is None else f"{row.cost.flops / 1e9:.2f}",
                        "not measured" if row.cost.images_per_second is None else f"{row.cost.images_per_second:,.1f}",
                    ),
                )
            ),
        )
        for row in report.rows
    )
    head = ("Network", "Training time", "Parameters", "Of them learning", "GFLOPs an image", "Images a second")
    return Table(head, rows, "Measured once on one machine, so without intervals.")


def _cohort(report: StudyReport) -> Table:
    rows = tuple(
        Row(
            part.name,
            tuple(
                text_cell("not known" if n is None else f"{n:,}")
                for n in (part.images, part.patients, part.normal, part.abnormal)
            ),
        )
        for part in report.cohort.parts
    )
    return Table(("Part", "Images", "Patients", "Normal", "Abnormal"), rows, report.cohort.leak)

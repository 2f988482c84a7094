"""The tables of a study: one record each, which the page shows and a paper gets as CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cxreader.evaluation.comparison.records import Difference
from cxreader.reporting.pages import format_duration
from cxreader.reporting.study.figures import counts_of
from cxreader.reporting.study.network_tables import (
    TUNE,
    further_table,
    intervals_words,
    networks_table,
    paper_table,
    published_table,
    seeds_cell,
)
from cxreader.reporting.study.records import StudyReport, Value
from cxreader.reporting.tables import DASH, Cell, Row, Table, format_interval, short_title, text_cell


def paper_tables(report: StudyReport) -> dict[str, Table]:
    """By file name; those without a line are left out."""
    found = {"networks": paper_table(report), **_shared(report)}
    return {name: table for name, table in found.items() if table.rows}


def page_tables(report: StudyReport) -> dict[str, Table]:
    """By name: those of a paper, and in the place of its `networks` the study's own table and `further` figures."""
    return {"networks": networks_table(report), "further": further_table(report), **_shared(report)}


def _shared(report: StudyReport) -> dict[str, Table]:
    cohort = report.cohort
    return {
        "published": published_table(report),
        "differences": _differences(report),
        "agreement": _agreement(report),
        "search": _search(report),
        "prevalence": _prevalence(report),
        "stopping": _stopping(report),
        "costs": _costs(report),
        "cohort": _cohort(report),
        "findings": _shares(report, "Finding", cohort.findings, "; an image may show several"),
        "views": _shares(report, "View", cohort.views, ""),
    }


def _differences(report: StudyReport) -> Table:
    """Every pair, the one ahead in AUC first, the largest lead on top."""
    comparison = report.comparison
    pairs = zip(comparison.of("auc"), comparison.of("accuracy"), strict=True)
    ordered = sorted(pairs, key=lambda pair: -abs(np.nan_to_num(pair[0].estimate.value)))
    rows = []
    for auc, accuracy in ordered:
        first, second = (auc.turned, accuracy.turned) if auc.estimate.value < 0 else (auc, accuracy)
        rows.append(Row(first.first, (text_cell(first.second), *_difference(first), *_difference(second))))
    caption = (
        f"First minus second, paired on the same patients: {counts_of(comparison)}. In brackets the lowest and highest of "
        "trainings paired in order. The interval below a difference holds for that pair alone (95 %); adjusted ones for all "
        f"pairs at once ({100 * comparison.adjusted_level:.2f} %; Bonferroni, normal, with the bootstrap's standard error), and "
        "only these may carry a claim."
    )
    head = ("First", "Second", *(f"{measure}{what}" for measure in ("AUC", "Accuracy") for what in ("", ", adjusted")))
    return Table(head, tuple(rows), caption)


def _difference(difference: Difference) -> tuple[Cell, Cell]:
    own = seeds_cell(difference.estimate, difference.by_seed, signed=True)
    interval = format_interval(difference.adjusted, signed=True)
    return own, Cell(interval, ("holds",) if difference.better is not None else (), plain=True)


def _agreement(report: StudyReport) -> Table:
    rows = tuple(
        Row(a.first, (text_cell(a.second), seeds_cell(a.kappa), seeds_cell(a.agreement), text_cell(str(a.n_paired))))
        for a in report.comparison.agreements
    )
    caption = f"Means over trainings paired in order, 95 % intervals {report.comparison.by_whom}; {counts_of(report.comparison)}."
    return Table(("First", "Second", "Cohen's kappa", "Share decided alike", "Trainings paired"), rows, caption)


def _prevalence(report: StudyReport) -> Table:
    comparison = report.comparison
    names = tuple(comparison.rows[0].at_prevalence)
    rows = tuple(Row(r.name, tuple(seeds_cell(r.at_prevalence[name]) for name in names)) for r in comparison.rows)
    caption = (
        f"The same decisions reweighted to {100 * comparison.prevalence:.0f} % abnormal images; mean over the trainings, on "
        f"{counts_of(comparison)}. 95 % intervals: {intervals_words(report)}."
    )
    return Table(("Network", *map(short_title, names)), rows, caption)


def _stopping(report: StudyReport) -> Table:
    rows = tuple(
        Row(
            row.name,
            (
                text_cell(str(t.seed)),
                text_cell(", ".join(f"{p.name} {p.best_epoch} of {len(p.epochs)}" for p in t.phases)),
                text_cell(f"{t.tune_accuracy:.3f} ({row.n_tune:,} images)"),
            ),
        )
        for row in report.rows
        for t in row.trainings
    )
    caption = "Epoch kept, of epochs run, counted from 1; accuracy at that epoch, on the tune images told."
    return Table(("Network", "Seed", "Epoch kept", TUNE), rows, caption)


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
    on = "; ".join(dict.fromkeys(row.cost.note for row in report.rows if row.cost.note))
    caption = (
        f"Measured once on one machine{f' ({on})' if on else ''}, so without intervals; times of the trainings in the order of "
        "their seeds."
    )
    head = ("Network", "Training time", "Parameters", "Of them learning", "GFLOPs an image", "Images a second, reading")
    return Table(head, rows, caption)


def _search(report: StudyReport) -> Table:
    """The configurations of the search by rank; without one no line."""
    if report.grid is None:
        return Table(("Rank",), (), "")
    trials = sorted(report.grid.trials, key=lambda trial: trial.rank)
    names = list(dict.fromkeys(name for trial in trials for name in trial.parameters))
    rows = tuple(
        Row(
            str(trial.rank),
            tuple(
                map(
                    text_cell,
                    (
                        *(_setting(trial.parameters.get(name)) for name in names),
                        f"{trial.tune_accuracy:.4f}",
                        str(trial.epochs),
                        format_duration(trial.seconds),
                    ),
                )
            ),
        )
        for trial in trials
    )
    caption = (
        f"Accuracies on {report.grid.n_tune:,} tune images, at the best epoch of each; no intervals, since the same images chose "
        "the epoch and the rank."
    )
    return Table(("Rank", *names, "Tune accuracy", "Epochs", "Time"), rows, caption)


def _setting(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else DASH if value is None else f"{value}"


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


def _shares(report: StudyReport, what: str, counts: Mapping[str, Sequence[int]], more: str) -> Table:
    """Images of each name in each part, with their share of the part."""
    totals = [part.images for part in report.cohort.parts]
    rows = tuple(
        Row(
            name,
            tuple(
                text_cell(f"{n:,} ({100 * n / total:.1f} %)" if total else f"{n:,}")
                for n, total in zip(line, totals, strict=True)
            ),
        )
        for name, line in counts.items()
    )
    return Table(
        (what, *(part.name for part in report.cohort.parts)), rows, f"Images and their share of the part{more}."
    )

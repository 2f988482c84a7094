"""The page of a study: one self-contained file, the verdict first, then every number with its interval and counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.evaluation.comparison.records import Difference, RowResult
from cxreader.evaluation.shortcuts.records import SUSPECTED
from cxreader.evaluation.shortcuts.thumbnail import ONLY_THIS, ThumbnailComparison
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.evaluation.verdict import THUMBNAIL
from cxreader.reporting.pages import environment, format_duration
from cxreader.reporting.study.figures import counts_of, study_figures
from cxreader.reporting.study.markdown import NOT_JUDGED, SHARED
from cxreader.reporting.study.published import STUDY_DATA, STUDY_NOTE, STUDY_TITLE, PublishedRow
from cxreader.reporting.study.records import Cohort, Grid, StudyPanel, StudyReport, StudyRow, Value
from cxreader.reporting.style import to_data_uri
from cxreader.reporting.tables import (
    format_estimate,
    format_interval,
    format_spread,
    format_value,
    methods_of,
    short_title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TABLE = ("accuracy", "precision", "recall", "f1", "auc")
_TITLES = {"tune_accuracy": "Best tune accuracy"} | {m: short_title(m) for m in _TABLE}
_TITLES["accuracy"] = "Test accuracy"


TABLE_HEADER = ("network", "weights", "tune accuracy", "test accuracy", "AUC", "minus thumbnail")


def table_rows(report: StudyReport) -> list[tuple[str, ...]]:
    """Table 1 for a terminal: the best tune accuracy (which chose the weights, so without interval) and test figures.

    The last row is that of the thumbnail, where it was judged.
    """
    rows, thumbnail = [], report.thumbnail
    for row, result in report.pairs:
        tune = sum(training.tune_accuracy for training in row.trainings) / len(row.trainings)
        test = (format_estimate(result.metrics[metric], 3) for metric in ("accuracy", "auc"))
        name = row.name if result.learned else f"{row.name} (did not learn)"
        rows.append((name, row.weights, f"{tune:.3f}", *test, _gain_words(thumbnail, row.name)))
    if thumbnail is not None:
        rows.append((THUMBNAIL, "logistic regression", "", "", format_estimate(thumbnail.auc, 3), ""))
    return rows


def _gain_words(thumbnail: ThumbnailComparison | None, name: str) -> str:
    return NOT_JUDGED if thumbnail is None else format_estimate(thumbnail.gains[name], 3, signed=True)


def render_study(report: StudyReport, *, figures: Mapping[str, Figure] | None = None) -> str:
    """The study as one HTML file that loads nothing, prints on A4 and knows a dark screen.

    `figures` by the names of `study_figures`, which draws them when left out.
    """
    comparison = report.comparison
    drawn = study_figures(report) if figures is None else figures
    page = environment().get_template("study.html.jinja")
    return page.render(
        title=report.title,
        verdict=comparison.headline(),
        detail=comparison.detail(),
        by_accuracy=comparison.statement("accuracy"),
        report=report,
        shared=SHARED,
        seeds=max(len(row.trainings) for row in report.rows),
        facts={
            **report.provenance,
            "resamples": comparison.n_resamples,
            "seed of the resamples": comparison.seed,
        },
        provenance=report.provenance,
        counts=counts_of(comparison),
        methods=_methods(report),
        titles=_TITLES,
        has_published=any(row.published for row in report.rows),
        table=[_table_row(row, result, report.thumbnail) for row, result in report.pairs],
        thumbnail=_thumbnail(report.thumbnail),
        study={"title": STUDY_TITLE, "data": STUDY_DATA, "note": STUDY_NOTE},
        differences=_difference_rows(report),
        level=f"{100 * comparison.adjusted_level:.2f}",
        more=[_more_row(result) for result in comparison.rows],
        all_agree=_cell(comparison.all_agree),
        agreement=[
            {"pair": f"{a.first} and {a.second}", "kappa": _cell(a.kappa), "share": _cell(a.agreement), "n": a.n_paired}
            for a in comparison.agreements
        ],
        stops=[_stop_row(row) for row in report.rows],
        groups={name: [_panel(p, comparison.unlearned) for p in panels] for name, panels in report.panels.items()},
        rare=[_rare_row(result) for result in comparison.rows],
        grid=_grid(report.grid) if report.grid else None,
        costs=[_cost_row(row) for row in report.rows],
        cohort=_cohort(report.cohort),
        figures={name: to_data_uri(figure) for name, figure in drawn.items() if not name.startswith("grad_cam")},
    )


def _cell(estimate: Estimate, seeds: Sequence[float] = (), *, signed: bool = False) -> dict[str, str | bool]:
    """A number, its interval or why there is none, and the lowest and highest of its trainings."""
    bounded = not np.isnan(estimate.low)
    interval = format_interval(estimate, signed=signed) if bounded else estimate.reason or ""
    return {
        "value": format_value(estimate, signed=signed),
        "interval": interval,
        "bounded": bounded,
        "spread": format_spread(seeds),
    }


def _table_row(row: StudyRow, result: RowResult, thumbnail: ThumbnailComparison | None) -> dict[str, Any]:
    """One line of the study's table: ours with interval and spread, the study's own as printed."""
    tune = [t.tune_accuracy for t in row.trainings]
    own = {
        "value": f"{np.mean(tune):.3f}",
        "interval": f"{row.n_tune:,} images",
        "bounded": True,
        "spread": format_spread(tune),
    }
    cells = [own, *(_cell(result.metrics[m], result.by_seed[m]) for m in _TABLE)]
    suspected = thumbnail is not None and thumbnail.verdicts[row.name] == SUSPECTED
    if thumbnail is not None:
        cells.append(_cell(thumbnail.gains[row.name], signed=True))
    notes = [result.one_class, "a shortcut is suspected" if suspected else None]
    return {
        "row": row,
        "cells": cells,
        "published": _published(row.published),
        "notes": [note for note in notes if note],
    }


def _thumbnail(found: ThumbnailComparison | None) -> dict[str, Any] | None:
    """The baseline's own row, and what was tested of shortcuts."""
    if found is None:
        return None
    return {"name": THUMBNAIL, "auc": _cell(found.auc), "verdicts": found.verdicts, "only": ONLY_THIS}


def _published(row: PublishedRow | None) -> list[str] | None:
    return None if row is None else [row.words(name) for name in ("tune_accuracy", *_TABLE)]


def _methods(report: StudyReport) -> str:
    """The methods of the table's intervals, each once."""
    shown = (row.metrics[metric] for row in report.comparison.rows for metric in _TABLE)
    return methods_of(e for e in shown if not np.isnan(e.low))


def _difference_rows(report: StudyReport) -> list[dict[str, Any]]:
    """Every pair with its difference of AUC and of accuracy; the one ahead stands first, the largest lead on top."""
    pairs = zip(report.comparison.of("auc"), report.comparison.of("accuracy"), strict=True)
    ordered = sorted(pairs, key=lambda pair: -abs(np.nan_to_num(pair[0].estimate.value)))
    rows = []
    for auc, accuracy in ordered:
        turned = auc.estimate.value < 0
        names = (auc.second, auc.first) if turned else (auc.first, auc.second)
        rows.append({"first": names[0], "second": names[1], "cells": [_lead(d, turned) for d in (auc, accuracy)]})
    return rows


def _lead(difference: Difference, turned: bool) -> dict[str, str | bool]:
    sign = -1 if turned else 1
    value = sign * difference.estimate.value
    return {
        "value": "undefined" if np.isnan(value) else f"{value + 0.0:+.3f}",
        "interval": _ends(difference.estimate, turned),
        "adjusted": _ends(difference.adjusted, turned),
        "spread": format_spread([sign * v for v in difference.by_seed]),
        "holds": difference.better is not None,
    }


def _ends(estimate: Estimate, turned: bool) -> str:
    if np.isnan(estimate.low):
        return estimate.reason or ""
    low, high = (-estimate.high, -estimate.low) if turned else (estimate.low, estimate.high)
    return f"{low:.3f} to {high:.3f}"


def _more_row(result: RowResult) -> dict[str, Any]:
    names = ("specificity", "average_precision", "brier")
    return {"name": result.name, "cells": [_cell(result.metrics[m], result.by_seed[m]) for m in names]}


def _rare_row(result: RowResult) -> dict[str, Any]:
    return {"name": result.name, "cells": [_cell(e) for e in result.at_prevalence.values()]}


def _stop_row(row: StudyRow) -> dict[str, Any]:
    """Where each training stopped, such as `head 3 of 5, fine-tune 7 of 12`."""
    stops = [
        {
            "seed": t.seed,
            "phases": ", ".join(f"{p.name} {p.best_epoch} of {len(p.epochs)}" for p in t.phases),
            "accuracy": f"{t.tune_accuracy:.3f}",
        }
        for t in row.trainings
    ]
    return {"name": row.name, "n_tune": f"{row.n_tune:,}", "stops": stops}


def _cost_row(row: StudyRow) -> dict[str, str]:
    cost, seconds = row.cost, [t.seconds for t in row.trainings]
    return {
        "name": row.name,
        "seconds": " / ".join(format_duration(s) for s in seconds),
        "parameters": f"{cost.parameters:,}",
        "learning": f"{cost.learning_parameters:,}",
        "flops": "not measured" if cost.flops is None else f"{cost.flops / 1e9:.2f}",
        "rate": "not measured" if cost.images_per_second is None else f"{cost.images_per_second:,.1f}",
        "note": cost.note,
    }


def _panel(panel: StudyPanel, unlearned: Sequence[str]) -> dict[str, Any]:
    """A panel's pictures; what a network that did not learn says of it is neither right nor wrong."""
    looks = [
        {
            "look": look,
            "overlay": to_data_uri(look.overlay),
            "right": look.decision == panel.truth,
            "learned": look.name not in unlearned,
        }
        for look in panel.looks
    ]
    return {
        "panel": panel,
        "image": to_data_uri(panel.image),
        "looks": looks,
        "right": sum(bool(each["right"] and each["learned"]) for each in looks),
        "of": sum(bool(each["learned"]) for each in looks),
    }


def _grid(grid: Grid) -> dict[str, Any]:
    names = list(dict.fromkeys(name for t in grid.trials for name in t.parameters))
    trials = [
        {
            "rank": t.rank,
            "values": [_word(t.parameters.get(name)) for name in names],
            "accuracy": f"{t.tune_accuracy:.4f}",
            "epochs": t.epochs,
            "time": format_duration(t.seconds),
        }
        for t in sorted(grid.trials, key=lambda t: t.rank)
    ]
    optimism = None if grid.optimism is None else str(grid.optimism)
    return {
        "names": names,
        "trials": trials,
        "optimism": optimism,
        "method": grid.optimism.method if grid.optimism else "",
        "note": grid.note,
        "n_tune": f"{grid.n_tune:,}",
    }


def _word(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else "–" if value is None else f"{value}"  # noqa: RUF001


def _cohort(cohort: Cohort) -> dict[str, Any]:
    totals = [part.images for part in cohort.parts]
    return {
        "parts": cohort.parts,
        "leak": cohort.leak,
        "tables": {"Findings": _shares(cohort.findings, totals), "Views": _shares(cohort.views, totals)},
        "notes": cohort.notes,
        "examples": [{"uri": to_data_uri(e.image), "caption": e.caption} for e in cohort.examples],
    }


def _shares(table: Mapping[str, Iterable[int]], totals: Sequence[int]) -> dict[str, list[str]]:
    """Counts with their share of the part's images."""
    return {
        name: [f"{n:,} ({100 * n / total:.1f} %)" if total else f"{n:,}" for n, total in zip(row, totals, strict=True)]
        for name, row in table.items()
    }

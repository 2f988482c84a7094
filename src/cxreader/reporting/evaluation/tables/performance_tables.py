"""The tables of the report: how sure, at which threshold, how honest, for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.calibration.line import BOUND
from cxreader.evaluation.calibration.reliability import BRIER_TERMS
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.statistics.metrics import METRIC_TITLES
from cxreader.evaluation.subgroups.groupings import FINDING
from cxreader.evaluation.subgroups.rates import METRICS
from cxreader.reporting.tables import (
    DIMENSION_TITLES,
    RATE_TITLES,
    Cell,
    Row,
    Table,
    cohort_counts,
    estimate_cell,
    estimate_counts,
    format_interval,
    format_p_value,
    format_share,
    methods_of,
    text_cell,
    value_cell,
)

if TYPE_CHECKING:
    from cxreader.evaluation.calibration.prior_shift import PriorShift
    from cxreader.evaluation.calibration.report import CalibrationReport
    from cxreader.evaluation.decisions.conformal import ConformalResult
    from cxreader.evaluation.subgroups.performance import Subgroup, Subgroups
    from cxreader.evaluation.subgroups.rates import Metric

MEANINGS = {
    "auc": "how often an abnormal image gets a higher probability than a normal one; 0.5 is chance",
    "average_precision": "area under the precision-recall curve; the share of abnormal images is chance",
    "accuracy": "share of all images that were correctly classified",
    "precision": "of the images called abnormal, the share that are",
    "recall": "of the abnormal images, the share that were found",
    "specificity": "of the normal images, the share that were called normal (true negatives)",
    "f1": "harmonic mean of precision and recall",
    "brier": "mean squared error of the probability; 0 is best",
}
BRIER_MEANINGS = {
    "brier": "mean squared error of the probability; 0 is best",
    "reliability": "part lost by dishonest probabilities; 0 is best, chance alone gives more",
    "resolution": "part won by telling images apart; the more the better",
    "uncertainty": "what the mix of labels alone gives",
    "within_bin_variance": "spread of the probabilities inside the bins",
    "within_bin_covariance": "part won inside the bins; may be negative",
}
LINE_MEANINGS = {
    "slope": "1 is ideal; below 1 too bold, above 1 too timid",
    "intercept": "log odds, with the slope held at 1; 0 is ideal, above 0 the probabilities are too low",
    "intercept_at_slope": "log odds, of the line with the fitted slope",
}


def sure_table(evaluation: Evaluation) -> Table:
    """Every metric with its percentile interval, and BCa and DeLong where they were asked."""
    evidence = evaluation.evidence
    rows = []
    for name, estimate in evaluation.metrics.items():
        cells = [value_cell(estimate), text_cell(format_interval(estimate))]
        if evidence is not None:
            cells.append(text_cell(format_interval(evidence.bca[name])))
        cells.append(text_cell(rests_on(name, evaluation)))
        rows.append(Row(METRIC_TITLES[name], tuple(cells), (MEANINGS[name],)))
    if evidence is None:
        brief = ("Metric", "Value", "95 % interval", "Images it rests on")
        return Table(
            brief,
            tuple(rows),
            f"95 % intervals: {methods_of(evaluation.metrics.values())}. {cohort_counts(evaluation.counts)}.",
        )
    delong = evidence.auc_delong
    own = (
        value_cell(delong),
        text_cell(format_interval(delong)),
        text_cell(""),
        text_cell(rests_on("auc", evaluation)),
    )
    rows.insert(1, Row("AUC, DeLong", own, ("without resampling; images of one patient belong together",)))
    methods = methods_of([*evaluation.metrics.values(), *evidence.bca.values(), delong])
    head = ("Metric", "Value", "95 %, percentile (primary)", "95 %, BCa", "Images it rests on")
    return Table(head, tuple(rows), f"95 % intervals: {methods}. {cohort_counts(evaluation.counts)}.")


def rests_on(metric: str, evaluation: Evaluation) -> str:
    """The images a metric is computed from; a rate of few is less sure than a rate of many."""
    c = evaluation.confusion
    if metric == "recall":
        return f"{evaluation.counts.abnormal:,} abnormal"
    if metric == "specificity":
        return f"{evaluation.counts.normal:,} normal"
    if metric == "precision":
        return f"{c['tp'] + c['fp']:,} called abnormal"
    return f"{evaluation.counts.abnormal:,} abnormal, {evaluation.counts.normal:,} normal"


def conformal_table(result: ConformalResult) -> Table:
    """Of each class: whether its own label stayed possible, how many were referred, and what was answered."""
    bound = format_share(1 - result.alpha)
    rows = []
    for who in ("abnormal", "normal"):
        n = result.counts[who]
        cells = (
            estimate_cell(result.measures[f"coverage_{who}"]),
            estimate_cell(result.measures[f"referred_{who}"]),
            *(Cell(f"{n[name]:,}") for name in ("abnormal", "normal", "both", "neither")),
        )
        rows.append(Row(f"Truly {who}", cells, (f"{sum(n.values()):,} images",)))
    rule = result.rule
    how = "Each model's own rule is asked; referred where they do not all give the same one label."
    if rule is not None:
        how = (
            f"Rule fitted on calibrate ({rule.n_positive:,} abnormal, {rule.n_negative:,} normal images): abnormal is "
            f"possible from {rule.abnormal_from:.3f} on, normal up to {rule.normal_to:.3f}; referred where both or "
            "neither is possible."
        )
    caption = f"{how} Coverage should reach {bound} in each class. Intervals: {methods_of(result.measures.values())}."
    head = ("", "Coverage", "Referred", "Answered abnormal", "Answered normal", "Both possible", "Neither possible")
    return Table(head, tuple(rows), caption)


def calibration_table(report: CalibrationReport, prior: PriorShift | None = None) -> Table:
    """ECE, the parts of the Brier score, slope and intercepts; how common abnormal images are, by label and by `prior`."""
    reliability, line = report.reliability, report.line
    chance = reliability.ece_if_calibrated
    alone = "how far chance alone would part them is not defined here"
    if not np.isnan(chance):
        alone = f"chance alone would give {chance:.3f} in these bins; the interval lies too high, being biased upwards"
    rows = [
        Row(
            "Calibration error (ECE)",
            (estimate_cell(reliability.ece),),
            (f"mean distance of probability and share of abnormal over {len(reliability.bins)} bins; {alone}",),
        ),
        *(Row(_title(name), (estimate_cell(getattr(line, name)),), (LINE_MEANINGS[name],)) for name in LINE_MEANINGS),
        *(
            Row(_title(name), (estimate_cell(reliability.brier[name], 4),), (BRIER_MEANINGS[name],))
            for name in BRIER_TERMS
        ),
        Row(
            "Mean probability",
            (estimate_cell(reliability.mean_probability),),
            ("what the model makes the share of abnormal",),
        ),
        Row("Share of abnormal", (estimate_cell(reliability.prevalence),), ("what it is in this sample",)),
    ]
    if prior is not None:
        meaning = "the likeliest share if only that changed since calibration; no label was looked at"
        told = estimate_cell(prior.estimated)
        if not prior.estimated.low <= reliability.prevalence.value <= prior.estimated.high:
            told = Cell("withheld", ("",))
            meaning = "the labels' share lies outside its interval: more than the share has changed since calibration"
        rows.append(Row("Share of abnormal, from the probabilities alone", (told,), (meaning,)))
    rows = [Row(row.name, (Cell(row.cells[0].value), text_cell(*row.cells[0].below)), row.notes) for row in rows]
    caption = (
        "Brier score = reliability - resolution + uncertainty + variance within bins - covariance within bins. 95 % intervals: "
        f"{methods_of([reliability.ece, *(getattr(line, name) for name in LINE_MEANINGS)])}. {estimate_counts(reliability.ece)}."
    )
    if line.bounded:
        beyond = format_count(line.bounded, "[probability lies|probabilities lie]")
        caption += f" Slope and intercepts: {beyond} within {BOUND:g} of 0 or 1 and count as that far from it."
    if prior is not None:
        caption += f" Calibrated where {100 * prior.calibrated_at:.0f} % of the images were abnormal."
    return Table(("Measure", "Value", "95 % interval"), tuple(rows), caption)


def _title(name: str) -> str:
    titles = {"brier": "Brier score", "slope": "Calibration slope", "intercept": "Calibration intercept"}
    return titles.get(name, name.replace("_", " ").capitalize())


def bins_table(report: CalibrationReport) -> Table:
    """Every bin of the reliability diagram."""
    rows = tuple(
        Row(
            f"{b.low:.3f} to {b.high:.3f}",
            (
                Cell(f"{b.mean_probability:.3f}"),
                value_cell(b.observed),
                text_cell(format_interval(b.observed)),
                text_cell(estimate_counts(b.observed)),
            ),
        )
        for b in report.reliability.bins
    )
    head = ("Probabilities", "Mean probability", "Truly abnormal", "95 % interval", "Images and patients in the bin")
    return Table(head, rows, "Bins of equal mass; images of one probability are never parted.")


def subgroup_table(subgroups: Subgroups) -> Table:
    """Every group with its metrics, and its gaps to the rest with their adjusted p-values."""
    rows = tuple(_subgroup_row(group) for group in subgroups.groups)
    methods = methods_of(group.metrics[metric] for group in subgroups.groups for metric in METRICS)
    caption = (
        f"At {subgroups.point.name} (from {subgroups.point.threshold:.3f} on). Gap: the group minus the rest whose value is "
        "known; of a finding, the other abnormal images against the same normal ones, so that its specificity is that of all. "
        f"Significant: p below 0.05 after Holm over {subgroups.n_tests} gaps tested. 95 % intervals: {methods}."
    )
    head = ("Group", *(name for metric in METRICS for name in (RATE_TITLES[metric], "Gap")))
    return Table(head, rows, caption)


def _subgroup_row(group: Subgroup) -> Row:
    from cxreader.evaluation.subgroups.performance import FEW_PATIENTS

    rests = group.metrics["auc"]
    notes = [f"{DIMENSION_TITLES[group.dimension]}; {estimate_counts(rests)}"]
    if group.too_small is not None:
        notes.append(f"too small to be tested: {group.too_small}, fewer than {FEW_PATIENTS}")
    cells = [c for metric in METRICS for c in _subgroup_cells(group, metric)]
    return Row(group.name, tuple(cells), tuple(notes))


def _subgroup_cells(group: Subgroup, metric: Metric) -> tuple[Cell, Cell]:
    if group.dimension == FINDING and metric == "specificity":  # the caption says why
        return text_cell(""), text_cell("")
    gap = group.gaps[metric]
    own = estimate_cell(group.metrics[metric], 2)
    if np.isnan(gap.estimate.value):
        return own, text_cell("")
    tested = (
        "not tested"
        if np.isnan(gap.p_holm)
        else f"{format_p_value(gap.p_holm)}{', significant' if gap.flagged else ''}"
    )
    worse = gap.flagged and gap.estimate.value < 0
    return own, estimate_cell(gap.estimate, 2, signed=True, alert=worse, note=tested)

"""The tables of the report: better than what, the worklist, the labels, looking where, and shortcuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.comparison.paired import TESTED
from cxreader.evaluation.comparison.second_reading import CELLS, PAIRS
from cxreader.evaluation.statistics.metrics import METRIC_NAMES, METRIC_TITLES
from cxreader.evaluation.worklist.reading_room import DAYS
from cxreader.evaluation.worklist.triage import MEASURES
from cxreader.reporting.tables import (
    Cell,
    Row,
    Table,
    estimate_cell,
    estimate_counts,
    finding_title,
    format_estimate,
    format_p_value,
    format_patients,
    format_share,
    methods_of,
    short_title,
    text_cell,
)

if TYPE_CHECKING:
    from cxreader.evaluation.comparison.paired import ModelPair, PairedComparison
    from cxreader.evaluation.comparison.second_reading import LabelComparison
    from cxreader.evaluation.evaluate import Evaluation
    from cxreader.evaluation.shortcuts.records import BaselineComparison, ShortcutAudit
    from cxreader.evaluation.worklist.reading_room import Shift
    from cxreader.evaluation.worklist.triage import Triage, Turnaround
    from cxreader.explanation.localisation_report import LocalisationByFinding, LocalisationReport
    from cxreader.explanation.sanity_report import SanityReport

_MEASURE_HEADS = {"mean": "Mean", "p95": "95th centile", "maximum": "Longest"}
_LOCATED = ("iou", "iou_25", "pointing", "energy")


def baselines_table(evaluation: Evaluation) -> Table:
    """Each baseline's AUC on the same images, and what the model gains over it."""
    rows = tuple(
        Row(name, (estimate_cell(e), estimate_cell(evaluation.comparisons[f"auc minus {name}"], signed=True)))
        for name, e in evaluation.baselines.items()
    )
    who = estimate_counts(evaluation.metrics["auc"])
    caption = f"Paired on the same patients: {methods_of(evaluation.comparisons.values())}. {who}."
    return Table(("Baseline", "Its AUC", "AUC of the model minus it"), rows, caption)


def models_table(models: PairedComparison) -> Table:
    """Every model alone: AUC with DeLong's interval, the other metrics with percentile intervals."""
    others = [name for name in METRIC_NAMES if name != "auc"]
    rows = tuple(
        Row(
            name,
            (estimate_cell(auc), *(estimate_cell(models.metrics[name][metric]) for metric in others)),
            (f"abnormal from {models.thresholds[name]:.3f} on",),
        )
        for name, auc in models.auc.items()
    )
    first = next(iter(models.auc))
    methods = methods_of(
        [*models.auc.values(), *(found[metric] for found in models.metrics.values() for metric in others)]
    )
    heads = ("Model", "AUC", *(short_title(name) for name in others))
    return Table(heads, rows, f"95 % intervals: {methods}. {estimate_counts(models.auc[first])}.")


def pairs_table(models: PairedComparison) -> Table:
    """Every pair: differences with intervals, and the p-values of DeLong's and McNemar's tests adjusted by Holm."""
    caption = (
        "First minus second on the same images; above 0 the first is better. AUC: DeLong clustered by patient; the others: "
        "bootstrap of the difference, p by McNemar clustered by patient. p-values are adjusted by Holm over the "
        f"{format_count(len(models.pairs), '[pair|pairs]')}. {estimate_counts(models.pairs[0].auc)}."
    )
    heads = ("Pair", *(short_title(name) for name in TESTED))
    return Table(heads, tuple(map(_pair_row, models.pairs)), caption)


def _pair_row(pair: ModelPair) -> Row:
    cells = []
    for name in TESTED:
        estimate, test = pair.auc if name == "auc" else pair.differences[name], pair.tests[name]
        p = f"{format_p_value(pair.adjusted_p[name])}{f' ({test.reason})' if test.reason else ''}"
        cells.append(estimate_cell(estimate, signed=True, note=p))
    return Row(f"{pair.first} minus {pair.second}", tuple(cells))


def triage_table(triage: Triage) -> Table:
    """Minutes until read, abnormal and normal apart, and what changes against first come."""
    heads = [*_MEASURE_HEADS.values()] * 2
    caption = f"{room_words(triage)} Below each number its 95 % interval over replications, and the change against first come."
    over = (("Abnormal images, minutes until read", 3), ("Normal images, minutes until read", 3))
    return Table(("Read in the order", *heads), tuple(map(_triage_row, triage.results)), caption, over)


def _triage_row(result: Turnaround) -> Row:
    cells = []
    for who in ("abnormal", "normal"):
        for measure in MEASURES:
            change = result.change[who][measure] if result.change else None
            note = "" if change is None or np.isnan(change.value) else format_estimate(change, 0, signed=True)
            cells.append(estimate_cell(result.times[who][measure], 0, note=note))
    return Row(str(result.policy), tuple(cells))


def room_words(triage: Triage) -> str:
    """The reading room that was simulated, in one or two sentences."""
    when = "at recorded times" if triage.recorded else "at random"
    day = "" if np.isnan(triage.images_a_day) else f", {triage.images_a_day:,.0f} a day"
    how = "as recorded" if triage.reading is None else f"{triage.reading.kind} with mean {triage.reading.mean:g} min"
    load = "" if np.isnan(triage.load) else f"; readers busy {format_share(triage.load)} of their time"
    return (
        f"Images arrive {when}{day}, {format_share(triage.prevalence)} abnormal; a reading takes {how}; readers: "
        f"{', '.join(map(_shift, triage.shifts))}{load}. {triage.n_replications} replications of {triage.n_images:,} images, "
        f"seed {triage.seed}; the predictions are held fixed, so the intervals tell how exact the simulation is."
    )


def _shift(shift: Shift) -> str:
    days = "every day" if len(shift.days) == len(DAYS) else ", ".join(DAYS[k] for k in shift.days)
    return f"{shift.readers} from {shift.start:g} to {shift.end:g} h {days}"


def labels_tables(labels: LabelComparison) -> dict[str, Table]:
    """The model against both readings, and how far the three agree; by title."""
    scores = tuple(
        Row(
            METRIC_TITLES[m],
            (
                estimate_cell(labels.first[m]),
                estimate_cell(labels.second[m]),
                estimate_cell(labels.change[m], signed=True),
            ),
        )
        for m in METRIC_NAMES
    )
    pairs = tuple(
        Row(_sentence(pair), (estimate_cell(labels.kappa[pair]), estimate_cell(labels.agreement[pair])))
        for pair in PAIRS
    )
    counts = ", ".join(f"{labels.labels[name]:,} {name}" for name in CELLS)
    twice = sum(labels.labels.values())
    caption = f"{twice:,} images were read twice: {counts}. {labels.only_first:,} have no second label"
    caption += f"; {labels.unknown:,} second labels have no prediction." if labels.unknown else "."
    methods = methods_of([*labels.first.values(), *labels.second.values(), *labels.change.values()])
    return {
        "The model against each reading": Table(
            ("Metric", "First labels", "Second reading", "Change, paired"),
            scores,
            f"{caption} 95 % intervals: {methods}.",
        ),
        "Who agrees with whom": Table(
            ("Pair", "Kappa", "Share alike"),
            pairs,
            f"Cohen's kappa: 1 is full agreement, 0 none beyond chance. {caption}",
        ),
    }


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


_LOCALISED = {
    "model": "the model's maps",
    "null": "a fixed map",
    "null_by_finding": "a fixed map of the finding",
    "gain": "gain over the fixed map",
    "gain_by_finding": "gain over that of the finding",
}


def localisation_table(report: LocalisationReport) -> Table:
    """By finding: the model's maps, both fixed maps, and the gains over them."""
    from cxreader.explanation.map_scores import METRIC_TITLES as TITLES

    shown = {part: title for part, title in _LOCALISED.items() if getattr(report.all, part)}
    caption = (
        f"{report.title}. Means over boxes, 95 % intervals by patient. A fixed map is the mean of other patients' boxes, of "
        "all findings or of the same finding, and looks at no image. " + " ".join(report.notes)
    )
    rows = tuple(_located_row(group, part, title) for group in report.groups for part, title in shown.items())
    return Table(("Finding", *(TITLES[metric] for metric in _LOCATED)), rows, caption)


def _located_row(group: LocalisationByFinding, part: str, title: str) -> Row:
    cells = tuple(estimate_cell(getattr(group, part)[metric], signed=part.startswith("gain")) for metric in _LOCATED)
    images = f"{format_count(group.boxes, '[box|boxes]')}, {format_count(group.images, '[image|images]')}"
    return Row(f"{finding_title(group.name)}: {title}", cells, (f"{images}; {format_patients(group.patients)}",))


def sanity_table(report: SanityReport) -> Table:
    """Likeness of the maps to the model's own, stage by stage."""
    rows = tuple(
        Row(s.stage, (estimate_cell(s.rank_correlation), estimate_cell(s.ssim), Cell(f"{s.flat:,}")))
        for s in report.stages
    )
    caption = (
        f"Weights made random from the head back to the stage named, {report.images:,} images, seed {report.seed}; the lower, "
        "the more the maps depend on what was learnt. Flat maps have no rank correlation."
    )
    return Table(("Random from here to the head", "Rank correlation", "SSIM", "Flat maps"), rows, caption)


def confounders_table(audit: ShortcutAudit, caption: str = "") -> Table:
    """Each baseline that sees no disease and the model on parts of the image, against the model on the whole image."""
    if not caption:
        caption = (
            f"AUC of the model {format_estimate(audit.model, 3)}; {estimate_counts(audit.model)}; paired by patient."
        )
        caption += f" Had the model met these patients, measured again: {'; '.join(audit.leakage.lines)}."
    rows = tuple(_confounder_row(confounder, audit) for confounder in audit.beside)
    return Table(("Beside the model", "Its AUC", "AUC of the model minus it", "What it means"), rows, caption)


def _confounder_row(confounder: BaselineComparison, audit: ShortcutAudit) -> Row:
    cells = (text_cell(""), text_cell(""))
    if not np.isnan(confounder.auc.value):
        cells = (estimate_cell(confounder.auc), estimate_cell(confounder.gain, signed=True))
    return Row(confounder.title, (*cells, text_cell(confounder_words(confounder, audit))), (confounder.what,))


def confounder_words(confounder: BaselineComparison, audit: ShortcutAudit) -> str:
    """What its numbers mean for the model, in words."""
    return confounder.says(audit.limits) + (
        " (the best baseline)" if confounder.counts and confounder.name == audit.best else ""
    )

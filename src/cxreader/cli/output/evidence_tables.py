"""What `cxreader evaluate` prints of the evidence: for whom, the worklist, the second reading. The report is the whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cxreader.cli.output.console import show, table
from cxreader.counting import format_count

if TYPE_CHECKING:
    from cxreader.evaluation.comparison.second_reading import LabelComparison
    from cxreader.evaluation.decisions.refusals import Refusals
    from cxreader.evaluation.evaluate import Evaluation
    from cxreader.evaluation.evidence import Evidence
    from cxreader.evaluation.statistics.intervals import Estimate
    from cxreader.evaluation.subgroups.performance import Subgroup, Subgroups
    from cxreader.evaluation.worklist.triage import Triage

_MOST = 12
_SIDE_BY_SIDE = 2
"""Operating points of which each number has room for its interval beside it, on 80 columns."""
_LABEL_METRICS = ("auc", "accuracy", "recall", "specificity")


def show_evidence(evidence: Evidence) -> None:
    """A short table of each that was asked for; subgroups wherever the table's columns give any."""
    if evidence.subgroups.groups:
        _show_subgroups(evidence.subgroups)
    if evidence.triage is not None:
        _show_worklist(evidence.triage)
    if evidence.labels is not None:
        _show_second_reading(evidence.labels)


def show_points(evaluation: Evaluation, evidence: Evidence) -> None:
    """Every operating point at the sample's own prevalence and at the stated one; of 1,000 patients what each would do."""
    from cxreader.reporting.evaluation.tables.points_table import THOUSAND_WORDS, point_measures
    from cxreader.reporting.tables import format_estimate

    lines = point_measures(evidence.points, evaluation.counts)
    one_line = len(evidence.points) <= _SIDE_BY_SIDE
    rows, above = [], ""
    for line in lines:
        if line.at != above:
            rows.append((f"{line.at}:", *("" for _ in line.values)))
            above = line.at
        name = f"  {line.name}" if line.at else line.name
        cells = (
            format_estimate(value, line.digits, why=False) if one_line else figure_cell(value, line.digits)
            for value in line.values
        )
        rows.append((name, *cells))
    header = ("", *(f"{at.point.name},\nfrom {at.point.threshold:.3f}" for at in evidence.points))
    note = f"95 % intervals. {THOUSAND_WORDS}{missing(value for line in lines for value in line.values)}"
    table("Operating points", header, rows, note=note)


def _show_subgroups(found: Subgroups) -> None:
    """At most `_MOST` groups, those with a significant gap first."""
    from cxreader.evaluation.subgroups.performance import FEW_PATIENTS
    from cxreader.evaluation.subgroups.rates import METRICS

    ranked = sorted(found.groups, key=lambda group: not group.flagged)
    shown = ranked[:_MOST]
    rows = [
        (_with_counts(group), *(figure_cell(group.metrics[metric]) for metric in METRICS), _gap_words(group))
        for group in shown
    ]
    more = len(ranked) - len(shown)
    tested = (
        f"Significant: p below 0.05 after Holm over {found.n_tests} gaps tested; a gap is the group minus the rest. That no gap "
        f"is significant is no proof of fairness.{_too_small(shown)}"
    )
    none = f"No gap was tested: in each group or in the rest, a class has fewer than {FEW_PATIENTS} patients."
    note = (
        f"Below: 95 % intervals. {tested if found.n_tests else none}"
        + missing(group.metrics[metric] for group in shown for metric in METRICS)
        + (f" {format_count(more, 'more [group stands|groups stand] in the report.')}" if more else "")
    )
    last = "against the rest"
    header = ("group,\nabnormal/normal,\npatients", "AUC", "sensitivity", "specificity", last)
    title = f"For whom, at {found.point.threshold:.3f} ({found.point.name})"
    table(title, header, rows, note=note, left=(last,), folding=(last,))


def _with_counts(group: Subgroup) -> str:
    """The group's name above its images and patients."""
    auc = group.metrics["auc"]
    return f"{group.name}\n{auc.n_positive}/{auc.n_negative}, {auc.n_patients or 'unknown'}"


def _too_small(groups: Iterable[Subgroup]) -> str:
    """Of which groups no gap was tested, and why, as a further sentence of a note."""
    from cxreader.evaluation.subgroups.performance import FEW_PATIENTS

    small = [f"{group.name} ({group.too_small})" for group in groups if group.too_small and not group.flagged]
    return f" Too small to be tested, fewer than {FEW_PATIENTS}: {'; '.join(small)}." if small else ""


def _gap_words(group: Subgroup) -> str:
    """Every significant gap above its interval and p-value; else that none was tested, or that none is significant."""
    from cxreader.reporting.tables import format_p_value, rate_in_sentence

    shown = [
        f"{rate_in_sentence(metric)} {figure_cell(gap.estimate, 2, signed=True)}\n{format_p_value(gap.p_holm)}"
        for metric, gap in group.gaps.items()
        if gap.flagged
    ]
    return ";\n".join(shown) or ("too small" if group.too_small else "no significant gap")


def _show_worklist(triage: Triage) -> None:
    """Minutes from arrival to the end of the reading, by worklist policy."""
    from cxreader.evaluation.worklist.triage import MEASURES
    from cxreader.reporting.tables import format_share

    whom = ("abnormal", "normal")
    rows = [
        (str(result.policy), *(figure_cell(result.times[who][measure], 0) for who in whom for measure in MEASURES))
        for result in triage.results
    ]
    load = "" if triage.load != triage.load else f", readers busy {format_share(triage.load)} of their time"
    times = (result.times[who][measure] for result in triage.results for who in whom for measure in MEASURES)
    note = (
        f"Below: 95 % intervals over {triage.n_replications} replications of {triage.n_images:,} images, "
        f"{format_share(triage.prevalence)} abnormal{load}; predictions held fixed.{missing(times)}"
        + (f" {triage.note}" if triage.note else "")
    )
    words = {"mean": "mean", "p95": "95th centile", "maximum": "longest"}
    header = ("read", *(f"{who}:\n{words[measure]}" for who in whom for measure in MEASURES))
    table("Worklist: minutes from arrival to the end of the reading", header, rows, note=note)


def _show_second_reading(found: LabelComparison) -> None:
    """The model against both readings, on the images read twice."""
    from cxreader.evaluation.statistics.metrics import METRIC_TITLES
    from cxreader.reporting.tables import estimate_counts, format_estimate

    rows = [
        (
            METRIC_TITLES[name],
            *(figure_cell(getattr(found, part)[name]) for part in ("first", "second")),
            figure_cell(found.change[name], signed=True),
        )
        for name in _LABEL_METRICS
    ]
    counts = ", ".join(f"{count:,} {who}" for who, count in found.labels.items())
    kappas = "; ".join(f"{pair} {format_estimate(kappa)}" for pair, kappa in found.kappa.items())
    parts = (getattr(found, part)[name] for part in ("first", "second", "change") for name in _LABEL_METRICS)
    note = (
        f"Below: 95 % intervals. Read twice: {counts} ({estimate_counts(found.first['auc'])}, by the first labels); "
        f"{format_count(found.only_first, '[image has|images have] no second label')}. Cohen's kappa: {kappas}.{missing(parts)}"
    )
    header = ("figure", "against the first labels", "against the second", "change")
    table(f"Second reading, at {found.point.threshold:.3f} ({found.point.name})", header, rows, note=note)


def show_refusals(found: Refusals) -> None:
    """The share of images that the reader would refuse, and why."""
    from cxreader.evaluation.decisions.refusals import WHO
    from cxreader.reporting.evaluation.tables.refusals import in_percent, percent, refusal_words
    from cxreader.reporting.tables import DASH

    rows = [
        (
            WHO[name],
            percent(share),
            in_percent(share) if share.low == share.low else DASH,
            f"{share.n_positive}/{share.n_negative}",
            share.n_patients or "unknown",
        )
        for name, share in found.shares.items()
    ]
    header = ("of", "refused", "95 % interval", "abnormal/normal", "patients")
    table("Acceptance", header, rows, note=refusal_words(found) + missing(found.shares.values()))


def show_answered(evaluation: Evaluation) -> None:
    """All images and the answered ones, side by side."""
    from cxreader.reporting.evaluation.tables.refusals import answered_table, answered_words

    found = answered_table(evaluation)
    words = "" if evaluation.answered is None else answered_words(evaluation.answered)
    if found is None:
        show(words)
        return
    table("All images, and those that it answers", found.head, found.lines, note=words)


def figure_cell(estimate: Estimate, digits: int = 3, *, signed: bool = False) -> str:
    """The value above its interval; the reason of a missing one is left to `missing`. A finding has no specificity."""
    from cxreader.evaluation.subgroups.performance import SAME_NORMALS
    from cxreader.reporting.tables import format_value

    if estimate.reason == SAME_NORMALS:
        return ""
    value = format_value(estimate, digits, signed=signed)
    return f"{value}\n{'' if _undefined(estimate) else interval_cell(estimate, digits, signed=signed)}"


def interval_cell(estimate: Estimate, digits: int = 3, *, signed: bool = False) -> str:
    """The interval, or a dash whose reason is left to `missing`."""
    from cxreader.reporting.tables import DASH, format_interval

    return DASH if estimate.low != estimate.low else format_interval(estimate, digits, signed=signed, why=False)


def missing(estimates: Iterable[Estimate]) -> str:
    """Why values or intervals are missing, each reason once, as further sentences of a note; nothing when none is."""
    from cxreader.evaluation.subgroups.performance import SAME_NORMALS
    from cxreader.reporting.tables import DASH, counted_together

    whole: dict[str, None] = {}
    bounds: dict[str, None] = {}
    for estimate in estimates:
        if estimate.reason == SAME_NORMALS:
            continue
        if estimate.reason and estimate.low != estimate.low:
            (whole if _undefined(estimate) else bounds)[estimate.reason] = None
    undefined = f" Undefined: {'; '.join(counted_together(whole))}." if whole else ""
    return undefined + (f" {DASH}: no interval, {'; '.join(counted_together(bounds))}." if bounds else "")


def _undefined(estimate: Estimate) -> bool:
    return estimate.value != estimate.value

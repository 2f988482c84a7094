"""The questions a department asks, each answered in one sentence with its number, its interval and its counts.

An answer that nobody asked for says so, and how to ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.evaluate import Evaluation
from cxreader.reporting.evaluation.answer import EVALUATE, NONE, Answer, not_asked
from cxreader.reporting.evaluation.image_answers import better_than, looking_where, refused, shortcut
from cxreader.reporting.evaluation.image_evidence import NO_IMAGE_EVIDENCE, ImageEvidence
from cxreader.reporting.evaluation.readers import readers_answer
from cxreader.reporting.tables import (
    cohort_counts,
    estimate_counts,
    format_estimate,
    format_p_value,
    format_share,
    format_value,
    rate_in_sentence,
)

if TYPE_CHECKING:
    from cxreader.evaluation.calibration.report import CalibrationReport
    from cxreader.evaluation.evidence import Evidence
    from cxreader.evaluation.subgroups.performance import Subgroup, Subgroups
    from cxreader.evaluation.worklist.triage import Triage


def answers(evaluation: Evaluation, image_evidence: ImageEvidence = NO_IMAGE_EVIDENCE) -> tuple[Answer, ...]:
    """How sure, at which threshold, how honest, for whom, better than what, looking where, shortcuts, worklist, refusals."""
    evidence = evaluation.evidence
    return (
        _how_sure(evaluation),
        _threshold(evaluation),
        _how_honest(evaluation, None if evidence is None else evidence.calibration),
        _for_whom(None if evidence is None else evidence.subgroups),
        better_than(evaluation, None if evidence is None else evidence.models, image_evidence),
        *_readers(evidence),
        looking_where(image_evidence),
        shortcut(image_evidence),
        _worklist(None if evidence is None else evidence.triage),
        refused(evaluation.refusals),
    )


def _readers(evidence: Evidence | None) -> tuple[Answer, ...]:
    """Beside radiologists, where there are any."""
    found = None if evidence is None or evidence.readers is None else readers_answer(evidence.readers)
    return () if found is None else (found,)


PRIMARY_INTERVAL = (
    "This is the primary interval, which stands wherever one stands alone; BCa's and DeLong's beside it in the table."
)


def _how_sure(evaluation: Evaluation) -> Answer:
    auc, evidence = evaluation.metrics["auc"], evaluation.evidence
    ask = "How sure?"
    if np.isnan(auc.value):
        text = f"The AUC is undefined: {auc.reason}."
        return Answer(ask, "sure", NONE, text, cohort_counts(evaluation.counts), alert=True)
    text = f"AUC {format_estimate(auc, 3)}; {auc.method}."
    if evidence is not None:
        text += f" {PRIMARY_INTERVAL}"
    return Answer(ask, "sure", f"AUC {format_value(auc)}", text, estimate_counts(auc))


def _threshold(evaluation: Evaluation) -> Answer:
    point, metrics = evaluation.operating_point, evaluation.metrics
    where = (
        f"fitted on {point.n_positive:,} abnormal and {point.n_negative:,} normal images of other patients"
        if point.fitted_on == "calibrate"
        else point.rule
    )
    text = (
        f"Abnormal from a probability of {point.threshold:.3f} on ({point.name}, the primary operating point, {where}): "
        f"sensitivity {format_estimate(metrics['recall'])}, specificity {format_estimate(metrics['specificity'])}."
    )
    first = evaluation.evidence.points[0] if evaluation.evidence is not None and evaluation.evidence.points else None
    if first is None or first.prevalence is None:
        text += " Where it would work: not asked; give --prevalence."
    else:
        ppv, npv, flagged = (format_estimate(first.deployed[name]) for name in ("ppv", "npv", "flagged"))
        text += f" Were {format_share(first.prevalence)} abnormal: PPV {ppv}, NPV {npv}, share flagged {flagged}."
    figure = f"\N{GREATER-THAN OR EQUAL TO} {point.threshold:.2f}"
    return Answer("At which threshold?", "threshold", figure, text, estimate_counts(metrics["recall"]))


def _how_honest(evaluation: Evaluation, report: CalibrationReport | None) -> Answer:
    ask = "How honest are the probabilities?"
    if report is None:
        text = f"Not asked. Brier score {format_estimate(evaluation.metrics['brier'], 3)}."
        return not_asked(ask, "honest", text, EVALUATE)
    ece, chance, line = report.reliability.ece, report.reliability.ece_if_calibrated, report.line
    if np.isnan(ece.value):
        return Answer(ask, "honest", NONE, f"Undefined: {ece.reason}.", estimate_counts(ece), alert=True)
    alone = "" if np.isnan(chance) else f" (chance alone would give {chance:.3f})"
    text = (
        f"{honesty(report)} Calibration error (ECE) {format_estimate(ece, 3)}{alone}; "
        f"slope {format_estimate(line.slope)}, ideal 1; intercept {format_estimate(line.intercept, signed=True)}, ideal 0."
    )
    alert = honesty(report) != HONEST
    return Answer(ask, "honest", f"ECE {format_value(ece)}", text, estimate_counts(ece), alert=alert)


HONEST = "No dishonesty is shown."


def honesty(report: CalibrationReport) -> str:
    """In words what the intervals of slope and intercept show: too bold, too timid, too low, too high, or nothing."""
    slope, intercept = report.line.slope, report.line.intercept
    if np.isnan(slope.low) or np.isnan(intercept.low):
        return "Whether they are too bold or too timid cannot be said."
    found = []
    if slope.high < 1:
        found.append("too bold (too near 0 and 1)")
    if slope.low > 1:
        found.append("too timid (too near the middle)")
    if intercept.low > 0:
        found.append("too low")
    if intercept.high < 0:
        found.append("too high")
    return f"They are {' and '.join(found)}." if found else HONEST


def _for_whom(subgroups: Subgroups | None) -> Answer:
    ask = "For whom?"
    if subgroups is None:
        return not_asked(ask, "whom", "Not asked.", EVALUATE)
    if not subgroups.groups:
        columns = "sex, age, view, follow_up, source, findings"
        return not_asked(ask, "whom", f"Cannot be said: no group is known. Give any of these columns: {columns}.")
    small = sum(group.too_small is not None for group in subgroups.groups)
    worse = worse_off(subgroups)
    counts = f"{len(subgroups.groups)} groups, {subgroups.n_tests} gaps tested, adjusted by Holm"
    if small:
        counts += f"; {format_count(small, '[group|groups]')} too small to be tested, which is no clean bill"
    if not subgroups.n_tests:
        return Answer(ask, "whom", NONE, "Cannot be said: no group is large enough to be tested.", counts)
    if not worse:
        text = "No group is shown to be worse off than the rest."
        better = [group.name for group in subgroups.flagged]
        if better:
            text += (
                f" Shown to be better off: {', '.join(better[:2])}{f' and {len(better) - 2} more' * (len(better) > 2)}."
            )
        return Answer(ask, "whom", "0 worse off", text, counts)
    shown = "; ".join(_worse(group) for group in worse[:2])
    more = f"; and {len(worse) - 2} more" if len(worse) > 2 else ""
    text = f"Worse off than the rest: {shown}{more}."
    return Answer(ask, "whom", f"{len(worse)} worse off", text, counts, alert=True)


def worse_off(subgroups: Subgroups) -> list[Subgroup]:
    """The groups with a significant gap below the rest, the largest gap first."""

    def deepest(group: Subgroup) -> float:
        return min((group.gaps[metric].estimate.value for metric in group.flagged), default=0.0)

    return sorted((group for group in subgroups.flagged if deepest(group) < 0), key=deepest)


def _worse(group: Subgroup) -> str:
    """`Nodule: sensitivity 0.45, -0.31 (-0.42 to -0.21), p < 0.001`."""
    below = [m for m in group.flagged if group.gaps[m].estimate.value < 0]
    metric = min(below, key=lambda m: group.gaps[m].estimate.value)
    gap, own = group.gaps[metric], group.metrics[metric]
    value, difference = format_value(own, 2), format_estimate(gap.estimate, signed=True)
    rests = f"{own.n_positive:,} abnormal, {own.n_negative:,} normal"
    return f"{group.name}, {rate_in_sentence(metric)} {value}, gap {difference}, {format_p_value(gap.p_holm)} ({rests})"


def _worklist(triage: Triage | None) -> Answer:
    ask, anchor = "What would it do to the worklist?", "worklist"
    if triage is None:
        text = "Not asked: give --images-a-day (or --arrivals), --reading-minutes and --shift to"
        return not_asked(ask, anchor, text, EVALUATE)
    first, then = triage.results[0], triage.results[1]
    abnormal, normal = then.change.get("abnormal", {}).get("mean"), then.change.get("normal", {}).get("mean")
    if abnormal is None or normal is None or np.isnan(abnormal.value):
        return Answer(ask, anchor, NONE, "Undefined: no abnormal image came.", alert=True)
    means = {who: [format_value(policy.times[who]["mean"], 0) for policy in (then, first)] for who in then.times}
    text = (
        f"Read {then.policy}, an abnormal image is done {means['abnormal'][0]} min after arrival on average instead of "
        f"{means['abnormal'][1]}: {format_estimate(abnormal, 0, signed=True)} min. A normal one {means['normal'][0]} instead of "
        f"{means['normal'][1]}: {format_estimate(normal, 0, signed=True)} min."
    )
    if triage.note:
        text += f" {triage.note}"
    rests = f"{triage.n_replications} simulated replications of {triage.n_images:,} images"
    if not np.isnan(triage.load):
        rests += f", {format_share(triage.prevalence)} abnormal, readers busy {format_share(triage.load)} of their time"
    return Answer(ask, anchor, f"{format_value(abnormal, 0, signed=True)} min", text, rests, alert=bool(triage.note))

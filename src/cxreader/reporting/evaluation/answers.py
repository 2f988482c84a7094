"""The questions a department asks, each answered in one sentence with its number, its interval and its counts.

An answer that nobody asked for says so, and how to ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cxreader.evaluation.decisions.refusals import MANY_REFUSED
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.shortcuts.records import THUMBNAIL
from cxreader.reporting.evaluation.image_evidence import NO_IMAGE_EVIDENCE, ImageEvidence
from cxreader.reporting.evaluation.refusals import in_percent, percent
from cxreader.reporting.tables import counted, interval, on, p_words, share_words, told, value

if TYPE_CHECKING:
    from cxreader.evaluation.calibration.report import CalibrationReport
    from cxreader.evaluation.comparison.paired import PairedComparison
    from cxreader.evaluation.decisions.refusals import Refusals
    from cxreader.evaluation.subgroups.performance import Subgroup, Subgroups
    from cxreader.evaluation.worklist.triage import Triage

AUDIT = "cxreader audit shortcuts --model ARTIFACT --data SOURCE"
AGAIN = "cxreader evaluate"
NONE = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, the `figure` to see at a glance, the sentence, and what it rests on.

    `anchor` names the section that tells more. `command`: how to ask, where it was not asked. `alert`: bad news.
    """

    question: str
    anchor: str
    figure: str
    text: str
    rests_on: str = ""
    command: str = ""
    alert: bool = False

    @property
    def asked(self) -> bool:
        """False where nobody asked."""
        return not self.command and self.figure != NONE


def answers(evaluation: Evaluation, image_evidence: ImageEvidence = NO_IMAGE_EVIDENCE) -> tuple[Answer, ...]:
    """How sure, at which threshold, how honest, for whom, better than what, looking where, shortcuts, worklist, refusals."""
    evidence = evaluation.evidence
    return (
        _how_sure(evaluation),
        _threshold(evaluation),
        _how_honest(evaluation, None if evidence is None else evidence.calibration),
        _for_whom(None if evidence is None else evidence.subgroups),
        _better_than(evaluation, None if evidence is None else evidence.models, image_evidence),
        _looking_where(image_evidence),
        _shortcut(image_evidence),
        _worklist(None if evidence is None else evidence.triage),
        _refused(evaluation.refusals),
    )


def _open(question: str, anchor: str, text: str, command: str = "") -> Answer:
    return Answer(question, anchor, NONE, text, command=command)


def _how_sure(evaluation: Evaluation) -> Answer:
    auc, evidence = evaluation.metrics["auc"], evaluation.evidence
    ask = "How sure?"
    if np.isnan(auc.value):
        text = f"The AUC is undefined: {auc.reason}."
        return Answer(ask, "sure", NONE, text, counted(evaluation.counts), alert=True)
    whom = "image, as no patient is known" if auc.n_patients is None else "patient"
    text = f"AUC {told(auc, 3)}, bootstrap by {whom}."
    if evidence is not None:
        delong, bca = evidence.auc_delong, evidence.bca["auc"]
        text = f"AUC {told(delong, 3)} by DeLong, {interval(bca, 3)} by BCa bootstrap; both by {whom}."
    return Answer(ask, "sure", f"AUC {value(auc)}", text, on(auc))


def _threshold(evaluation: Evaluation) -> Answer:
    point, found, spared = evaluation.operating_point, evaluation.metrics["recall"], evaluation.metrics["specificity"]
    where = (
        f"fitted on {point.n_positive:,} abnormal and {point.n_negative:,} normal images of other patients"
        if point.fitted_on == "calibrate"
        else point.rule
    )
    text = (
        f"Abnormal from a probability of {point.threshold:.3f} on ({point.name}, {where}): sensitivity {told(found)}, "
        f"specificity {told(spared)}."
    )
    first = evaluation.evidence.points[0] if evaluation.evidence is not None and evaluation.evidence.points else None
    if first is None or first.prevalence is None:
        text += " Where it would work: not asked; give --prevalence."
    else:
        rate = first.deployed
        text += (
            f" Were {share_words(first.prevalence)} abnormal: PPV {told(rate['ppv'])}, NPV {told(rate['npv'])}, "
            f"share flagged {told(rate['flagged'])}."
        )
    return Answer(
        "At which threshold?", "threshold", f"\N{GREATER-THAN OR EQUAL TO} {point.threshold:.2f}", text, on(found)
    )


def _how_honest(evaluation: Evaluation, report: CalibrationReport | None) -> Answer:
    ask = "How honest are the probabilities?"
    if report is None:
        text = f"Not asked. Brier score {told(evaluation.metrics['brier'], 3)}."
        return _open(ask, "honest", text, AGAIN)
    ece, chance, line = report.reliability.ece, report.reliability.ece_if_calibrated, report.line
    if np.isnan(ece.value):
        return Answer(ask, "honest", NONE, f"Undefined: {ece.reason}.", on(ece), alert=True)
    alone = "" if np.isnan(chance) else f" (chance alone would give {chance:.3f})"
    text = (
        f"{honesty(report)} Calibration error (ECE) {told(ece, 3)}{alone}; slope {told(line.slope)}, ideal 1; "
        f"intercept {told(line.intercept, signed=True)}, ideal 0."
    )
    return Answer(ask, "honest", f"ECE {value(ece)}", text, on(ece), alert=honesty(report) != HONEST)


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
        return _open(ask, "whom", "Not asked.", AGAIN)
    if not subgroups.groups:
        text = (
            "Cannot be said: no group is known. Give any of these columns: sex, age, view, follow_up, source, findings."
        )
        return _open(ask, "whom", text)
    small = sum(group.too_small is not None for group in subgroups.groups)
    worse = worse_off(subgroups)
    counts = f"{len(subgroups.groups)} groups, {subgroups.n_tests} gaps tested, adjusted by Holm"
    if small:
        counts += f"; {small} group{'s' * (small > 1)} too small to be tested, which is no clean bill"
    if not worse:
        return Answer(ask, "whom", "0 flagged", "No group is shown to be worse off than the rest.", counts)
    shown = "; ".join(_worse(group) for group in worse[:2])
    more = f"; and {len(worse) - 2} more" if len(worse) > 2 else ""
    return Answer(
        ask, "whom", f"{len(worse)} worse off", f"Worse off than the rest: {shown}{more}.", counts, alert=True
    )


def worse_off(subgroups: Subgroups) -> list[Subgroup]:
    """The groups with a flagged gap below the rest, the largest gap first."""

    def deepest(group: Subgroup) -> float:
        return min((group.gaps[metric].estimate.value for metric in group.flagged), default=0.0)

    return sorted((group for group in subgroups.flagged if deepest(group) < 0), key=deepest)


def _worse(group: Subgroup) -> str:
    """`Nodule: sensitivity 0.45, -0.31 (-0.42 to -0.21), p < 0.001`."""
    below = [m for m in group.flagged if group.gaps[m].estimate.value < 0]
    metric = min(below, key=lambda m: group.gaps[m].estimate.value)
    gap, own = group.gaps[metric], group.metrics[metric]
    title = "AUC" if metric == "auc" else metric
    rests = f"{own.n_positive:,} abnormal, {own.n_negative:,} normal"
    return (
        f"{group.name}, {title} {value(own, 2)}, gap {told(gap.estimate, signed=True)}, {p_words(gap.p_holm)} ({rests})"
    )


def _better_than(evaluation: Evaluation, models: PairedComparison | None, image_evidence: ImageEvidence) -> Answer:
    """Against the strongest thing that sees no disease; against other models where there are any."""
    ask, anchor = "Better than what?", "better"
    audit = image_evidence.shortcuts
    best = None if audit is None else next((r for r in audit.baselines if r.name == audit.best), None)
    gains = {name.removeprefix("auc minus "): gain for name, gain in evaluation.comparisons.items()}
    known = {name: gain for name, gain in gains.items() if not np.isnan(gain.value)}
    name, gain, seen = "", None, "needs no image"
    if best is not None:
        aside = [r for r in audit.baselines if not r.counts and r.auc.value > best.auc.value] if audit else []
        also = "".join(
            f"; {r.name}, AUC {told(r.auc)}, set aside: the model does not know these patients" for r in aside
        )
        name, gain, seen = best.name, best.gain, f"sees no disease{also}"
    if known:
        own, least = min(known.items(), key=lambda item: item[1].value)
        if gain is None or least.value < gain.value:
            name, gain = own, least
            if own.startswith(THUMBNAIL):  # where the audit's is cross-fitted on the judged images
                name, seen = f"{own} fitted on the training images", "sees no disease"
    against = "" if models is None else _against_models(models)
    if gain is not None:
        text = f"AUC {told(gain, 3, signed=True)} against {name}, the strongest baseline that {seen}. {against}".strip()
        return Answer(ask, anchor, f"{value(gain, signed=True)} AUC", text, on(gain), alert=not gain.low > 0)
    if models is not None:
        return Answer(ask, anchor, f"{value(models.pairs[0].auc, signed=True)} AUC", against, on(models.pairs[0].auc))
    if gains:
        return Answer(ask, anchor, NONE, f"Undefined: {next(iter(gains.values())).reason}.", alert=True)
    text = "Not asked: give another model's predictions of the same images, or the images themselves:"
    return _open(ask, anchor, text, AUDIT)


def _against_models(models: PairedComparison) -> str:
    subject = next(iter(models.auc))
    shown = [
        f"AUC of {pair.first} minus {pair.second} {told(pair.auc, 3, signed=True)}, {p_words(pair.adjusted_p['auc'])}"
        for pair in models.pairs
        if pair.first == subject
    ]
    more = f"; and {len(shown) - 2} more" if len(shown) > 2 else ""
    return f"{'; '.join(shown[:2])}{more}."


def _looking_where(image_evidence: ImageEvidence) -> Answer:
    ask, anchor, found = "Looking where?", "where", image_evidence.localisation
    sanity = "" if image_evidence.sanity is None else f" {image_evidence.sanity.statement()}"
    if found is None:
        if sanity and image_evidence.sanity is not None:
            return Answer(
                ask, anchor, image_evidence.sanity.verdict, sanity.strip(), f"{image_evidence.sanity.images} images"
            )
        text = "Not measured: it needs the model, the images, and boxes around the findings:"
        return _open(ask, anchor, text, f"{AGAIN} --model ARTIFACT --data SOURCE")
    whole = found.all
    figure = f"IoU {value((whole.model or whole.null)['iou'], 2)}"
    rests = f"{whole.boxes:,} boxes in {whole.images:,} images; "
    rests += "patients not known" if whole.patients is None else f"{whole.patients:,} patients"
    rests += "" if image_evidence.sanity is None else f"; with random weights {image_evidence.sanity.images} images"
    alert = not (whole.gain and whole.gain["iou"].low > 0)
    return Answer(ask, anchor, figure, f"{found.statement()}{sanity}", rests, alert=alert)


def _shortcut(image_evidence: ImageEvidence) -> Answer:
    ask, anchor, audit = "Is it a shortcut?", "shortcut", image_evidence.shortcuts
    if audit is None:
        text = "Not looked for: predictions do not show what the model sees. It needs the images:"
        return _open(ask, anchor, text, AUDIT)
    reason = f" {audit.reasons[0][:1].upper()}{audit.reasons[0][1:]}." if audit.reasons else ""
    return Answer(
        ask, anchor, audit.verdict, f"{audit.line}.{reason}", on(audit.model), alert=audit.verdict == "suspected"
    )


def _refused(refusals: Refusals | None) -> Answer:
    ask, anchor = "What would it refuse?", "refused"
    if refusals is None:
        text = "Not measured: predictions do not show what a reader would refuse to answer. It needs the model and the images:"
        return _open(ask, anchor, text, f"{AGAIN} --model ARTIFACT --data SOURCE")
    share = refusals.shares["all"]
    if np.isnan(share.value):
        return Answer(ask, anchor, NONE, f"Undefined: {share.reason}.", on(share), alert=True)
    text = f"{percent(share)} of these images ({in_percent(share)}); they are judged here all the same."
    if refusals.reasons:
        kinds = "; ".join(f"{reason} ({count:,})" for reason, count in list(refusals.reasons.items())[:2])
        text += f" Most often: {kinds}."
    return Answer(ask, anchor, percent(share), text, on(share), alert=share.low > MANY_REFUSED)


def _worklist(triage: Triage | None) -> Answer:
    ask, anchor = "What would it do to the worklist?", "worklist"
    if triage is None:
        text = "Not asked: give --images-a-day (or --arrivals), --reading-minutes and --shift to"
        return _open(ask, anchor, text, AGAIN)
    first, then = triage.results[0], triage.results[1]
    abnormal, normal = then.change.get("abnormal", {}).get("mean"), then.change.get("normal", {}).get("mean")
    if abnormal is None or normal is None or np.isnan(abnormal.value):
        return Answer(ask, anchor, NONE, "Undefined: no abnormal image came.", alert=True)
    text = (
        f"Read {then.policy}, an abnormal image is done {then.times['abnormal']['mean'].value:,.0f} min after arrival on "
        f"average instead of {first.times['abnormal']['mean'].value:,.0f}: {told(abnormal, 0, signed=True)} min. A normal one "
        f"{then.times['normal']['mean'].value:,.0f} instead of {first.times['normal']['mean'].value:,.0f}: "
        f"{told(normal, 0, signed=True)} min."
    )
    if triage.note:
        text += f" {triage.note}"
    rests = (
        f"{triage.n_replications} simulated replications of {triage.n_images:,} images, {share_words(triage.prevalence)} "
        f"abnormal, readers busy {share_words(triage.load)} of their time"
        if not np.isnan(triage.load)
        else f"{triage.n_replications} simulated replications of {triage.n_images:,} images"
    )
    return Answer(ask, anchor, f"{value(abnormal, 0, signed=True)} min", text, rests, alert=bool(triage.note))

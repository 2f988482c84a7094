"""The answers that need the images, or others' predictions of them: better than what, where it looks, shortcuts, refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.decisions.refusals import MANY_REFUSED
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.shortcuts.records import IDENTITY, SUSPECTED, TOO_FEW
from cxreader.evaluation.verdict import THUMBNAIL
from cxreader.reporting.evaluation.answer import AUDIT, EVALUATE, NONE, Answer, not_asked
from cxreader.reporting.evaluation.image_evidence import ImageEvidence
from cxreader.reporting.evaluation.tables.refusals import in_percent, percent
from cxreader.reporting.tables import (
    estimate_counts,
    format_estimate,
    format_p_value,
    format_patients,
    format_value,
)

if TYPE_CHECKING:
    from cxreader.evaluation.comparison.paired import PairedComparison
    from cxreader.evaluation.decisions.refusals import Refusals
    from cxreader.evaluation.shortcuts.records import BaselineComparison, ShortcutAudit


_AT_A_GLANCE = {"sensitive": "maps follow weights", "insensitive": "maps ignore weights", "undefined": NONE}


def better_than(evaluation: Evaluation, models: PairedComparison | None, image_evidence: ImageEvidence) -> Answer:
    """The gain in AUC over the strongest baseline that sees no disease, and over other models where there are any.

    Of baselines learnt elsewhere where there are such, since the model was learnt there too; else of those learnt here.
    """
    ask, anchor = "Better than what?", "better"
    audit = image_evidence.shortcuts
    best = None if audit is None else next((r for r in audit.baselines if r.name == audit.best), None)
    gains = {name.removeprefix("auc minus "): gain for name, gain in evaluation.comparisons.items()}
    # What the labels of a patient's other images tell is no rival of a model that has seen no label.
    known = {name: gain for name, gain in gains.items() if not np.isnan(gain.value) and name != IDENTITY}
    known |= {r.title: r.gain for r in (() if audit is None else audit.elsewhere) if not np.isnan(r.gain.value)}
    seen = "needs no image"
    if best is not None or any(name.startswith(THUMBNAIL) for name in known):
        seen = f"sees no disease{_set_aside(audit, best)}"
    if best is not None and not any(name.startswith(THUMBNAIL) for name in known):
        known = {best.title: best.gain}
        seen += "; what the training images teach is not at hand"
    name, gain = min(known.items(), key=lambda item: item[1].value) if known else ("", None)
    against = "" if models is None else _against_models(models)
    if gain is not None:
        text = f"AUC {format_estimate(gain, 3, signed=True)} against {name}, the strongest baseline that {seen}."
        figure = f"{format_value(gain, signed=True)} AUC"
        return Answer(ask, anchor, figure, f"{text} {against}".strip(), estimate_counts(gain), alert=not gain.low > 0)
    if models is not None:
        first = models.pairs[0].auc
        return Answer(ask, anchor, f"{format_value(first, signed=True)} AUC", against, estimate_counts(first))
    if gains and not any(name == IDENTITY for name in gains):
        return Answer(ask, anchor, NONE, f"Undefined: {next(iter(gains.values())).reason}.", alert=True)
    text = "Not asked: give another model's predictions of the same images, or the images themselves:"
    return not_asked(ask, anchor, text, AUDIT)


def _set_aside(audit: ShortcutAudit | None, best: BaselineComparison | None) -> str:
    """The baselines above the best one that are no rival, since the model does not know these patients."""
    if audit is None or best is None:
        return ""
    aside = [r for r in audit.baselines if not r.counts and r.auc.value > best.auc.value]
    reason = "set aside: the model does not know these patients"
    return "".join(f"; {r.name}, AUC {format_estimate(r.auc)}, {reason}" for r in aside)


def _against_models(models: PairedComparison) -> str:
    subject = next(iter(models.auc))
    shown = [
        f"AUC of {pair.first} minus {pair.second} {format_estimate(pair.auc, 3, signed=True)}, "
        f"{format_p_value(pair.adjusted_p['auc'])}"
        for pair in models.pairs
        if pair.first == subject
    ]
    more = f"; and {len(shown) - 2} more" if len(shown) > 2 else ""
    return f"{'; '.join(shown[:2])}{more}."


def looking_where(image_evidence: ImageEvidence) -> Answer:
    """The maps' IoU with boxes against those of fixed maps, and whether the maps depend on the weights."""
    ask, anchor, found, sanity = "Looking where?", "where", image_evidence.localisation, image_evidence.sanity
    if found is None and sanity is not None:
        return Answer(ask, anchor, _AT_A_GLANCE[sanity.verdict], sanity.statement(), f"{sanity.images} images")
    if found is None:
        text = (
            "Whether heat maps lie on findings was not measured: it needs model, images, and boxes around the findings:"
        )
        return not_asked(ask, anchor, text, f"{EVALUATE} --model ARTIFACT --data SOURCE")
    whole = found.all
    figure = f"IoU {format_value((whole.model or whole.null)['iou'], 2)}"
    images = f"{format_count(whole.boxes, '[box|boxes]')} in {format_count(whole.images, '[image|images]')}"
    text, rests = found.statement(), f"{images}; {format_patients(whole.patients)}"
    if sanity is not None:
        text, rests = f"{text} {sanity.statement()}", f"{rests}; with random weights {sanity.images} images"
    return Answer(ask, anchor, figure, text, rests, alert=not whole.gains_over_both())


def shortcut(image_evidence: ImageEvidence) -> Answer:
    """The verdict of the audit for shortcuts with its first reason; that patients are too few is said by the verdict above."""
    ask, anchor, audit = "Is it a shortcut?", "shortcut", image_evidence.shortcuts
    if audit is None:
        text = "Not looked for: predictions do not show what the model sees. It needs the images:"
        return not_asked(ask, anchor, text, AUDIT)
    said = [] if audit.verdict == TOO_FEW and audit.reasons else [audit.line]
    text = " ".join(f"{line[:1].upper()}{line[1:]}." for line in (*said, *audit.reasons[:1]))
    glance = "cannot be told" if audit.verdict == TOO_FEW else audit.verdict
    return Answer(ask, anchor, glance, text, estimate_counts(audit.model), alert=audit.verdict == SUSPECTED)


def refused(refusals: Refusals | None) -> Answer:
    """The share of the judged images that the reader would refuse, and the two most frequent reasons."""
    ask, anchor = "What would it refuse?", "refused"
    if refusals is None:
        text = "Not measured: predictions do not show what a reader would refuse to answer. It needs the model and the images:"
        return not_asked(ask, anchor, text, f"{EVALUATE} --model ARTIFACT --data SOURCE")
    share = refusals.shares["all"]
    if np.isnan(share.value):
        return Answer(ask, anchor, NONE, f"Undefined: {share.reason}.", estimate_counts(share), alert=True)
    text = f"{percent(share)} of these images ({in_percent(share)})"
    text += (
        f"; {format_count(refusals.unanswered, 'of them [has|have] no probability and [is|are] judged nowhere else.')}"
        if refusals.unanswered
        else "; they are judged here all the same."
    )
    if refusals.reasons:
        kinds = "; ".join(f"{reason} ({count:,})" for reason, count in list(refusals.reasons.items())[:2])
        text += f" Most often: {kinds}."
    return Answer(ask, anchor, percent(share), text, estimate_counts(share), alert=share.low > MANY_REFUSED)

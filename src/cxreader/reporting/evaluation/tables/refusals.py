"""How many images a reader would refuse, as a table and in words, for the page, the card and the terminal."""

from __future__ import annotations

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.decisions.answered import Answered
from cxreader.evaluation.decisions.refusals import WHO, Refusals
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.evaluation.statistics.metrics import METRIC_TITLES
from cxreader.reporting.tables import (
    Cell,
    Row,
    Table,
    estimate_cell,
    estimate_counts,
    format_share,
    methods_of,
)

WHAT = (
    "Images that a reader would refuse instead of answering. They are judged here all the same; where every image judged is a "
    "frontal chest radiograph, each refusal is a false one."
)
TOLD = "Images that are refused by the table's column acceptance, instead of answered."


def refusals_table(found: Refusals) -> Table:
    """The share refused of all, of normal and of abnormal images."""
    rows = tuple(
        Row(WHO[name], (Cell(percent(share), (in_percent(share),)),), (estimate_counts(share),))
        for name, share in found.shares.items()
    )
    return Table(("Of", "Refused"), rows, f"95 % intervals: {methods_of(found.shares.values())}.")


def refusal_words(found: Refusals) -> str:
    """What a refusal is, the rate the artifact states, and the reasons met here with their counts."""
    why = "; ".join(f"{reason} ({count:,})" for reason, count in found.reasons.items())
    reasons = f"Reasons: {why}." if why else "None was refused." if not found.shares["all"].value else ""
    if found.unanswered is not None:
        return f"{TOLD} {_judged(found.unanswered)} {reasons}".strip()
    stated = "The artifact holds no rule fitted on its training images: headers and pictures alone were asked."
    if found.stated is not None:
        stated = f"The artifact states {format_share(found.stated)} for each of its checks, on images like its own."
    return f"{WHAT} {stated} {reasons}".strip()


def _judged(unanswered: int) -> str:
    """Whether figures count the refused images of a table."""
    if not unanswered:
        return "They are judged here all the same."
    return format_count(unanswered, "of them [has|have] no probability and [stands|stand] in no other figure.")


def answered_table(evaluation: Evaluation) -> Table | None:
    """Every metric on all images and on the answered ones, side by side; None where all images are answered."""
    found = evaluation.answered
    if found is None or not found.metrics:
        return None
    rows = tuple(
        Row(METRIC_TITLES[name], (estimate_cell(own), estimate_cell(found.metrics[name])))
        for name, own in evaluation.metrics.items()
    )
    caption = f"95 % intervals: {methods_of([*evaluation.metrics.values(), *found.metrics.values()])}."
    head = ("Metric", f"All {evaluation.counts.images:,} images", f"The {found.images:,} answered")
    return Table(head, rows, caption)


def answered_words(found: Answered) -> str:
    """How many images are left without an answer, and what happens to the others."""
    c = found.confusion
    left_out = f"refused {found.refused:,}, referred to a human {found.referred:,}"
    words = f"Answered: {format_count(found.images, '[image|images]')}; {left_out}."
    if not found.metrics:
        return words
    done = f"{c['tp']:,} true and {c['fp']:,} false alarms, {c['fn']:,} missed, {c['tn']:,} true negatives"
    return f"{words} Of the answered: {done}."


def percent(share: Estimate) -> str:
    """`1.4 %`, or undefined."""
    return "undefined" if np.isnan(share.value) else f"{100 * share.value:.1f} %"


def in_percent(share: Estimate) -> str:
    """The interval, `0.7 to 2.2 %`, or why there is none."""
    if np.isnan(share.low):
        return f"no interval: {share.reason}"
    return f"{100 * share.low:.1f} to {100 * share.high:.1f} %"

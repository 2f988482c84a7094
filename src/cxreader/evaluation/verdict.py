"""Is it worth a trial: one verdict in plain words, by stated rules, from what an evaluation found.

First what forbids a verdict (`_forbidding`), then what speaks against a trial (`_against`), then what is not shown (`_open`);
where nothing is left it is worth one. Every reason names its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from cxreader.codec import Plain
from cxreader.counting import format_count
from cxreader.evaluation.calibration.support import ENOUGH, LEAST, CalibrationSupport
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.records import LABEL_NAMES, OperatingPoint

Word = Literal["worth a trial", "not worth a trial at this threshold", "cannot be told"]
WORTH: Final = "worth a trial"
NOT_WORTH: Final = "not worth a trial at this threshold"
UNTOLD: Final = "cannot be told"
HEADLINES: dict[Word, str] = {
    WORTH: "Worth a trial",
    NOT_WORTH: "Not worth a trial at this threshold",
    UNTOLD: "Whether it is worth a trial cannot be told",
}

FEW = LEAST
"""Images or patients of a class below which nothing is told, judged or fitted on."""
ALIKE = 0.90
"""Share of the normal images flagged, or of the abnormal ones missed, from which on flagging all or none is much the same."""
FOREIGN = 0.20
"""Share of refused images above which, if its whole interval lies there, the model is made for other patients."""
NO_GAIN = 0.02
"""Gain in AUC over the thumbnail which, if the whole interval lies below it, is none."""
THUMBNAIL = "16 x 16 thumbnail"
LEARNT_HERE = (
    f"the {THUMBNAIL} it is compared with was learnt on the judged images: one of the training images is not at hand"
)
"""The baseline whose name begins so sees of an image nothing but its coarsest shades."""


@dataclass(frozen=True, eq=False)
class Verdict(Plain):
    """One of three words; `reasons` carry it, the first most; `cautions` are what limits it and what was not tested."""

    word: Word
    reasons: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The verdict and its first reason in one line."""
        return f"{HEADLINES[self.word]}: {self.reasons[0]}" if self.reasons else HEADLINES[self.word]

    def says(self, sentence: str) -> bool:
        """Whether a reason or a caution is this sentence, whatever its first capital and its full stop."""
        return _bare(sentence) in map(_bare, (*self.reasons, *self.cautions))


@dataclass(frozen=True, eq=False)
class Background:
    """What no table of predictions tells.

    `obstacles`: why no verdict can be given whatever the figures, such as patients who set the model. `suspicion`: why the
    audit suspects a shortcut; None where it does not, or was not made. `thumbnail`: the gain in AUC over that baseline as the
    audit found it, learnt on the judged images. `cautions`: what was not tested, or could not be.
    """

    obstacles: tuple[str, ...] = ()
    suspicion: str | None = None
    thumbnail: Estimate | None = None
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Grounds:
    """What the rules look at.

    `point` and `confusion` (tp, fp, tn, fn) at it; `people`: abnormal and normal patients (images where none is known).
    `informedness`: sensitivity + specificity - 1. `advantage`: net benefit an image at the threshold, less that of the better
    of flagging all and flagging none, at `prevalence` (`stated`, or the sample's own), where the threshold is the probability
    `exchange` in [0, 1].
    `thumbnails`: gains in AUC over that baseline as the training images teach it or, with `learnt_here`, as the judged images
    themselves do, where the former is not at hand; `refused`: the share that the reader would refuse, None where not asked.
    """

    point: OperatingPoint
    confusion: Mapping[str, int]
    people: tuple[int, int]
    auc: Estimate
    informedness: Estimate
    advantage: Estimate
    prevalence: float
    stated: bool
    exchange: float
    thumbnails: tuple[Estimate, ...] = ()
    learnt_here: bool = False
    refused: Estimate | None = None
    background: Background = Background()


def reach_verdict(grounds: Grounds) -> Verdict:
    """The verdict by the rules of this file."""
    forbidding, against, undecided = _forbidding(grounds), _against(grounds), _open(grounds)
    reasons = (*forbidding, *against, *undecided)
    if not reasons:
        return Verdict(WORTH, _speaking_for(grounds), _cautions(grounds))
    return Verdict(NOT_WORTH if against and not forbidding else UNTOLD, reasons, _cautions(grounds))


def _forbidding(g: Grounds) -> list[str]:
    """What no figure outweighs: too few, not met honestly, or figures that mean something else."""
    found = [*g.background.obstacles]
    known = g.auc.n_patients is not None
    found += [
        few_judged(n, name, patients_known=known)
        for n, name in zip(g.people, LABEL_NAMES[::-1], strict=True)
        if n < FEW
    ]
    if g.point.fitted_on == "calibrate" and min(g.point.n_positive, g.point.n_negative) < FEW:
        found.append(_rests_on_few(g.point))
    if g.auc.high < 0.5:
        found.append(
            f"the AUC, {g.auc.value:.3f} ({g.auc.interval}), lies below 0.5: the direction is probably reversed"
        )
    if g.auc.value == 1:
        found.append(
            "every abnormal image lies above every normal one: rule out first that images or scores carry the label"
        )
    return found


def _against(g: Grounds) -> list[str]:
    """What a trial could not mend: decisions of everybody or nobody, harm, no more than a thumbnail sees, other patients."""
    return [*_one_sided(g), *_harmful(g), *_no_more_than_a_thumbnail(g), *_other_patients(g)]


def _one_sided(g: Grounds) -> list[str]:
    c = g.confusion
    normal, abnormal = c["fp"] + c["tn"], c["tp"] + c["fn"]
    if min(normal, abnormal) == 0:
        return []
    if c["fn"] + c["tn"] == 0:
        return ["it calls every image abnormal, which is flagging everybody"]
    if c["tp"] + c["fp"] == 0:
        return ["it calls no image abnormal, which is flagging nobody"]
    if c["fp"] >= ALIKE * normal:
        return [f"it flags {_of(c['fp'], normal)} normal images, nearly as flagging everybody would"]
    if c["fn"] >= ALIKE * abnormal:
        return [f"it misses {_of(c['fn'], abnormal)} abnormal images, nearly as flagging nobody would"]
    return []


def _harmful(g: Grounds) -> list[str]:
    if _most(g.informedness) <= 0:
        return ["it flags the normal images at least as often as the abnormal ones"]
    if _most(g.advantage) < 0:
        return [f"{_best_without(g)} does better than following it: {_advantage_words(g)}"]
    return []


def _no_more_than_a_thumbnail(g: Grounds) -> list[str]:
    none = [gain for gain in g.thumbnails if _most(gain) <= NO_GAIN]
    return [
        f"it tells {'hardly' if gain.low > 0 else 'no'} more than a {THUMBNAIL} of the image does: {_against_it(gain, g)}"
        for gain in none[:1]
    ]


def _other_patients(g: Grounds) -> list[str]:
    if g.refused is None or not _least(g.refused) > FOREIGN:
        return []
    share = f"{100 * g.refused.value:.0f} % of these images"
    return [f"this model is for other patients: {share} would be refused instead of answered"]


def _open(g: Grounds) -> list[str]:
    """What is not shown, though it may be so."""
    found = []
    if _least(g.informedness) <= 0:
        found.append("that it flags abnormal images more often than normal ones is not shown")
    if _least(g.advantage) <= 0 <= _most(g.advantage):
        found.append(
            f"that following it does better than {_best_without(g).lower()} is not shown: {_advantage_words(g)}"
        )
    unsure = [gain for gain in g.thumbnails if _least(gain) <= 0 and _most(gain) > NO_GAIN]
    if unsure:
        found.append(f"that it tells more than a {THUMBNAIL} of the image is not shown: {_against_it(unsure[0], g)}")
    if g.background.suspicion is not None:
        found.append(f"a shortcut is suspected: {g.background.suspicion}")
    return found


def _speaking_for(g: Grounds) -> tuple[str, ...]:
    c = g.confusion
    found = [
        f"it finds {_of(c['tp'], c['tp'] + c['fn'])} abnormal images and flags {_of(c['fp'], c['fp'] + c['tn'])} normal ones"
    ]
    if not np.isnan(g.advantage.value):
        found.append(f"following it does better than flagging all and flagging none: {_advantage_words(g)}")
    return (
        *found,
        *(f"it tells more than a {THUMBNAIL}: {_against_it(gain, g)}" for gain in g.thumbnails[:1]),
    )


def _against_it(gain: Estimate, g: Grounds) -> str:
    """The margin over the thumbnail, and where that was learnt."""
    return f"AUC {_signed(gain)} against it, learnt {'here' if g.learnt_here else 'elsewhere'}"


def _cautions(g: Grounds) -> tuple[str, ...]:
    found = list(g.background.cautions)
    fewest = min(g.point.n_positive, g.point.n_negative)
    if g.point.fitted_on != "calibrate":
        found.append(f"the threshold {g.point.threshold:g} was not fitted on other patients: {g.point.rule}")
    elif FEW <= fewest < ENOUGH:
        found.append(_rests_on_few(g.point))
    if not g.thumbnails:
        found.append(f"not compared with a {THUMBNAIL}")
    elif g.learnt_here:
        found.append(LEARNT_HERE)
    if g.refused is None:
        found.append("what a reader would refuse was not asked")
    return tuple(found)


def few_judged(count: int, name: str, *, patients_known: bool) -> str:
    """That so few of a class were judged, `name` abnormal or normal, that no verdict rests on them."""
    if not count:
        return f"there is no {name} image"
    words = f"[patient|patients] with {name} images" if patients_known else f"{name} [image|images]"
    return f"only {format_count(count, words)}, where {FEW} are the least: the intervals are rough"


def _rests_on_few(point: OperatingPoint) -> str:
    return f"what decides {CalibrationSupport(point.n_positive, point.n_negative).threshold_note}"


def _best_without(g: Grounds) -> str:
    """Which of the two needs no model and does better at this threshold and prevalence."""
    return "Flagging everybody" if g.prevalence > g.exchange else "Flagging nobody"


def _advantage_words(g: Grounds) -> str:
    where = f"{100 * g.prevalence:.3g} % abnormal, {'as stated' if g.stated else 'as in this sample'}"
    return f"net benefit {_signed(g.advantage)} an image, {where}"


def _least(estimate: Estimate) -> float:
    """The lower end; the value itself where every resample says the same."""
    return estimate.value if np.isnan(estimate.low) else estimate.low


def _most(estimate: Estimate) -> float:
    """The upper end; the value itself where every resample says the same."""
    return estimate.value if np.isnan(estimate.high) else estimate.high


def _signed(estimate: Estimate) -> str:
    interval = "no interval" if np.isnan(estimate.low) else f"{estimate.low:+.3f} to {estimate.high:+.3f}"
    return f"{estimate.value:+.3f} ({interval})"


def _of(part: int, whole: int) -> str:
    """`398 of 415 (96 %)`."""
    return f"{part:,} of {whole:,} ({100 * part / whole:.0f} %)"


def _bare(sentence: str) -> str:
    return f"{sentence[:1].lower()}{sentence[1:]}".rstrip(".")

"""What an audit for shortcuts says: frozen records, plain values for JSON, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import Any, Final, Literal, Self

from cxreader.codec import Plain, in_words
from cxreader.counting import format_count
from cxreader.errors import DataError
from cxreader.evaluation.evaluate import Counts, Provenance
from cxreader.evaluation.statistics.intervals import Estimate

PREVALENCE, METADATA, IDENTITY = "prevalence", "metadata", "patient identity"
IMAGE_STATISTICS, BORDER = "image statistics", "border only"
"""With `verdict.THUMBNAIL` the names of the baselines that see no disease, as tables show them."""

Learnt = Literal["", "here", "elsewhere"]
HERE: Final = "here"
"""Cross-fitted on the judged images: each is answered by a fit on other patients among them."""
ELSEWHERE: Final = "elsewhere"
"""Fitted on the images that the model was trained on, as the model was."""

SCHEMA = 2
READABLE = (1, SCHEMA)
"""Schema 1 has no `elsewhere`, and says of no baseline where it was learnt: all are of the judged images."""
Verdict = Literal["suspected", "too few patients to say", "not found"]
SUSPECTED: Final = "suspected"
TOO_FEW: Final = "too few patients to say"
NOT_FOUND: Final = "not found"


@dataclass(frozen=True, slots=True)
class Limits:
    """The thresholds of an audit, all of them differences or values of an AUC.

    `shortcut_auc`: a confounder whose AUC has its lower bound above this predicts the label. `gain`: a shortcut is
    suspected where the model's AUC minus that of the best baseline has its lower bound at or below this. `half_width`:
    an interval wider than twice this is too wide for a verdict.
    """

    shortcut_auc: float = 0.60
    gain: float = 0.02
    half_width: float = 0.05


@dataclass(frozen=True, slots=True)
class BaselineComparison(Plain):
    """A predictor that sees no disease, or the model on a part of the image, beside the model on the same images.

    `what` names its input in words. `auc` is its own, `gain` the model's AUC minus it, paired by patient. `shortcut`: a
    high `auc` alone is suspicious. `counts`: it may be the best baseline that the model must beat. `view`: it is the
    model itself, shown a part of the image. `learnt`: where it was fitted.
    """

    name: str
    what: str
    shortcut: bool
    counts: bool
    view: bool
    auc: Estimate
    gain: Estimate
    learnt: Learnt = ""

    @property
    def title(self) -> str:
        """Its name, and where it was learnt: `border only, learnt here`."""
        return learnt_title(self.name, self.learnt)

    def says(self, limits: Limits) -> str:
        """In words, what the two numbers mean."""
        if isnan(self.auc.value):
            return f"not tested: {self.auc.reason}"
        found = [_shortcut_words(self.auc, limits)] if self.shortcut else []
        return "; ".join([*found, _view_words(self.gain) if self.view else _gain_words(self.gain, limits)])


@dataclass(frozen=True, slots=True)
class SourceCount:
    """The images of one source (of one folder of a release), by label."""

    name: str
    normal: int
    abnormal: int


_UNKNOWN = "whether a patient set the model cannot be known"


@dataclass(frozen=True, slots=True)
class Leakage:
    """Whether the model has met the judged patients, counted from the artifact's hashes and from the split.

    Of `asked` images, `met_images` show one of `met_patients` whose images trained, tuned or calibrated the model (images
    count for patients where no patient is known); `left_out`: they were removed before anything was judged. `split` names
    the kind of split: `split_patients` are in more than one of its parts, and `split_images` of its `test_images` (with a
    known patient) show a patient of its train part; all four are None without a split. `known` is False for a model that
    was trained without patients: then only its own images can be recognised. `nameless`: images without a patient among those
    asked about. `met_pictures`: images whose file or pixels set the model, under whatever name; None where the artifact does not
    hold them.
    """

    known: bool
    asked: int
    met_images: int
    met_patients: int
    left_out: bool
    split: str | None = None
    split_patients: int | None = None
    split_images: int | None = None
    test_images: int | None = None
    nameless: int = 0
    met_pictures: int | None = None

    @property
    def judged_met(self) -> bool:
        """True when patients who set the model are among the judged images."""
        return self.met_images > 0 and not self.left_out

    @property
    def lines(self) -> tuple[str, ...]:
        """In words, a line each."""
        outcome = (
            "left out" if self.left_out else "judged all the same, since to show its leak is what this split is for"
        )
        met = format_count(
            self.met_images, f"of {self.asked:,} images [is of a patient|are of patients] who set the model"
        )
        lines = [f"{met} ({self.met_patients:,}): {outcome}"] if self.met_images else []
        if not self.known:
            lines.append(f"{_UNKNOWN}: it was trained without knowing patients")
        elif self.nameless:
            nameless = format_count(self.nameless, f"of {self.asked:,} images, which [names|name] no patient")
            lines.append(f"{_UNKNOWN} of {nameless}")
        elif not self.met_images:
            lines.append(f"none of {format_count(self.asked, '[image|images]')} is of a patient who set the model")
        if self.met_pictures is None:
            lines.append("whether a picture set the model cannot be known: the artifact holds no hashes of its images")
        elif self.met_pictures:
            again = "more [image shows a picture|images show pictures] that set the model, under another name"
            lines.append(f"{format_count(self.met_pictures, again)}: {outcome}")
        if self.split is not None and self.test_images == 0:
            lines.append(f"split by {self.split}: whether a patient is in more than one part cannot be known")
        elif self.split is not None:
            lines.append(
                f"split by {self.split}: patients in more than one part: {self.split_patients:,}; test images of a "
                f"training patient: {self.split_images:,} of {self.test_images:,}"
            )
        return tuple(lines)


@dataclass(frozen=True, eq=False, kw_only=True)
class ShortcutAudit(Plain):
    """The verdict and what it rests on; schema 2 of `shortcuts.json`.

    `reasons` carry the verdict, each with its number; `cautions` are what could not be tested. `baselines` in the order of
    `confounder_baselines`, learnt here: by these alone the verdict goes. `elsewhere`: baselines learnt on the model's
    training images, as far as these or what they taught are at hand. `views`: the model itself on the border alone and on
    the centre alone. `best` names the best baseline that counts, None where none could be had. `sources`: the largest of
    `n_sources`; `coincide` is True when each of them holds one label alone.
    """

    schema: int = SCHEMA
    verdict: Verdict
    reasons: tuple[str, ...]
    cautions: tuple[str, ...]
    model: Estimate
    baselines: tuple[BaselineComparison, ...]
    views: tuple[BaselineComparison, ...]
    best: str | None
    sources: tuple[SourceCount, ...]
    n_sources: int
    coincide: bool
    leakage: Leakage
    counts: Counts
    limits: Limits = Limits()
    elsewhere: tuple[BaselineComparison, ...] = ()
    warnings: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=dict)

    @property
    def beside(self) -> tuple[BaselineComparison, ...]:
        """All that stands beside the model: each baseline learnt here, below it the one learnt elsewhere, then the views."""
        found = []
        for baseline in self.baselines:
            found += [baseline, *(other for other in self.elsewhere if other.name == baseline.name)]
        return (*found, *self.views)

    @property
    def line(self) -> str:
        """The verdict in one line."""
        found = {
            SUSPECTED: "A shortcut is suspected",
            TOO_FEW: "Too few patients to say whether there is a shortcut",
            NOT_FOUND: "No shortcut was found, which is not to say that there is none",
        }
        return found[self.verdict]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The audit that `to_dict` wrote. Raises DataError for another schema, and when a field is missing or wrong."""
        mend = "audit again with: cxreader audit shortcuts"
        if values.get("schema") not in READABLE:
            known = ", ".join(map(str, READABLE))
            raise DataError(f"schema {values.get('schema')!r}, this version reads {known}", mend=mend)
        try:
            return super().from_dict({**values, "schema": SCHEMA})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"is no audit for shortcuts ({in_words(error)})", mend=mend) from error


def learnt_title(name: str, learnt: Learnt) -> str:
    """A baseline's name and where it was learnt; the name alone of what learns nothing."""
    return f"{name}, learnt {learnt}" if learnt else name


def half_width(estimate: Estimate) -> float:
    """Half the interval; infinite where there is none."""
    return float("inf") if isnan(estimate.low) else (estimate.high - estimate.low) / 2


def _shortcut_words(auc: Estimate, limits: Limits) -> str:
    if auc.low > limits.shortcut_auc:
        return "tells the label: a shortcut is open"
    return "too few patients to say" if half_width(auc) > limits.half_width else "tells little of the label"


def _gain_words(gain: Estimate, limits: Limits) -> str:
    if gain.low > limits.gain:
        return "the model sees more"
    if gain.high <= limits.gain:
        return "the model sees no more"
    return "that the model sees more is not shown"


def _view_words(gain: Estimate) -> str:
    if gain.low > 0:
        return "worse than on the whole image"
    return "better than on the whole image" if gain.high < 0 else "no difference from the whole image is shown"

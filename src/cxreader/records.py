"""Frozen records that several rooms pass on. No behaviour beyond checks of their own fields, no torch, no pandas."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import DataError, TableError
from cxreader.findings import read_findings

NORMAL, ABNORMAL = 0, 1
Label = Literal["normal", "abnormal"]
LABEL_NAMES: tuple[Label, Label] = ("normal", "abnormal")
LABELS: Mapping[str, int] = {"normal": NORMAL, "abnormal": ABNORMAL, "0": NORMAL, "1": ABNORMAL}
"""What a cell of a label column should say, in lower case."""
LABELS_IN_WORDS = f"{', '.join(LABELS)}, true or false, positive or negative, names of findings"
"""And what else `label_and_findings` knows, for people."""
_WORDS: Mapping[str, int] = {
    **LABELS,
    **dict.fromkeys(("false", "no", "n", "f", "negative", "neg", "healthy", "no finding", "no findings"), NORMAL),
    **dict.fromkeys(("true", "yes", "y", "t", "positive", "pos"), ABNORMAL),
}
"""And what people write there."""
Decision = Literal["normal", "abnormal", "refer"]
Verdict = Literal["accepted", "warning", "refused"]

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]


def label_and_findings(text: str) -> tuple[int | None, tuple[str, ...]]:
    """The label (0 normal, 1 abnormal) of a cell, and the findings it names; (None, ()) for what is no label.

    Normal, abnormal, 0, 1, 0.0, 1.0, true, yes, positive and their opposites, in any case; the name of a finding, or several
    (`findings.read_findings`), is abnormal.
    """
    words = " ".join(text.lower().replace("_", " ").split())
    if re.fullmatch(r"[01][.,]0*", words):
        words = words[0]
    if words in _WORDS:
        return _WORDS[words], ()
    findings, others = read_findings(text)
    return (ABNORMAL, findings) if findings and not others else (None, ())


@dataclass(frozen=True, slots=True)
class Box:
    """A finding's box in pixels of the image it belongs to: left, top, width, height; origin at the top left corner."""

    finding: str
    x: float
    y: float
    width: float
    height: float

    def scaled(self, sx: float, sy: float | None = None) -> Box:
        """The same box in an image `sx` times as wide and `sy` times as high (`sy` is `sx` when left out)."""
        sy = sx if sy is None else sy
        return Box(self.finding, self.x * sx, self.y * sy, self.width * sx, self.height * sy)


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a source, with whatever its table says of it; None where the table is silent.

    `image` is unique in its source. `path` is the file, or None for a row without one. `age` in years, kept as written;
    `age_plausible` is False outside 0-120. `width` and `height` are the original's in pixels, `spacing` its pixel size
    in mm (x, y). `boxes` are in pixels of the file at `path` (a source whose boxes stand in another frame converts them).
    `findings` hold `findings.OTHER` for what the fourteen have no name for; one that is not among them is not said to be
    absent. `published_part` is where the publisher put the image.
    """

    image: str
    label: int
    path: str | None = None
    patient: str | None = None
    source: str = ""
    findings: tuple[str, ...] = ()
    follow_up: int | None = None
    age: float | None = None
    age_plausible: bool = True
    sex: Literal["M", "F"] | None = None
    view: str | None = None
    width: int | None = None
    height: int | None = None
    spacing: tuple[float, float] | None = None
    boxes: tuple[Box, ...] = ()
    subtype: str | None = None
    published_part: Literal["train", "validation", "test"] | None = None

    @property
    def group(self) -> str:
        """Who is resampled and split as one: the patient, or the image itself where no patient is known."""
        return self.patient if self.patient is not None else f"image:{self.image}"


def group_of(record: ImageRecord) -> str:
    """Who is split and resampled as one, across sources: the source and the patient, or the image where no patient is known."""
    return f"{record.source}\x1f{record.group}"


def patient_names(records: Sequence[ImageRecord]) -> list[str]:
    """Whose image each is, as a table names it: `group_of` for people. Of several sources, SOURCE/patient."""
    several = len({record.source for record in records}) > 1
    return [f"{record.source}/{record.group}" if several else record.group for record in records]


@dataclass(frozen=True, slots=True)
class OperatingPoint(Plain):
    """A named threshold and where it comes from: an image is flagged abnormal when its probability >= `threshold`.

    `rule` says in words how it was chosen; `n_positive` and `n_negative` count the images it was fitted on. A threshold
    that a user typed is `fitted_on` "given" and rests on none. Raises DataError for a threshold outside 0 to 1.
    """

    name: str
    threshold: float
    rule: str
    n_positive: int
    n_negative: int
    fitted_on: Literal["calibrate", "given"] = "calibrate"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise DataError(
                f"threshold {self.threshold} of operating point {self.name!r} is outside 0 to 1",
                mend="give the probability from which on an image is called abnormal",
            )

    @classmethod
    def given(cls, threshold: float) -> OperatingPoint:
        """The point of a threshold that a user typed."""
        return cls("given", float(threshold), "given by the user", 0, 0, "given")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Whether an image is one the reader may answer, the `reasons` of that verdict, and `notes`: what else is to be known.

    An accepted image has no reason.
    """

    verdict: Verdict = "accepted"
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: Acceptance) -> Acceptance:
        """Both together: the graver verdict with its reasons; those of the lighter become notes."""
        weigh = ("accepted", "warning", "refused").index
        verdict = max(self.verdict, other.verdict, key=weigh)
        reasons = [reason for one in (self, other) if one.verdict == verdict for reason in one.reasons]
        lighter = [reason for one in (self, other) if one.verdict != verdict for reason in one.reasons]
        notes = dict.fromkeys((*lighter, *self.notes, *other.notes))
        return Acceptance(verdict, tuple(dict.fromkeys(reasons)), tuple(notes))


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The answer to one image. One that was refused or could not be read has no decision, probability or map: only `reasons`.

    `acceptance`: accepted, warning (it is answered, and `reasons` say what to mind) or refused; None for a file that could
    not be read. `notes`: what else is to be known of the picture, such as a window that its header lacks. `probability` of
    abnormal, calibrated, in [0, 1]. `decision` at `operating_point`. `heat_map` float32 (h, w), raw Grad-CAM of the
    abnormal logit, >= 0, None when it was not asked for. `artifact`: the id of the model that read. `interval`: the
    Venn-Abers pair of the probability, 0 <= low <= probability <= high <= 1, at the prevalence of `calibrate`; no confidence
    interval with a level. `conformal`: normal, abnormal, or refer where the error bound by class allows no answer. Both are
    None where the artifact holds none.

    `region_map` float32 (s, s) in [0, 1]: where a finding of any kind lies, by the artifact's region head, which learnt it from
    radiologists' boxes; `region_maps`: by finding where it would lie if it is there, which they do not say. None of them says
    what moved the probability. None and empty without such a head, and where no heat map was asked for.

    `ood_score`: the out-of-distribution score, >= 0, in multiples of the artifact's threshold: an image above 1 is refused as
    unlike the training images (one at or below 1 may still be refused for another reason). None where the artifact has no
    detector, and for an image that no network was shown: one that its header or its look refused, or that could not be read.
    `sop_class` and `sop_instance_uid`: UIDs of the DICOM file (PS3.3 C.12.1), None for other files, for what the header lacks and
    for a file that could not be read. An instance's UID can lead to a patient: it belongs in results, never in a message or log.

    `score`: in [0, 1], stands in place of `probability`, `interval` and `conformal` where the artifact was calibrated on too few
    images for them (`evaluation.calibration.support`); None where there is a probability. A higher one is more suspicious.

    Where the conformal rule names the other label than the threshold does, `decision` is refer, and `reasons` say so.

    Of several models, `members` holds each one's Reading in their order and `artifact` their ids joined by "+". Then
    `probability` is the mean of theirs, `agreement` 1 less the distance between the smallest and the largest, and
    `decision` is refer where that distance is beyond the bound the artifacts store; `ood_score` is the largest of theirs, since
    one model's refusal refuses the image; heat maps and region maps are the members' alone.
    """

    image: str
    artifact: str
    operating_point: OperatingPoint
    decision: Decision | None = None
    probability: float | None = None
    heat_map: NDArray[np.float32] | None = None
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    interval: tuple[float, float] | None = None
    conformal: Decision | None = None
    acceptance: Verdict | None = None
    agreement: float | None = None
    members: tuple[Reading, ...] = ()
    ood_score: float | None = None
    sop_class: str | None = None
    sop_instance_uid: str | None = None
    score: float | None = None
    region_map: NDArray[np.float32] | None = None
    region_maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def value(self) -> float | None:
        """What is compared with the threshold: the probability, else the score; None without an answer."""
        return self.score if self.probability is None else self.probability


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """Anybody's predictions, in columns of one length n; what `evaluation` judges.

    `image` (n,) str; `label` (n,) int8, 1 abnormal; `probability` (n,) float64 in [0,1], NaN not allowed; `patient` (n,)
    str or None when unknown. `columns` holds further columns by name (sex, age, view, follow_up, source, findings,
    model), each (n,). Raises TableError when lengths, labels, probabilities or names (twice the same image) are wrong.
    """

    image: NDArray[np.str_]
    label: IntArray
    probability: FloatArray
    patient: NDArray[np.str_] | None = None
    columns: dict[str, NDArray[np.generic]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.image)
        for name in ("label", "probability", "patient"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise TableError(f"column {name!r} has {len(column)} rows, the images are {n}")
        for name, column in self.columns.items():
            if len(column) != n:
                raise TableError(f"column {name!r} has {len(column)} rows, the images are {n}")
        if not np.isin(self.label, (NORMAL, ABNORMAL)).all():
            raise TableError("a label is neither 0 (normal) nor 1 (abnormal)", mend="write normal or abnormal")
        outside = ~((self.probability >= 0) & (self.probability <= 1))
        if outside.any():
            row = int(np.flatnonzero(outside)[0])
            raise TableError(
                f"probability {self.probability[row]} of row {row + 1} is outside 0 to 1",
                mend="give the probability of abnormal, not a logit or a percentage",
            )
        if len(np.unique(self.image)) != n:
            names, counts = np.unique(self.image, return_counts=True)
            raise TableError(f"image {names[counts > 1][0]} stands twice", mend="keep one row an image")

    def __len__(self) -> int:
        return len(self.image)

    @property
    def groups(self) -> NDArray[np.integer]:
        """(n,) int64: who is resampled together, numbered from 0; each image for itself where no patient is known."""
        if self.patient is None:
            return np.arange(len(self))
        return np.asarray(np.unique(self.patient, return_inverse=True)[1])

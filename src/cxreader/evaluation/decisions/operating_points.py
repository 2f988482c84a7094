"""Operating points: the threshold at which a probability becomes a decision. Fitted on `calibrate`, never on test."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError, TableError, UsageError, nearest
from cxreader.evaluation.calibration.temperature import refuse_one_class
from cxreader.evaluation.statistics.prevalence import at_prevalence
from cxreader.records import OperatingPoint

Floats = NDArray[np.float64]
RuleKind = Literal["youden", "sensitivity", "specificity", "npv"]
KINDS: tuple[RuleKind, ...] = get_args(RuleKind)
_EXAMPLE = "write for example 'screening: sensitivity 0.95' or 'rule-out: npv 0.99 at prevalence 0.1'"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Rule:
    """How a threshold is chosen: `youden`, or a `target` in (0, 1] of sensitivity, specificity or NPV.

    `youden` takes the largest J = sensitivity + specificity - 1 (Youden, Cancer 1950), and of several equally good
    thresholds the lowest: a second reader would rather look once more than miss.
    An NPV needs the `prevalence` in (0, 1) at which it is meant; the other kinds take none. `str` gives the rule in
    words. Raises UsageError for an unknown kind and for numbers that are missing, too many or outside their range.
    """

    kind: RuleKind
    target: float | None = None
    prevalence: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"no rule of operating points is named {self.kind!r}", mend=nearest(self.kind, KINDS))
        for what, value, wanted in (
            ("target", self.target, self.kind != "youden"),
            ("prevalence", self.prevalence, self.kind == "npv"),
        ):
            if (value is not None) != wanted:
                raise UsageError(f"the rule {self.kind!r} {'needs a' if wanted else 'takes no'} {what}", mend=_EXAMPLE)
        if self.target is not None and not 0 < self.target <= 1:
            raise UsageError(f"the target {self.target} is not above 0 and at most 1", mend="give a share such as 0.95")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            what = f"the prevalence {self.prevalence} lies not between 0 and 1"
            raise UsageError(what, mend="give a share such as 0.1")

    def __str__(self) -> str:
        if self.target is None:
            return "largest sensitivity + specificity - 1"
        where = "" if self.prevalence is None else f" at prevalence {self.prevalence:.12g}"
        return f"{'NPV' if self.kind == 'npv' else self.kind} at least {self.target:.12g}{where}"

    def fit(self, name: str, label: NDArray[np.integer], probability: NDArray[np.floating]) -> OperatingPoint:
        """The point of this rule on the calibrate part: labels (n,) 0 or 1, probabilities (n,) of abnormal in [0, 1].

        Of the thresholds that reach the target the one that costs least is taken: for a sensitivity or an NPV the
        highest, for a specificity the lowest. It lies halfway between two neighbouring probabilities, so that a later
        rounding flips no image of the part. A sensitivity is always reached, in the worst case by flagging all.
        Raises TableError when the lengths differ; DataError when the part has only one class, or when no threshold
        reaches the target: at a specificity some image must stay flagged, at an NPV some image unflagged.
        """
        steps = _Steps.of(label, probability)
        if self.target is None:  # J in whole numbers: ties stay ties
            return steps.point(
                name, int(np.argmax(steps.tp * steps.n_negative - steps.fp * steps.n_positive)), str(self)
            )
        reached = self._rates(steps)
        good = np.flatnonzero(reached >= self.target - 1e-12)
        if len(good) == 0:
            best = np.max(reached, where=~np.isnan(reached), initial=0.0)
            raise DataError(
                f"no threshold has a {self}: the best on the {steps.n_positive} abnormal and {steps.n_negative} normal "
                f"images of calibrate is {best:.3f}",
                where=f"operating point {name!r}",
                mend="ask for a lower target, or give calibrate more patients",
            )
        return steps.point(name, int(good[0] if self.kind == "specificity" else good[-1]), str(self))

    def _rates(self, steps: _Steps) -> Floats:
        """What the target is about, at each threshold (k,)."""
        sensitivity, specificity = steps.tp / steps.n_positive, 1 - steps.fp / steps.n_negative
        if self.prevalence is None:
            return sensitivity if self.kind == "sensitivity" else specificity
        # An NPV is the precision of calling an image normal: the two classes change places.
        return at_prevalence(specificity, sensitivity, 1 - self.prevalence)["precision"]


@dataclass(frozen=True, eq=False)
class _Steps:
    """Threshold k flags all images from `values[k]` on, in rising order: `tp[k]` abnormal and `fp[k]` normal ones."""

    values: Floats
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]

    @classmethod
    def of(cls, label: NDArray[np.integer], probability: NDArray[np.floating]) -> _Steps:
        if len(label) != len(probability):
            raise TableError(f"{len(probability)} probabilities for {len(label)} labels", mend="give one an image")
        refuse_one_class(label)
        positive = np.asarray(label) == 1
        values, index = np.unique(np.asarray(probability, dtype=np.float64), return_inverse=True)
        counts = (np.bincount(index[of_class], minlength=len(values)) for of_class in (positive, ~positive))
        return cls(values, *(np.cumsum(count[::-1])[::-1] for count in counts))

    @property
    def n_positive(self) -> int:
        return int(self.tp[0])

    @property
    def n_negative(self) -> int:
        return int(self.fp[0])

    def point(self, name: str, k: int, rule: str) -> OperatingPoint:
        below = self.values[k - 1] if k > 0 else 0.0
        halfway = below + (self.values[k] - below) / 2
        threshold = halfway if halfway > below else self.values[k]  # neighbours in float have nothing between them
        return OperatingPoint(name, float(threshold), rule, self.n_positive, self.n_negative)


def parse_rule(spec: str) -> tuple[str, Rule]:
    """Name and rule of one line such as `screening: sensitivity 0.95` or `rule-out: npv 0.99 at prevalence 0.1`.

    A name is letters, digits, `-` and `_`; `youden` names its own rule only, `given` a threshold that a user typed.
    Raises UsageError, naming the line and the nearest known word.
    """
    name, colon, text = (part.strip() for part in spec.partition(":"))
    words = text.split()
    if not colon or not _NAME.fullmatch(name) or not words:
        raise UsageError(f"{spec!r} is no operating point", mend=_EXAMPLE)
    kind, numbers = words[0].lower(), words[1:]
    try:
        rule = Rule(cast(RuleKind, kind), *_shares(numbers))
    except UsageError as error:
        raise UsageError(error.what, where=f"operating point {spec!r}", mend=error.mend) from None
    if name == "given" or (name == "youden" and rule.kind != "youden"):
        raise UsageError(f"the name {name!r} is taken", where=f"operating point {spec!r}", mend="choose another name")
    return name, rule


def parse_rules(specs: Iterable[str]) -> dict[str, Rule]:
    """The rules of several lines by name, in their order; raises UsageError as `parse_rule` does, and for a name twice."""
    rules: dict[str, Rule] = {}
    for spec in specs:
        name, rule = parse_rule(spec)
        if name in rules:
            raise UsageError(f"two operating points are named {name!r}", mend="give every point its own name")
        rules[name] = rule
    return rules


def _shares(words: list[str]) -> list[float]:
    """The numbers of `T` or of `T at prevalence P`; none of no words."""
    if len(words) > 1 and (len(words) != 4 or words[1:3] != ["at", "prevalence"]):
        raise UsageError(f"{' '.join(words[1:])!r} is not understood", mend="only 'at prevalence P' may follow")
    try:
        return [float(word) for word in words[::3]]
    except ValueError:
        raise UsageError(f"{' '.join(words)!r} is no number", mend="give a share such as 0.95") from None

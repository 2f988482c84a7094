"""Normal, abnormal, or refer to a human: a reading that says when it cannot tell, with a bound on its errors by class.

Class-wise (Mondrian) split conformal prediction (V. Vovk, Machine Learning 92, 2013, 349-376; M. Sadinle, J. Lei and
L. Wasserman, Journal of the American Statistical Association 114, 2019, 223-234): a label is possible for a new image
unless nearly all calibration images of that label fit it better. Over calibration and test images drawn alike, an
abnormal image is then without the label abnormal in at most a share alpha of cases, and a normal one without normal.
Several images of one patient are not drawn independently, so the bound is measured on test besides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import DataError, TableError, UsageError
from cxreader.evaluation.calibration.temperature import refuse_one_class
from cxreader.evaluation.statistics.exact import bounded_share
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Statistic, Weights, bootstrap
from cxreader.evaluation.statistics.metrics import ratio
from cxreader.records import LABEL_NAMES

Floats = NDArray[np.float64]
LabelSet = Literal["normal", "abnormal", "both", "neither"]
LABEL_SETS: tuple[LabelSet, ...] = ("normal", "abnormal", "both", "neither")
REFER = "refer"


@dataclass(frozen=True, slots=True)
class ConformalRule(Plain):
    """Two thresholds: abnormal is possible from `abnormal_from` on, normal up to `normal_to` (both inclusive).

    `alpha` in (0, 1) bounds the share of each class whose own label is ruled out. `n_positive` and `n_negative` count
    the images of `calibrate` that fixed `abnormal_from` and `normal_to`. Raises DataError outside these ranges.
    """

    alpha: float
    abnormal_from: float
    normal_to: float
    n_positive: int
    n_negative: int

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 <= self.abnormal_from <= 1 and 0 <= self.normal_to <= 1):
            what = f"the conformal rule has alpha {self.alpha}, thresholds {self.abnormal_from} and {self.normal_to}"
            raise DataError(f"{what}: outside 0 to 1", mend="fit it again on the calibrate part")

    def label_set(self, probability: NDArray[np.floating]) -> NDArray[np.str_]:
        """Which labels are possible for probabilities (n,) of abnormal: (n,) of LABEL_SETS."""
        p = np.asarray(probability, dtype=np.float64)
        normal, abnormal = p <= self.normal_to, p >= self.abnormal_from
        return np.asarray(LABEL_SETS)[np.where(normal, np.where(abnormal, 2, 0), np.where(abnormal, 1, 3))]

    def predict(self, probability: NDArray[np.floating]) -> NDArray[np.str_]:
        """(n,) of `normal`, `abnormal` and `refer`, where both labels are possible or neither is."""
        possible = self.label_set(probability)
        return np.where(np.isin(possible, LABEL_NAMES), possible, REFER)


@dataclass(frozen=True, eq=False)
class JointRule:
    """What several models' rules say together of the judged images: a label alone where each rule says it, else both.

    `answers` (k, n): what each of k rules predicts of the n images: normal, abnormal or refer. A label is ruled out only where
    every rule does so, at most `alpha` of a class where the smallest of their bounds is `alpha`.
    """

    answers: NDArray[np.str_]
    alpha: float

    def label_set(self, probability: NDArray[np.floating]) -> NDArray[np.str_]:
        """(n,) of LABEL_SETS; the probabilities (n,) of the mean are looked at for their number alone."""
        if len(probability) != self.answers.shape[1]:
            raise TableError(
                f"{len(probability)} probabilities for {self.answers.shape[1]} answers", mend="give one an image"
            )
        first = self.answers[0]
        alike = (self.answers == first).all(axis=0) & (first != REFER)
        return np.where(alike, first, "both")


def contradicting(rule: ConformalRule, probability: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """(n,) True where the rule holds one label alone possible and the threshold gives the other: a reader then refers."""
    answer, decision = (
        rule.predict(probability),
        np.asarray(LABEL_NAMES)[(np.asarray(probability) >= threshold).astype(int)],
    )
    return np.asarray((answer != REFER) & (answer != decision))


def fit_conformal(label: NDArray[np.integer], probability: NDArray[np.floating], alpha: float = 0.1) -> ConformalRule:
    """The rule from the calibrate part: labels (n,) 0 or 1, probabilities (n,) of abnormal in [0, 1].

    Of n images of a class the ceil((n + 1)(1 - alpha))-th best fitting one sets its threshold.
    Raises UsageError for an alpha that does not lie between 0 and 1, TableError when the lengths differ, DataError when
    a class has fewer images than `n_needed`.
    """
    needed = n_needed(alpha)
    if len(label) != len(probability):
        raise TableError(f"{len(probability)} probabilities for {len(label)} labels", mend="give one an image")
    refuse_one_class(label)
    p = np.asarray(probability, dtype=np.float64)
    by_class = {LABEL_NAMES[value]: np.sort(p[np.asarray(label) == value]) for value in (0, 1)}
    for name, own in by_class.items():
        if len(own) < needed:
            enough = math.ceil(1e4 / (len(own) + 1)) / 1e4
            raise DataError(
                f"the calibrate part has {len(own)} {name} images: an error bound of {alpha:g} needs at least {needed}",
                mend=f"give calibrate more patients, or take a bound of {enough:g} or more",
            )
    normal, abnormal = by_class["normal"], by_class["abnormal"]
    return ConformalRule(
        alpha=alpha,
        abnormal_from=float(abnormal[::-1][_rank(len(abnormal), alpha) - 1]),
        normal_to=float(normal[_rank(len(normal), alpha) - 1]),
        n_positive=len(abnormal),
        n_negative=len(normal),
    )


def n_needed(alpha: float) -> int:
    """How many images of a class an error bound needs: the least n with ceil((n + 1)(1 - alpha)) <= n.

    Raises UsageError for an alpha that does not lie between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"the error bound {alpha} lies not between 0 and 1", mend="give a share such as 0.1")
    return math.ceil(1 / Fraction(str(alpha))) - 1


def _rank(n: int, alpha: float) -> int:
    """ceil((n + 1)(1 - alpha)) of the decimal number that was written, free of the rounding of floats."""
    return math.ceil((n + 1) * (1 - Fraction(str(alpha))))


MEASURES = (
    *("coverage_abnormal", "coverage_normal", "referred", "referred_abnormal", "referred_normal"),
    *("both", "neither", "right_when_decided"),
)


@dataclass(frozen=True, eq=False)
class ConformalResult(Plain):
    """What a rule does on test.

    `rule`: None where several models' rules answer together (`JointRule`), whose bound is `bound`. `counts` has by class,
    `normal` and `abnormal`, how many images got each of LABEL_SETS. `measures` by the names of MEASURES: coverage, the share of
    a class whose own label is possible; the shares referred, of all and by class, with both or with neither label possible; the
    share of right answers among those given. `prevalence` and `referred_deployed`: the share referred where the user states
    that prevalence.
    """

    rule: ConformalRule | None
    counts: dict[str, dict[str, int]]
    measures: dict[str, Estimate]
    prevalence: float | None = None
    referred_deployed: Estimate | None = None
    bound: float | None = None

    @property
    def alpha(self) -> float:
        """The share of each class whose own label is ruled out at most."""
        return self.rule.alpha if self.rule is not None else float("nan") if self.bound is None else self.bound


def judge_conformal(
    rule: ConformalRule | JointRule,
    sample: Sample,
    probability: NDArray[np.floating],
    *,
    prevalence: float | None = None,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> ConformalResult:
    """Measure a rule on test: probabilities (n,) of abnormal in the sample's order; intervals by patient.

    Raises TableError for another length and for a prevalence that does not lie between 0 and 1.
    """
    if len(probability) != len(sample.label):
        what = f"{len(probability)} probabilities for {len(sample.label)} labels"
        raise TableError(what, mend="give one an image, in the sample's order")
    if prevalence is not None and not 0 < prevalence < 1:
        raise TableError(f"the prevalence {prevalence} lies not between 0 and 1", mend="give a share such as 0.2")
    joint = isinstance(rule, JointRule)
    cells = _cells(sample.label, rule.label_set(probability))
    found = bootstrap(
        _measures(cells, prevalence), sample, n_resamples=n_resamples, seed=seed, reasons=_reasons(sample.label)
    )
    counted = cells.sum(axis=0).astype(int).reshape(2, len(LABEL_SETS))
    return ConformalResult(
        rule=None if isinstance(rule, JointRule) else rule,
        bound=rule.alpha if joint else None,
        counts={LABEL_NAMES[k]: dict(zip(LABEL_SETS, row, strict=True)) for k, row in enumerate(counted.tolist())},
        measures={name: bounded_share(found[name], _of(name, cells), sample) for name in MEASURES},
        prevalence=prevalence,
        referred_deployed=found.get("referred_deployed"),
    )


def _cells(label: NDArray[np.integer], possible: NDArray[np.str_]) -> Floats:
    """Indicator columns (n, 8): each label set of the normal, then of the abnormal."""
    of_class = [np.asarray(label) == value for value in (0, 1)]
    return np.stack([own & (possible == name) for own in of_class for name in LABEL_SETS], axis=1).astype(np.float64)


def _of(measure: str, cells: Floats) -> NDArray[np.bool_]:
    """(n,) True for the images of which a measure is a share."""
    normal, abnormal = np.split(cells, 2, axis=1)
    if measure.endswith("abnormal"):
        return np.asarray(abnormal.any(axis=1))
    if measure.endswith("normal"):
        return np.asarray(normal.any(axis=1))
    decided = np.asarray((normal + abnormal)[:, :2].any(axis=1))
    return decided if measure == "right_when_decided" else np.ones(len(cells), np.bool_)


def _measures(cells: Floats, prevalence: float | None) -> Statistic:
    def statistic(weight: Weights) -> dict[str, Floats]:
        n = (weight @ cells).reshape(-1, 2, len(LABEL_SETS))
        (normal, abnormal), own = np.moveaxis(n, 1, 0), n.sum(axis=2)
        is_normal, is_abnormal, both, neither = range(4)
        referred = n[:, :, both] + n[:, :, neither]
        whole, decided = own.sum(axis=1), (own - referred).sum(axis=1)
        values = {
            "coverage_abnormal": ratio(abnormal[:, is_abnormal] + abnormal[:, both], own[:, 1]),
            "coverage_normal": ratio(normal[:, is_normal] + normal[:, both], own[:, 0]),
            "referred": ratio(referred.sum(axis=1), whole),
            "referred_abnormal": ratio(referred[:, 1], own[:, 1]),
            "referred_normal": ratio(referred[:, 0], own[:, 0]),
            "both": ratio(n[:, :, both].sum(axis=1), whole),
            "neither": ratio(n[:, :, neither].sum(axis=1), whole),
            "right_when_decided": ratio(normal[:, is_normal] + abnormal[:, is_abnormal], decided),
        }
        if prevalence is None:
            return values
        by_class = prevalence * values["referred_abnormal"] + (1 - prevalence) * values["referred_normal"]
        return values | {"referred_deployed": by_class}

    return statistic


def _reasons(label: NDArray[np.integer]) -> dict[str, str]:
    if len(label) == 0:
        return dict.fromkeys((*MEASURES, "referred_deployed"), "no image")
    abnormal, normal = "no abnormal image", "no normal image"
    return {
        **dict.fromkeys(("coverage_abnormal", "referred_abnormal"), abnormal),
        **dict.fromkeys(("coverage_normal", "referred_normal"), normal),
        "right_when_decided": "every image is referred",
        "referred_deployed": normal if np.any(label == 1) else abnormal,
    }

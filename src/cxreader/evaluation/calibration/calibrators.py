"""Maps from a network's score to a probability, fitted on `calibrate` and kept as plain numbers.

The score is the logit of abnormal minus that of normal, which for a probability is its log odds. Every map rises with the
score, so it never reverses two images; all but the isotonic one keep them apart too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain, in_words
from cxreader.errors import DataError, TableError, nearest
from cxreader.evaluation.calibration.temperature import apply_temperature, fit_temperature, refuse_one_class, sigmoid
from cxreader.evaluation.statistics.logistic import fit_logistic

Floats = NDArray[np.float64]
_MEND = "fit it again on the calibrate part"


class Calibrator(Protocol):
    """A fitted map. `n_positive` and `n_negative` count the images of `calibrate` that it was fitted on."""

    @property
    def method(self) -> str:
        """The name by which `fit_calibrator` and `calibrator_from_dict` know it."""

    @property
    def n_positive(self) -> int:
        """Abnormal images it was fitted on."""

    @property
    def n_negative(self) -> int:
        """Normal images it was fitted on."""

    def apply(self, score: NDArray[np.floating]) -> Floats:
        """Probabilities (n,) in [0, 1] of scores (n,); raises TableError for scores that are not finite."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON; `calibrator_from_dict` is the inverse, exactly."""


@dataclass(frozen=True, slots=True)
class Temperature(Plain):
    """sigmoid(score / `temperature`): Guo et al., ICML 2017."""

    temperature: float
    n_positive: int
    n_negative: int
    method: Literal["temperature"] = "temperature"

    @classmethod
    def fit(cls, score: Floats, label: NDArray[np.integer]) -> Temperature:
        """The most likely temperature in [0.05, 20]; see `fit_temperature`."""
        return cls(fit_temperature(_as_logits(score), label), *_counts(label))

    def apply(self, score: NDArray[np.floating]) -> Floats:
        """See `Calibrator.apply`."""
        return apply_temperature(_as_logits(checked_scores(score)), self.temperature)


@dataclass(frozen=True, slots=True)
class Platt(Plain):
    """sigmoid(`intercept` + `slope` * score).

    J. Platt, Probabilistic outputs for support vector machines, in Advances in Large Margin Classifiers, 1999; his A is
    -slope, his B -intercept.
    """

    slope: float
    intercept: float
    n_positive: int
    n_negative: int
    method: Literal["platt"] = "platt"

    @classmethod
    def fit(cls, score: Floats, label: NDArray[np.integer]) -> Platt:
        """The most likely line, labels taken as (n+ + 1)/(n+ + 2) and 1/(n- + 2), so that perfect classes have one.

        Scores that fall with the label get a slope of 0 or below, which would turn the ranking round: DataError. So do
        scores that are all equal.
        """
        n_positive, n_negative = _counts(label)
        target = np.where(np.asarray(label) == 1, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
        # Scores of any size: the fit runs in units of their spread.
        centre, spread = float(score.mean()), float(score.std())
        design = np.stack([np.ones(len(score)), (score - centre) / (spread or 1.0)], axis=1)
        whole, zeros = np.ones((1, len(score))), np.zeros(len(score))
        ((level, rise),) = fit_logistic(design, target, whole, offset=zeros, start=np.zeros(2))
        if not rise > 0:
            raise DataError(
                "the scores of calibrate do not rise with the label: no Platt map keeps their order",
                mend="look at the AUC on calibrate; below 0.5 the classes are exchanged",
            )
        slope = float(rise / spread)
        return cls(slope, float(level - slope * centre), n_positive, n_negative)

    def apply(self, score: NDArray[np.floating]) -> Floats:
        """See `Calibrator.apply`."""
        return sigmoid(self.intercept + self.slope * checked_scores(score))


@dataclass(frozen=True, slots=True)
class Isotonic(Plain):
    """The rising map nearest to the labels, straight between `scores` (k,), flat outside, with `probabilities` (k,).

    Zadrozny & Elkan, KDD 2002; pool adjacent violators. Raises DataError unless the scores rise strictly and the
    probabilities do not fall and stay in [0, 1].
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]
    n_positive: int
    n_negative: int
    method: Literal["isotonic"] = "isotonic"

    def __post_init__(self) -> None:
        scores, p = np.asarray(self.scores, dtype=np.float64), np.asarray(self.probabilities, dtype=np.float64)
        if not (len(scores) == len(p) > 0 and (np.diff(scores) > 0).all() and (np.diff(p) >= 0).all()):
            raise DataError("the steps of an isotonic calibration do not rise", mend=_MEND)
        if not (p[0] >= 0 and p[-1] <= 1):
            raise DataError("a probability of an isotonic calibration is outside 0 to 1", mend=_MEND)

    @classmethod
    def fit(cls, score: Floats, label: NDArray[np.integer]) -> Isotonic:
        """Least squares under the order, by scikit-learn, which also thins the plateaus to their ends."""
        from sklearn.isotonic import IsotonicRegression  # brings pandas where it is installed; no reading needs it

        fitted = IsotonicRegression(out_of_bounds="clip").fit(score, np.asarray(label, dtype=np.float64))
        scores, probabilities = fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist()
        return cls(tuple(scores), tuple(probabilities), *_counts(label))

    def apply(self, score: NDArray[np.floating]) -> Floats:
        """See `Calibrator.apply`."""
        return np.asarray(np.interp(checked_scores(score), self.scores, self.probabilities), dtype=np.float64)


_KINDS: dict[str, type[Temperature] | type[Platt] | type[Isotonic]] = {
    "temperature": Temperature,
    "platt": Platt,
    "isotonic": Isotonic,
}


def fit_calibrator(method: str, score: NDArray[np.floating], label: NDArray[np.integer]) -> Calibrator:
    """Fit `temperature`, `platt` or `isotonic` on the scores (n,) and labels (n,) 0 or 1 of `calibrate`.

    Raises DataError for an unknown method or when a class is missing, TableError for other lengths or scores that are
    not finite.
    """
    kind = _kind(method)
    checked = checked_scores(score)
    if len(checked) != len(label):
        raise TableError(f"{len(label)} labels for {len(checked)} scores", mend="give one label an image")
    refuse_one_class(label)
    return kind.fit(checked, label)


def calibrator_from_dict(values: Mapping[str, Any]) -> Calibrator:
    """The inverse of a calibrator's `to_dict`, exactly. Raises DataError for an unknown method or fields that do not fit."""
    try:
        kind = _kind(str(values["method"]))
        return kind.from_dict(values)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"is no calibration ({in_words(error)})", mend=_MEND) from None


def checked_scores(score: NDArray[np.floating]) -> Floats:
    """Scores (n,) as float64; raises TableError unless they are one row of finite numbers."""
    values = np.asarray(score, dtype=np.float64)
    if values.ndim != 1:
        raise TableError(
            f"scores have shape {values.shape}", mend="give (n,): the logit of abnormal minus that of normal"
        )
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise TableError(f"the score of row {row + 1} is not finite", mend="look for a diverged training")
    return values


def _kind(method: str) -> type[Temperature] | type[Platt] | type[Isotonic]:
    if method not in _KINDS:
        raise DataError(f"no calibration is named {method!r}", mend=nearest(method, _KINDS))
    return _KINDS[method]


def _as_logits(score: Floats) -> Floats:
    return np.stack([np.zeros_like(score), score], axis=1)


def _counts(label: NDArray[np.integer]) -> tuple[int, int]:
    n_positive = int(np.count_nonzero(np.asarray(label) == 1))
    return n_positive, len(label) - n_positive

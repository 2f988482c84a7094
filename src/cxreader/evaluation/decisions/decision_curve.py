"""Is the reading worth acting on: net benefit over threshold probabilities, against flagging all and flagging none.

Who flags from a probability p on holds that one abnormal image found is worth (1 - p) / p false alarms; net benefit
counts the abnormal found less the false alarms at that rate of exchange, an image (A. J. Vickers and E. B. Elkin,
Medical Decision Making 26, 2006, 565-574).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import TableError
from cxreader.evaluation.statistics.curves import band
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Sample, Statistic, Weights, method_name, resample
from cxreader.evaluation.statistics.metrics import ratio

Floats = NDArray[np.float64]
THRESHOLDS: Floats = np.arange(1, 100) / 100


@dataclass(frozen=True, eq=False)
class DecisionCurve(Plain):
    """Net benefit an image at threshold probabilities, each (k,), with pointwise 95 % bands by patient.

    `threshold` in (0, 1). `net_benefit` of flagging from the threshold on, between `low` and `high`; `treat_all` that of
    flagging every image; that of flagging none is 0. `advantage` is `net_benefit` minus the better of these two, with
    its own paired band. `prevalence` is the share of abnormal images it stands for, the sample's own unless `deployed`.
    NaN where undefined, and `reason` says why.
    """

    threshold: Floats
    net_benefit: Floats
    low: Floats
    high: Floats
    treat_all: Floats
    advantage: Floats
    advantage_low: Floats
    advantage_high: Floats
    prevalence: float
    deployed: bool
    n_positive: int
    n_negative: int
    n_patients: int | None
    method: str
    reason: str | None = None

    @property
    def useful(self) -> tuple[tuple[float, float], ...]:
        """Stretches of at least two thresholds, first to last, at which the band of the advantage lies above 0.

        The band is pointwise: of many thresholds a single one lies above it by chance easily.
        """
        above = np.concatenate([[False], self.advantage_low > 0, [False]])
        first, behind = np.flatnonzero(np.diff(above.astype(np.int8))).reshape(-1, 2).T
        return tuple(
            (float(self.threshold[a]), float(self.threshold[b - 1]))
            for a, b in zip(first, behind, strict=True)
            if b - a > 1
        )


def decision_curve(
    sample: Sample,
    probability: NDArray[np.floating],
    *,
    prevalence: float | None = None,
    thresholds: Floats = THRESHOLDS,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> DecisionCurve:
    """The curve of calibrated probabilities (n,) of abnormal in [0, 1], in the sample's order.

    With a `prevalence` in (0, 1) the two classes are reweighted to it; then hand over the probabilities as they would be
    shown there, shifted to that prevalence if they would be.
    Raises TableError for another length, a prevalence that does not lie between 0 and 1, and a threshold that does not.
    """
    if len(probability) != len(sample.label):
        what = f"{len(probability)} probabilities for {len(sample.label)} labels"
        raise TableError(what, mend="give one an image, in the sample's order")
    if prevalence is not None and not 0 < prevalence < 1:
        raise TableError(f"the prevalence {prevalence} lies not between 0 and 1", mend="give a share such as 0.2")
    if len(thresholds) == 0 or not ((thresholds > 0) & (thresholds < 1)).all():
        raise TableError("a threshold probability lies not between 0 and 1", mend="leave 0 and 1 themselves out")
    statistic = _net_benefit(sample.label, probability, thresholds, prevalence)
    points, draws = resample(statistic, sample, n_resamples=n_resamples, seed=seed)
    nowhere = np.full((2, len(thresholds)), np.nan)
    low, high = band(draws["model"]) if draws else nowhere
    advantage_low, advantage_high = band(draws["advantage"]) if draws else nowhere
    return DecisionCurve(
        threshold=thresholds,
        net_benefit=points["model"][0],
        low=low,
        high=high,
        treat_all=points["all"][0],
        advantage=points["advantage"][0],
        advantage_low=advantage_low,
        advantage_high=advantage_high,
        prevalence=_share(sample.n_positive, len(sample.label)) if prevalence is None else prevalence,
        deployed=prevalence is not None,
        n_positive=sample.n_positive,
        n_negative=sample.n_negative,
        n_patients=sample.n_patients,
        method=method_name(sample.patients_known, n_resamples if draws else 0),
        reason=_reason(sample, points["model"][0], low),
    )


def advantage(found: Floats, false: Floats, share: Floats, threshold: Floats | float) -> Floats:
    """Net benefit an image of flagging a share `found` rightly and `false` wrongly, less the better of flagging all and none.

    `found`, `false` and the `share` abnormal are of all images and broadcast with the threshold probability, all in [0, 1]. NaN
    at a threshold of 0 or 1, where one side counts for nothing.
    """
    if np.ndim(threshold) == 0 and not 0 < threshold < 1:
        return np.full_like(found, np.nan)
    harm = threshold / (1 - threshold)
    return np.asarray(found - false * harm - np.maximum(share - (1 - share) * harm, 0))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _reason(sample: Sample, curve: Floats, low: Floats) -> str | None:
    unit = "patient" if sample.patients_known else "image"
    if len(sample.label) == 0:
        return "no image"
    if np.isnan(curve).any():
        return "no abnormal image" if not np.any(sample.label == 1) else "no normal image"
    if not np.isnan(low).any():
        return None
    one = f"one {unit}: nothing to resample"
    return one if sample.n_groups == 1 else f"undefined in too many resamples: too few {unit}s of a class"


def _net_benefit(
    label: NDArray[np.integer], probability: NDArray[np.floating], thresholds: Floats, prevalence: float | None
) -> Statistic:
    """The statistic `model`, `all` and `advantage`, each (b, k)."""
    harm = thresholds / (1 - thresholds)
    abnormal, normal = (_Above.of(np.flatnonzero(label == value), probability, thresholds) for value in (1, 0))

    def statistic(weight: Weights) -> dict[str, Floats]:
        (tp, n_positive), (fp, n_negative) = abnormal.counts(weight), normal.counts(weight)
        if prevalence is None:
            whole = n_positive + n_negative
            found, false, share = ratio(tp, whole), ratio(fp, whole), ratio(n_positive, whole)
        else:
            found, false = prevalence * ratio(tp, n_positive), (1 - prevalence) * ratio(fp, n_negative)
            share = np.full_like(n_positive, prevalence)
        model, everyone = found - false * harm, share - (1 - share) * harm
        return {"model": model, "all": everyone, "advantage": advantage(found, false, share, thresholds)}

    return statistic


@dataclass(frozen=True, eq=False)
class _Above:
    """Images of one class in falling probability; `at[k]` of them reach threshold k."""

    order: NDArray[np.intp]
    at: NDArray[np.intp]

    @classmethod
    def of(cls, images: NDArray[np.intp], probability: NDArray[np.floating], thresholds: Floats) -> _Above:
        fall = -np.asarray(probability, dtype=np.float64)[images]
        order = np.argsort(fall, kind="stable")
        return cls(images[order], np.searchsorted(fall[order], -thresholds, "right"))

    def counts(self, weight: Weights) -> tuple[Floats, Floats]:
        """Weight (b, k) that reaches each threshold, and the whole (b, 1)."""
        total = np.zeros((len(weight), len(self.order) + 1))
        np.cumsum(np.take(weight, self.order, axis=1), axis=1, out=total[:, 1:])
        return np.take(total, self.at, axis=1), total[:, -1:]

"""What an AUC would be against the truth, when the labels are wrong at a known rate.

Labels of sensitivity se and specificity sp that err independently of the score (non-differential error): what is called
abnormal is a mixture of abnormal and normal images, and so is the rest. A share q of the labels is abnormal; of the images
pi = (q + sp - 1) / (se + sp - 1) are (W. J. Rogan and B. Gladen, American Journal of Epidemiology 107, 1978, 71-76), and
with PPV = pi se / q and NPV = (1 - pi) sp / (1 - q)

    AUC against the labels - 1/2 = (PPV + NPV - 1) (AUC against the truth - 1/2)

(A. K. Menon, B. van Rooyen, C. S. Ong and R. C. Williamson, ICML 2015, PMLR 37, 125-134). If what is hard for the label
is hard for the model, or the model learnt the label's errors, the assumption fails and the correction promises too much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import UsageError
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Weights, estimates, resample
from cxreader.evaluation.statistics.metrics import Ranking, undefined_reasons

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelQuality(Plain):
    """`sensitivity` and `specificity` of a label source against the truth, both in (0, 1].

    `n_abnormal` and `n_normal`: how many truly abnormal and normal images they were measured on, so that the interval holds
    that chance too; None where they are taken for exact. Raises UsageError for rates outside, and where their sum is not above 1.
    """

    sensitivity: float
    specificity: float
    n_abnormal: int | None = None
    n_normal: int | None = None

    def __post_init__(self) -> None:
        if not (0 < self.sensitivity <= 1 and 0 < self.specificity <= 1):
            what = f"a label quality of {self.sensitivity:g} and {self.specificity:g} lies not between 0 and 1"
            raise UsageError(what, mend="give sensitivity,specificity such as 0.7,0.82")
        if not self.sensitivity + self.specificity > 1:
            what = f"labels of sensitivity {self.sensitivity:g} and specificity {self.specificity:g} say nothing"
            raise UsageError(what, mend="their sum must be above 1")

    @classmethod
    def parse(cls, text: str) -> LabelQuality:
        """`0.697,0.825`, or with the images that it was measured on `0.697,0.825,267,114`; raises UsageError."""
        parts = [part.strip() for part in text.split(",")]
        try:
            rates = [float(part) for part in parts[:2]]
            counts = [int(part) for part in parts[2:]]
        except ValueError:
            rates, counts = [], []
        if len(rates) != 2 or len(counts) not in (0, 2) or any(count < 1 for count in counts):
            mend = "write sensitivity,specificity, and abnormal,normal images behind them if known"
            raise UsageError(f"{text!r} is no label quality", mend=mend)
        return cls(rates[0], rates[1], *counts)


@dataclass(frozen=True, eq=False)
class CorrectedAuc(Plain):
    """`observed` against the labels, `corrected` against the truth as the label quality tells it, `prevalence` of the truth."""

    quality: LabelQuality
    observed: Estimate
    corrected: Estimate
    prevalence: Estimate


def correct_auc(
    sample: Sample,
    probability: NDArray[np.floating],
    quality: LabelQuality,
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> CorrectedAuc:
    """The AUC of probabilities (n,) corrected for the labels of `sample`; intervals by patient.

    Where the quality was measured on counted images, each resample draws it anew (a parametric bootstrap, independent of
    these images). Refused, NaN with its reason, where the labels cannot have this quality (pi outside 0 to 1) or the
    corrected AUC leaves 0 to 1; ends of the interval beyond are 0 or 1.
    """
    label, ranking = np.asarray(sample.label), Ranking.of(sample.label, probability)
    positive = (label == 1).astype(np.float64)

    def statistic(weight: Weights) -> dict[str, Floats]:
        return {"observed": ranking.areas(weight)[0], "flagged": weight @ positive / weight.sum(axis=1)}

    points, draws = resample(statistic, sample, n_resamples=n_resamples, seed=seed)
    why = undefined_reasons(sample.label)["auc"]
    fixed = np.full(1, quality.sensitivity), np.full(1, quality.specificity)
    made = {**points, **_corrected(points["observed"], points["flagged"], *fixed)}
    resampled = {}
    if draws:
        drawn = _drawn(quality, len(draws["observed"]), seed)
        resampled = {**draws, **_corrected(draws["observed"], draws["flagged"], *drawn)}
    reason = why if np.isnan(points["observed"][0]) else _refusal(made)
    reasons = {"observed": why, "corrected": reason, "prevalence": reason}
    if reason:
        made |= {name: np.full(1, np.nan) for name in ("corrected", "prevalence")}
    found = estimates(made, resampled, sample, reasons=reasons)
    clipped = replace(
        found["corrected"],
        low=float(np.clip(found["corrected"].low, 0, 1)),
        high=float(np.clip(found["corrected"].high, 0, 1)),
        method=f"{found['corrected'].method}, corrected for the labels, clipped to 0 to 1",
    )
    return CorrectedAuc(quality, found["observed"], clipped, found["prevalence"])


def _corrected(observed: Floats, flagged: Floats, sensitivity: Floats, specificity: Floats) -> dict[str, Floats]:
    informed = sensitivity + specificity - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        truly = (flagged + specificity - 1) / informed
        ppv, npv = truly * sensitivity / flagged, (1 - truly) * specificity / (1 - flagged)
        told = ppv + npv - 1
        sound = (told > 0) & (truly > 0) & (truly < 1) & (informed > 0)
        auc = np.where(sound, 0.5 + (observed - 0.5) / np.where(sound, told, 1.0), np.nan)
    return {"corrected": auc, "prevalence": truly}


def _drawn(quality: LabelQuality, n: int, seed: int) -> tuple[Floats, Floats]:
    """`n` draws of sensitivity and specificity, binomial over the images they were measured on."""
    if quality.n_abnormal is None or quality.n_normal is None:
        return np.full(n, quality.sensitivity), np.full(n, quality.specificity)
    generator = np.random.default_rng([seed, 1])
    pairs = ((quality.n_abnormal, quality.sensitivity), (quality.n_normal, quality.specificity))
    sensitivity, specificity = (generator.binomial(count, rate, n) / count for count, rate in pairs)
    return sensitivity, specificity


def _refusal(made: dict[str, Floats]) -> str:
    prevalence, corrected = float(made["prevalence"][0]), float(made["corrected"][0])
    if not 0 < prevalence < 1:
        return f"labels of this quality cannot have this share of abnormal ones (the truth's would be {prevalence:.3f})"
    if not 0 <= corrected <= 1:
        return f"corrected, it would be {corrected:.3f}: the labels' errors are not independent of the score, or fewer than said"
    return ""

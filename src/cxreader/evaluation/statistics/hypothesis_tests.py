"""Hypothesis tests on the same images read twice, by patient, and Holm's adjustment when there are many of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from cxreader.codec import Plain
from cxreader.errors import TableError
from cxreader.evaluation.statistics.intervals import Sample, numbered

Floats = NDArray[np.float64]
# Below it the chi-square distribution is a poor guess, and the exact one costs nothing.
EXACT_BELOW = 25


@dataclass(frozen=True, slots=True)
class HypothesisTest(Plain):
    """One test's answer.

    `p_value` is two-sided, in [0, 1]; it and `statistic` are NaN where undefined, and then `reason` says why. `method`
    names the test and its distribution. `n_positive` and `n_negative` count abnormal and normal images, `n_patients` is
    None where no patient is known; `counts` holds what else the test rests on, by name.
    """

    name: str
    statistic: float
    p_value: float
    method: str
    n_positive: int
    n_negative: int
    n_patients: int | None
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str | None = None

    @classmethod
    def on(
        cls,
        sample: Sample,
        name: str,
        statistic: float,
        p_value: float,
        method: str,
        *,
        counts: Mapping[str, int] | None = None,
        reason: str | None = None,
    ) -> HypothesisTest:
        """The answer of a test on this sample, whose images and patients are counted here."""
        who = sample.n_positive, sample.n_negative, sample.n_patients
        return cls(name, statistic, p_value, method, *who, dict(counts or {}), reason)

    def __str__(self) -> str:
        if np.isnan(self.p_value):
            return f"{self.name}: no p-value ({self.reason})"
        return f"{self.name}: p {'< 0.001' if self.p_value < 0.001 else f'= {self.p_value:.3f}'} ({self.method})"


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_], sample: Sample) -> HypothesisTest:
    """Is one of two readers right (n,) bool more often than the other on the same images? Two-sided.

    Give whether each answer was right, on all images for accuracy, on the abnormal for sensitivity, on the normal for
    specificity. With one image a patient it is McNemar's test (Psychometrika 12, 1947, 153-157): exact binomial below
    25 discordant images, else chi-square with continuity correction max(|b - c| - 1, 0)^2 / (b + c).

    With several images of a patient it is the test for clustered pairs of N. A. Obuchowski (Statistics in Medicine 17,
    1998, 1495-1507), without continuity correction. Let d be a patient's images right for the first reader alone less
    those for the second alone; of K patients the statistic is (K - 1)/K (sum d)^2 / sum d^2. It is chosen over M.
    Eliasziw and A. Donner (1991) because it takes the spread between patients from the patients themselves, as the
    clustered variance of the AUC does, and needs no one correlation that all patients share, however many images each
    has. Below 25 patients with d other than 0 the exact distribution of sum d over all exchanges of the two readers
    within patients takes its place (R. A. Fisher's randomisation); with one image each that is McNemar's binomial.

    `counts`: images right `only_first` and `only_second`, and `discordant_patients` with d other than 0. The statistic
    of an exact test is |sum d|. No image, or one patient, gives NaN with its reason. Raises TableError for lengths.
    """
    one, other = (np.asarray(answers, dtype=bool) for answers in (first, second))
    if not len(one) == len(other) == len(sample.label):
        what = f"{len(one)} and {len(other)} answers for {len(sample.label)} images"
        raise TableError(what, mend="give one an image for both readers")
    index, n_groups = numbered(sample.groups)
    lead = np.bincount(index, weights=one.astype(np.float64) - other, minlength=n_groups).astype(np.int64)
    lead = lead[lead != 0]
    counts = {
        "only_first": int(np.count_nonzero(one & ~other)),
        "only_second": int(np.count_nonzero(other & ~one)),
        "discordant_patients" if sample.patients_known else "discordant_images": len(lead),
    }
    clustered = n_groups < len(index)
    statistic, p_value, method = (
        _exact(lead, clustered) if len(lead) < EXACT_BELOW else _chi_square(lead, n_groups if clustered else None)
    )
    reason = None
    if n_groups < 2:
        unit = "patient" if sample.patients_known else "image"
        reason = f"one {unit}: nothing to compare" if n_groups else "no image"
        statistic = p_value = float("nan")
    return HypothesisTest.on(sample, "McNemar", statistic, p_value, method, counts=counts, reason=reason)


def _exact(lead: NDArray[np.int64], clustered: bool) -> tuple[float, float, str]:
    """How often patients' leads (k,) with signs at random add up to at least as much as they do."""
    chance = np.ones(1)  # of each sum from -total to total
    for step in np.abs(lead):
        wider = np.zeros(len(chance) + 2 * step)
        wider[: len(chance)] += chance / 2
        wider[2 * step :] += chance / 2
        chance = wider
    total = len(chance) // 2
    observed = abs(int(lead.sum()))
    far = np.abs(np.arange(-total, total + 1)) >= observed
    method = "clustered by patient, exact: the readers exchanged within patients" if clustered else "exact binomial"
    return float(observed), min(1.0, float(chance[far].sum())), method


def _chi_square(lead: NDArray[np.int64], n_patients: int | None) -> tuple[float, float, str]:
    """Obuchowski's statistic over `n_patients`; McNemar's with continuity correction where it is None."""
    total, squares = abs(int(lead.sum())), int(np.square(lead).sum())
    if n_patients is None:
        statistic, method = max(total - 1, 0) ** 2 / squares, "chi-square, 1 degree of freedom, continuity corrected"
    else:
        statistic = (n_patients - 1) / n_patients * total**2 / squares
        method = "clustered by patient (Obuchowski 1998), chi-square, 1 degree of freedom, no continuity correction"
    return statistic, float(chdtrc(1, statistic)), method


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """P-values (m,) adjusted so that the chance of any false one stays below the level (S. Holm, 1979, step-down).

    Valid however the tests depend on each other, and never weaker than Bonferroni's. NaN stays NaN and counts for
    nothing: what cannot be tested cannot be falsely found. (Scandinavian Journal of Statistics 6, 1979, 65-70)
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]  # NaN is sorted last
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted

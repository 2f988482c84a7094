"""One interval for trainings and patients: by hand, by the formula written again, and by how often it holds the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from cxreader.evaluation.comparison.networks import NetworkRuns, compare
from cxreader.evaluation.comparison.trainings import ONE_TRAINING, over_trainings
from cxreader.evaluation.statistics.intervals import Estimate, Sample, Statistic, Weights

FOUND = {"share": Estimate(0.625, 0.3, 0.7, 4, 4, 8, "bootstrap by patient")}


def _share(values: Sequence[float]) -> Statistic:
    own = np.array(values)
    return lambda weight: {"share": (weight @ own) / weight.sum(axis=1)}


def test_by_hand() -> None:
    """Two trainings' means over four patients: 0.5 (0, 0, 1, 1) and 0.75 (0, 1, 1, 1).

    S2 = 0.25**2 / 2 = 0.03125. The jackknife's covariance of two means is their sample covariance by 4: the products about the
    means sum to (-0.5)(-0.75) + (-0.5)(0.25) + 2 (0.5)(0.25) = 0.5, by 3 and by 4: 0.5 / 12. The variance of the
    mean is 0.03125 / 2 + 0.5 / 12 = 0.0572917; the degrees of freedom are (0.03125 + 2 * 0.5 / 12)**2 / 0.03125**2 = 13.4444.
    """
    sample = Sample(np.array([0, 0, 1, 1]), np.arange(4))
    found = over_trainings(FOUND, [_share([0, 0, 1, 1]), _share([0, 1, 1, 1])], sample)["share"]
    half = stats.t.ppf(0.975, 13.4444444) * np.sqrt(0.0572916667)
    assert found.value == 0.625
    assert found.low == pytest.approx(0.625 - half, abs=1e-6)
    assert found.high == 1.0  # 1.14, kept within the range of a share
    assert (
        found.method
        == "trainings and patients at random (Obuchowski-Rockette, Hillis), jackknife by patient; mean of 2 trainings"
    )


def test_one_training_keeps_the_interval_by_patient_and_says_what_is_not_known() -> None:
    sample = Sample(np.array([0, 0, 1, 1]), np.arange(4))
    found = over_trainings(FOUND, [_share([0, 0, 1, 1])], sample)["share"]
    assert (found.low, found.high) == (0.3, 0.7)
    assert found.method == f"bootstrap by patient; {ONE_TRAINING}"


def test_what_a_left_out_patient_makes_undefined_keeps_the_interval_by_patient() -> None:
    sample = Sample(np.array([0, 0, 1, 1]), np.arange(4))

    def undefined(weight: Weights) -> dict[str, np.ndarray]:
        return {"share": np.where(weight[:, 0] > 0, 0.5, np.nan)}

    found = over_trainings(FOUND, [undefined, undefined], sample)["share"]
    assert (found.low, found.high) == (0.3, 0.7)
    assert "these trainings held fixed: undefined where a patient is left out" in found.method


def test_a_networks_auc_by_the_formula_written_again() -> None:
    """Leave-one-patient-out AUCs by scikit-learn, variances by numpy, the interval by the published formula."""
    rng = np.random.default_rng(3)
    label, groups = np.arange(60) % 2, np.arange(60) // 2
    p = 1 / (1 + np.exp(-(1.2 * (2 * label - 1) + rng.normal(size=60) + rng.normal(size=(3, 60)))))
    row = compare(Sample(label, groups), [NetworkRuns("n", (0, 1, 2), p)], n_resamples=20).rows[0]
    aucs = np.array([roc_auc_score(label, own) for own in p])
    left = np.array([[roc_auc_score(label[groups != g], own[groups != g]) for own in p] for g in range(30)])
    covariance = np.cov(left.T, bias=True) * 29
    cov2 = covariance[np.triu_indices(3, 1)].mean()
    spread = aucs.var(ddof=1)
    noise = spread + 3 * max(cov2, 0)
    half = stats.t.ppf(0.975, noise**2 / (spread**2 / 2)) * np.sqrt(noise / 3)
    found = row.metrics["auc"]
    assert (found.value, found.low, found.high) == pytest.approx((aucs.mean(), aucs.mean() - half, aucs.mean() + half))
    assert row.at_prevalence["f1"].method.startswith("trainings and patients at random")


def test_it_holds_the_truth_as_often_as_it_says() -> None:
    """Mean of a training's own shift and of the patients' answers, seeded: 95 % of 400 studies, and patients alone far fewer."""
    rng = np.random.default_rng(11)
    label, n, k, rounds = np.arange(40) % 2, 40, 4, 400
    joint = alone = 0
    for _ in range(rounds):
        patient = rng.normal(0, 0.3, n)
        answers = 0.5 + rng.normal(0, 0.08, (k, 1)) + patient + rng.normal(0, 0.2, (k, n))
        means = answers.mean(axis=1)
        half = stats.t.ppf(0.975, n - 1) * answers.mean(axis=0).std(ddof=1) / np.sqrt(n)
        found = {"share": Estimate(means.mean(), means.mean() - half, means.mean() + half, 20, 20, n, "t by patient")}
        sample = Sample(label, np.arange(n))
        own = over_trainings(found, [_share(list(values)) for values in answers], sample, least=-9.0)["share"]
        joint += own.low <= 0.5 <= own.high
        alone += found["share"].low <= 0.5 <= found["share"].high
    assert 0.92 <= joint / rounds <= 0.98
    assert alone / rounds < 0.9

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit

from cxreader.errors import TableError
from cxreader.evaluation.calibration.prior_shift import estimate_prevalence, prevalence_statistic, shift_prevalence
from cxreader.evaluation.calibration.report import calibration_report
from cxreader.evaluation.statistics.intervals import Sample

Floats = NDArray[np.float64]


def _two_normals(seed: int, n: int, prevalence: float) -> tuple[NDArray[np.int64], Floats]:
    """Labels, and the true P(abnormal) at prevalence one half of scores one and a half deviations apart."""
    generator = np.random.default_rng(seed)
    label = (generator.random(n) < prevalence).astype(np.int64)
    score = 1.5 * label - 0.75 + generator.normal(size=n)
    return label, expit(1.5 * score)


def _em(p: Floats, fitted: float, weight: Floats, steps: int = 50_000) -> float:
    """Saerens' iteration, as published."""
    share = fitted
    for _ in range(steps):
        posterior = shift_prevalence(p, fitted, share)
        before, share = share, float(np.average(posterior, weights=weight))
        if not 0 < share < 1 or abs(share - before) < 1e-14:
            break
    return share


def test_shift_is_bayes_rule_by_hand() -> None:
    # At one half a probability of 0.8 means odds of 4; at one in five the odds are 4 * (0.2 / 0.8) = 1.
    np.testing.assert_allclose(shift_prevalence(np.array([0.8, 0.5, 0.0, 1.0]), 0.5, 0.2), [0.5, 0.2, 0.0, 1.0])


@settings(max_examples=40, deadline=None)
@given(fitted=st.floats(0.01, 0.99), deployed=st.floats(0.01, 0.99), seed=st.integers(0, 100))
def test_shift_and_back_is_no_shift_and_keeps_the_ranking(fitted: float, deployed: float, seed: int) -> None:
    p = np.sort(np.random.default_rng(seed).random(50))
    there = shift_prevalence(p, fitted, deployed)
    np.testing.assert_allclose(shift_prevalence(there, deployed, fitted), p, atol=1e-12)
    assert (np.diff(there) >= 0).all()
    upwards = 1 if deployed >= fitted else -1
    assert (upwards * (there - p) >= -1e-12).all()


def test_a_shifted_probability_is_calibrated_at_the_new_prevalence() -> None:
    label, p = _two_normals(0, 40_000, 0.1)
    sample = Sample(label, np.arange(len(label)))
    before = calibration_report(sample, p, n_resamples=0).reliability
    after = calibration_report(sample, shift_prevalence(p, 0.5, 0.1), n_resamples=0).reliability
    assert before.ece.value > 0.1
    assert after.ece.value < 0.01


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), true=st.floats(0.1, 0.9), fitted=st.floats(0.3, 0.7))
def test_every_resample_is_where_em_ends(seed: int, true: float, fitted: float) -> None:
    _, p = _two_normals(seed, 300, true)
    weight = np.random.default_rng(seed).integers(0, 3, (2, 300)).astype(np.float64)
    found = prevalence_statistic(p, fitted)(weight)["prevalence"]
    assert found == pytest.approx([_em(p, fitted, row) for row in weight], abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 40))
def test_it_is_the_maximum_of_the_likelihood_also_with_certain_images(seed: int, n: int) -> None:
    p = np.random.default_rng(seed).random(n).round(1)  # some are exactly 0 or 1
    found = float(prevalence_statistic(p, 0.4)(np.ones((1, n)))["prevalence"][0])
    if (p == 0.4).all():
        assert np.isnan(found)
        return

    def loss(share: float) -> float:
        return float(-np.log(np.maximum(share * p / 0.4 + (1 - share) * (1 - p) / 0.6, 1e-300)).sum())

    best = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-10})
    assert loss(found) <= min(float(best.fun), loss(0.0), loss(1.0)) + 1e-9


@pytest.mark.parametrize("true", [0.05, 0.3, 0.8])
def test_an_unknown_prevalence_is_found_and_the_interval_holds_it(true: float) -> None:
    _, p = _two_normals(5, 6000, true)
    groups = np.arange(6000) // 2
    found = estimate_prevalence(p, groups, 0.5, n_resamples=300)
    assert found.value == pytest.approx(true, abs=0.03)
    assert found.low < true < found.high
    assert found.high - found.low < 0.1
    assert (found.n_positive, found.n_negative, found.n_patients) == (0, 0, 3000)
    assert found.method.startswith("EM under prior shift on 6000 unlabelled images; bootstrap by patient")
    single = estimate_prevalence(p, np.arange(6000), 0.5, n_resamples=300, patients_known=False)
    assert "by image: no patient known" in single.method


def test_coverage_of_the_interval() -> None:
    held = 0
    for seed in range(100):
        _, p = _two_normals(seed, 400, 0.2)
        found = estimate_prevalence(p, np.arange(400), 0.5, n_resamples=200, seed=seed)
        held += found.low <= 0.2 <= found.high
    assert held >= 88


def test_the_ends_and_what_tells_nothing() -> None:
    assert estimate_prevalence(np.full(9, 0.2), np.arange(9), 0.5, n_resamples=5).value == 0.0
    assert estimate_prevalence(np.full(9, 0.7), np.arange(9), 0.5, n_resamples=5).value == 1.0
    nothing = estimate_prevalence(np.full(9, 0.5), np.arange(9), 0.5, n_resamples=5)
    assert np.isnan(nothing.value)
    assert nothing.reason is not None
    assert nothing.reason.startswith("every probability is the prevalence it was calibrated at")
    assert estimate_prevalence(np.empty(0), np.empty(0, dtype=int), 0.5, n_resamples=5).reason == "no image"


def test_what_cannot_be_is_refused() -> None:
    for fitted, deployed in ((0.0, 0.2), (0.5, 1.0), (float("nan"), 0.2)):
        with pytest.raises(TableError, match="lies not between 0 and 1"):
            shift_prevalence(np.array([0.5]), fitted, deployed)
    with pytest.raises(TableError, match="outside 0 to 1"):
        shift_prevalence(np.array([1.5]), 0.5, 0.2)
    with pytest.raises(TableError, match="2 groups for 3 probabilities"):
        estimate_prevalence(np.full(3, 0.5), np.arange(2), 0.5)

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from cxreader.errors import TableError
from cxreader.evaluation.calibration.reliability import (
    BRIER_TERMS,
    Reliability,
    equal_mass_bins,
    expected_gap,
    reliability_statistic,
)
from cxreader.evaluation.calibration.report import calibration_report
from cxreader.evaluation.statistics.intervals import Sample, bootstrap
from cxreader.evaluation.statistics.metrics import all_metrics

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]


def _calibrated(seed: int, n: int) -> tuple[Labels, Floats]:
    generator = np.random.default_rng(seed)
    p = generator.beta(0.7, 1.2, n)
    return (generator.random(n) < p).astype(np.int64), p


def _reliability(sample: Sample, p: Floats, **options: int) -> Reliability:
    return calibration_report(sample, p, **options).reliability


def _sum_of_terms(value: dict[str, float]) -> float:
    within = value["within_bin_variance"] - value["within_bin_covariance"]
    return value["reliability"] - value["resolution"] + value["uncertainty"] + within


def test_hand_computed_diagram() -> None:
    # Bins {0.1, 0.3} with none abnormal of two, and {0.6, 0.8} with one of two.
    label, p = np.array([0, 0, 1, 0]), np.array([0.1, 0.3, 0.6, 0.8])
    found = _reliability(Sample(label, np.arange(4)), p, n_bins=2, n_resamples=0)
    assert [(b.low, b.high, b.observed.value) for b in found.bins] == [(0.1, 0.3, 0.0), (0.6, 0.8, 0.5)]
    assert [b.mean_probability for b in found.bins] == pytest.approx([0.2, 0.7])
    assert [(b.observed.n_positive, b.observed.n_negative) for b in found.bins] == [(0, 2), (1, 1)]
    assert found.ece.value == pytest.approx(0.5 * 0.2 + 0.5 * 0.2)
    assert found.prevalence.value == 0.25
    assert found.mean_probability.value == pytest.approx(0.45)
    terms = {name: found.brier[name].value for name in BRIER_TERMS}
    assert terms == pytest.approx(
        {
            "brier": (0.01 + 0.09 + 0.16 + 0.64) / 4,
            "reliability": (0.04 + 0.04) / 2,
            "resolution": 0.0625,
            "uncertainty": 0.1875,
            "within_bin_variance": 0.01,
            "within_bin_covariance": 2 / 4 * (0.5 * -0.1 + -0.5 * 0.1),
        }
    )
    assert _sum_of_terms(terms) == pytest.approx(terms["brier"], abs=1e-15)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 200), bins=st.integers(1, 15), digits=st.integers(1, 6))
def test_the_terms_add_up_to_the_brier_score_in_every_resample(seed: int, n: int, bins: int, digits: int) -> None:
    generator = np.random.default_rng(seed)
    label, p = generator.integers(0, 2, n), generator.random(n).round(digits)
    weight = generator.integers(0, 3, (3, n)).astype(np.float64)
    weight[:, 0] += 1
    values = reliability_statistic(label, p, equal_mass_bins(p, bins))(weight)
    for b, row in enumerate(weight):
        terms = {name: float(values[name][b]) for name in BRIER_TERMS}
        assert _sum_of_terms(terms) == pytest.approx(terms["brier"], abs=1e-13)
        expected = brier_score_loss(label, p, sample_weight=row, labels=[0, 1])
        assert terms["brier"] == pytest.approx(expected, abs=1e-13)
        assert min(terms[name] for name in BRIER_TERMS[:5]) > -1e-13


def test_bins_and_rates_equal_scikit_learn_where_nothing_is_tied() -> None:
    label, p = _calibrated(0, 1000)
    found = _reliability(Sample(label, np.arange(1000)), p, n_resamples=0)
    observed, mean = calibration_curve(label, p, n_bins=10, strategy="quantile")
    assert [b.observed.value for b in found.bins] == pytest.approx(observed)
    assert [b.mean_probability for b in found.bins] == pytest.approx(mean)
    assert found.ece.value == pytest.approx(np.abs(observed - mean).mean())
    assert {b.observed.n_positive + b.observed.n_negative for b in found.bins} == {100}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 300), bins=st.integers(1, 20), digits=st.integers(1, 3))
def test_ties_share_a_bin_and_bins_rise_without_gaps(seed: int, n: int, bins: int, digits: int) -> None:
    p = np.random.default_rng(seed).random(n).round(digits)
    found = equal_mass_bins(p, bins)
    order = np.argsort(p, kind="stable")
    steps = np.diff(found[order])
    assert set(np.unique(steps)) <= {0, 1}
    assert (steps[np.diff(p[order]) == 0] == 0).all()
    assert found[order[0]] == 0
    assert found.max() < bins


def test_bins_are_of_equal_mass_and_a_large_tie_takes_one_for_itself() -> None:
    counts = np.bincount(equal_mass_bins(np.random.default_rng(1).random(100), 8))
    assert counts.max() - counts.min() <= 1
    p = np.concatenate([np.full(60, 0.2), np.linspace(0.3, 0.9, 40)])
    np.testing.assert_array_equal(np.bincount(equal_mass_bins(p, 4)), [60, 15, 25])
    found = _reliability(Sample((p > 0.5).astype(int), np.arange(100)), p, n_bins=4, n_resamples=10)
    assert (len(found.bins), found.n_bins_asked) == (3, 4)
    assert len(_reliability(Sample(np.arange(9) % 2, np.arange(9)), np.full(9, 0.5), n_resamples=5).bins) == 1


def test_the_ece_that_chance_alone_gives_is_the_mean_over_calibrated_samples() -> None:
    found = [
        _reliability(Sample(label, np.arange(600)), p, n_resamples=0)
        for label, p in (_calibrated(seed, 600) for seed in range(250))
    ]
    mean = np.mean([r.ece.value for r in found])
    assert mean > 0.02  # biased upwards: the true one is 0
    assert np.mean([r.ece_if_calibrated for r in found]) == pytest.approx(mean, rel=0.06)


@pytest.mark.parametrize(("n", "tolerance"), [(40, 0.25), (100, 0.12), (400, 0.08)])
def test_what_chance_gives_holds_in_small_samples_too(n: int, tolerance: float) -> None:
    drawn = [_calibrated(1000 + seed, n) for seed in range(200)]
    found = [_reliability(Sample(label, np.arange(n)), p, n_resamples=0) for label, p in drawn]
    mean = np.mean([r.ece.value for r in found])
    assert np.mean([r.ece_if_calibrated for r in found]) == pytest.approx(mean, rel=tolerance)


@pytest.mark.parametrize("p", [[0.5], [0.2, 0.9], [0.1, 0.5, 0.5, 0.7, 0.95], [0.0, 1.0, 0.3]])
def test_the_gap_that_chance_gives_is_that_of_all_outcomes(p: list[float]) -> None:
    """Every way in which n images can be normal or abnormal, one by one; normal theory would give 0.40 of one image at 0.5."""
    outcomes = np.array(list(product([0, 1], repeat=len(p))))
    chance = np.prod(np.where(outcomes == 1, p, 1 - np.array(p)), axis=1)
    expected = chance @ np.abs(outcomes.sum(axis=1) - sum(p))
    assert expected_gap(np.array(p)) == pytest.approx(expected)
    if p == [0.5]:
        assert expected == 0.5


@pytest.mark.parametrize(("n", "exact"), [(200, 1e-12), (201, 1e-3)])
def test_the_gap_of_many_alike_is_that_of_the_binomial(n: int, exact: float) -> None:
    assert expected_gap(np.full(n, 0.3)) == pytest.approx(binom(n, 0.3).expect(lambda k: abs(k - 0.3 * n)), rel=exact)


def test_the_ece_that_chance_gives_adds_the_bins() -> None:
    """Two strangers in bins of their own, at 0.5 and 0.8: (0.5 + 2 * 0.8 * 0.2) / 2."""
    found = _reliability(Sample(np.array([0, 1]), np.arange(2)), np.array([0.5, 0.8]), n_bins=2, n_resamples=5)
    assert found.ece_if_calibrated == pytest.approx(0.41)


def test_chance_counts_patients_not_images() -> None:
    label, p = _calibrated(3, 400)
    once = _reliability(Sample(label, np.arange(400)), p, n_resamples=300)
    again = _reliability(Sample(np.repeat(label, 4), np.repeat(np.arange(400), 4)), np.repeat(p, 4), n_resamples=300)
    assert again.ece_if_calibrated == pytest.approx(once.ece_if_calibrated, rel=0.01)  # 40 and 160 images a bin, exact
    assert (again.ece.low, again.ece.high) == pytest.approx((once.ece.low, once.ece.high))
    assert again.bins[4].observed.n_patients == once.bins[4].observed.n_patients == 40


def test_a_miscalibrated_model_stands_out_from_chance() -> None:
    label, p = _calibrated(4, 2000)
    found = _reliability(Sample(label, np.arange(2000)), np.clip(p + 0.15, 0, 1), n_resamples=200)
    assert found.ece.value == pytest.approx(0.14, abs=0.02)
    assert found.ece.low > 3 * found.ece_if_calibrated
    assert found.mean_probability.low > found.prevalence.high


def test_the_band_of_a_bin_is_that_of_a_share() -> None:
    label, p = _calibrated(5, 4000)
    one = _reliability(Sample(label, np.arange(4000)), p, n_resamples=2000).bins[5].observed
    half = 1.96 * np.sqrt(one.value * (1 - one.value) / 400)
    assert (one.low, one.high) == pytest.approx((one.value - half, one.value + half), abs=0.006)


def test_brier_and_its_interval_are_those_of_the_metrics() -> None:
    label, p = _calibrated(6, 500)
    sample = Sample(label, np.random.default_rng(0).integers(0, 150, 500))
    found = _reliability(sample, p, n_resamples=100, seed=7).brier["brier"]
    expected = bootstrap(all_metrics(label, p), sample, n_resamples=100, seed=7)["brier"]
    assert found.to_dict() == pytest.approx(expected.to_dict())


def test_a_bin_without_abnormal_images_has_an_exact_bound() -> None:
    label = np.repeat([0, 1], 50)
    found = _reliability(Sample(label, np.arange(100)), np.linspace(0.01, 0.99, 100), n_bins=2, n_resamples=50)
    assert (found.bins[0].observed.value, found.bins[0].observed.low) == (0, 0)
    assert found.bins[0].observed.high == pytest.approx(1 - 0.025 ** (1 / 50))


@pytest.mark.parametrize("n", [0, 1, 5])
def test_round_trip_and_tiny_samples(n: int) -> None:
    found = _reliability(Sample(np.arange(n) % 2, np.zeros(n, dtype=int)), np.linspace(0, 1, n), n_resamples=3)
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.dumps(Reliability.from_dict(json.loads(text)).to_dict()) == text
    assert np.isnan(found.ece_if_calibrated)
    assert found.ece.reason == ("no image" if n == 0 else "one patient: nothing to resample")
    assert len(found.bins) == n


def test_lengths_and_bins_are_checked() -> None:
    with pytest.raises(TableError, match="2 probabilities for 3 labels"):
        _reliability(Sample(np.zeros(3, dtype=int), np.arange(3)), np.zeros(2))
    with pytest.raises(TableError, match="0 bins"):
        equal_mass_bins(np.zeros(2), 0)


def test_opposite_images_of_a_patient_do_not_make_chance_smaller() -> None:
    """One abnormal and one normal image of each patient cancel out; chance is still that of as many independent images."""
    label, p = np.tile([0, 1], 30), np.full(60, 0.5)
    paired, apart = (
        _reliability(Sample(label, groups), p, n_resamples=0) for groups in (np.arange(60) // 2, np.arange(60))
    )
    assert paired.ece_if_calibrated == pytest.approx(apart.ece_if_calibrated)
    assert apart.ece_if_calibrated == pytest.approx(binom(60, 0.5).expect(lambda k: abs(k - 30)) / 60)

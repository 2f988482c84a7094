from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.stats._resampling import BootstrapResult
from sklearn.metrics import average_precision_score, roc_auc_score

from cxreader.evaluation.statistics.bca import acceleration, bca, bootstrap_bca, jackknife, jackknife_weights
from cxreader.evaluation.statistics.intervals import Sample, Statistic, Weights, bootstrap, estimates, resample
from cxreader.evaluation.statistics.metrics import all_metrics

Floats = NDArray[np.float64]


def _mean_of(values: Floats) -> Statistic:
    def statistic(weight: Weights) -> dict[str, Floats]:
        return {"mean": weight @ values / weight.sum(axis=1)}

    return statistic


def _sample(n: int) -> Sample:
    return Sample(np.arange(n) % 2, np.arange(n))


def _readings(seed: int, n: int) -> tuple[NDArray[np.int64], Floats]:
    generator = np.random.default_rng(seed)
    label = (generator.random(n) < 0.4).astype(np.int64)
    return label, 1 / (1 + np.exp(-(1.5 * label - 0.7 + generator.normal(size=n))))


def _scipy(data: tuple[Floats, ...], statistic: object, draws: Floats) -> tuple[float, float]:
    """SciPy's BCa from draws that are already there."""
    there = BootstrapResult(None, draws, None)
    paired = len(data) > 1
    found = stats.bootstrap(
        data, statistic, n_resamples=0, vectorized=False, paired=paired, method="BCa", bootstrap_result=there
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


@pytest.mark.parametrize("seed", range(3))
def test_a_skewed_mean_has_the_interval_of_scipy(seed: int) -> None:
    values = np.random.default_rng(seed).exponential(size=45)
    statistic, sample = _mean_of(values), _sample(45)
    draws = resample(statistic, sample, n_resamples=999, seed=seed).draws["mean"]
    found = bootstrap_bca(statistic, sample, n_resamples=999, seed=seed)["mean"]
    assert (found.low, found.high) == pytest.approx(_scipy((values,), np.mean, draws), abs=1e-12)
    percentile = bootstrap(statistic, sample, n_resamples=999, seed=seed)["mean"]
    assert found.high > percentile.high  # skewed to the right: so is the doubt
    assert found.method == "bootstrap by patient; BCa, jackknife over 45 groups, 999 resamples"


def test_resamples_that_equal_the_value_count_one_half() -> None:
    """A share of 150 takes few values, so that many resamples tie with it."""
    values = (np.arange(150) % 5 == 0).astype(np.float64)
    for seed in range(5):
        draws = resample(_mean_of(values), _sample(150), n_resamples=500, seed=seed).draws["mean"]
        assert np.mean(draws == values.mean()) > 0.05
        found = bootstrap_bca(_mean_of(values), _sample(150), n_resamples=500, seed=seed)["mean"]
        assert (found.low, found.high) == pytest.approx(_scipy((values,), np.mean, draws), abs=1e-12)


@pytest.mark.parametrize(("name", "peer"), [("auc", roc_auc_score), ("average_precision", average_precision_score)])
def test_ranking_metrics_have_the_interval_of_scipy(name: str, peer: object) -> None:
    label, p = _readings(1, 80)
    statistic, sample = all_metrics(label, p), Sample(label, np.arange(80))
    draws = resample(statistic, sample, n_resamples=500, seed=2).draws[name]
    found = bootstrap_bca(statistic, sample, n_resamples=500, seed=2)[name]
    expected = _scipy((label.astype(np.float64), p), peer, draws)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


def test_every_metric_at_once_from_the_draws_of_the_percentile_intervals() -> None:
    label, p = _readings(5, 120)
    statistic, sample = all_metrics(label, p, 0.5), Sample(label, np.arange(120) // 2)
    drawn = resample(statistic, sample, n_resamples=300, seed=1)
    found = estimates(*drawn, sample)
    corrected = bca(found, drawn.draws, jackknife(statistic, sample.groups))
    assert corrected == bootstrap_bca(statistic, sample, n_resamples=300, seed=1)
    assert corrected == bootstrap_bca(statistic, sample, n_resamples=300, seed=1, drawn=drawn)
    for name, estimate in corrected.items():
        assert estimate.value == found[name].value
        assert estimate.low < estimate.value < estimate.high
        assert {estimate.low, estimate.high} != {found[name].low, found[name].high}


def test_the_acceleration_of_a_mean_is_a_sixth_of_its_skewness() -> None:
    values = np.random.default_rng(0).exponential(size=200)
    left_out = jackknife(_mean_of(values), np.arange(200))["mean"]
    expected = stats.skew(values) / (6 * np.sqrt(200))
    assert acceleration(left_out) == pytest.approx(expected, rel=1e-9)


def test_groups_of_patients_give_the_acceleration_of_single_patients() -> None:
    """Within the noise the docstring states: 0.6 over 250 groups."""
    values = np.random.default_rng(2).exponential(size=2000)
    for seed in range(5):
        single, grouped = (
            acceleration(jackknife(_mean_of(values), np.arange(2000), seed=seed, max_groups=m)["mean"])
            for m in (2000, 250)
        )
        assert grouped == pytest.approx(single, abs=2.5 * 0.6 / 250)


def test_each_patient_is_left_out_once_whole_and_in_any_block() -> None:
    groups = np.array([5, 5, 2, 9, 9, 9, 4])
    weight = np.concatenate(list(jackknife_weights(groups)))
    expected = [[1, 1, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 1]]
    np.testing.assert_array_equal(weight, expected)
    np.testing.assert_array_equal(weight, np.concatenate(list(jackknife_weights(groups, block=3))))


def test_more_patients_than_groups_are_dealt_evenly() -> None:
    groups = np.repeat(np.arange(1003), 2)
    weight = np.concatenate(list(jackknife_weights(groups, seed=3, max_groups=100)))
    assert weight.shape == (100, 2006)
    left_out = 1 - weight
    np.testing.assert_array_equal(left_out.sum(axis=0), 1)
    assert set(left_out.sum(axis=1).tolist()) == {20, 22}
    np.testing.assert_array_equal(weight[:, ::2], weight[:, 1::2])
    other = np.concatenate(list(jackknife_weights(groups, seed=4, max_groups=100)))
    assert not np.array_equal(weight, other)


def test_a_skewed_mean_is_missed_less_often_than_by_percentiles() -> None:
    """Skewed samples of 20: 95 % intervals of the mean miss it above more often by percentiles than by BCa."""
    missed = {"percentile": 0, "BCa": 0}
    for seed in range(300):
        values = np.random.default_rng(seed).lognormal(size=20)
        arguments = _mean_of(values), _sample(20)
        for name, found in (
            ("percentile", bootstrap(*arguments, n_resamples=400, seed=seed)),
            ("BCa", bootstrap_bca(*arguments, n_resamples=400, seed=seed)),
        ):
            missed[name] += found["mean"].high < np.exp(0.5)
    assert missed["BCa"] < 0.85 * missed["percentile"]


def test_what_has_no_percentile_interval_keeps_its_reason() -> None:
    label = np.array([0, 1, 1])
    statistic = all_metrics(label, np.array([0.1, 0.9, 0.8]), 0.5)
    one = bootstrap_bca(statistic, Sample(label, np.zeros(3, dtype=int)))["auc"]
    assert one.reason == "one patient: nothing to resample"
    apart = np.arange(40) % 2
    sure = bootstrap_bca(all_metrics(apart, apart * 1.0, 0.5), Sample(apart, np.arange(40)), n_resamples=50)
    assert sure["auc"].reason == "every resample gives the same value, which bounds nothing"
    nobody = bootstrap_bca(
        all_metrics(label[:1] * 0, np.zeros(1)), Sample(label[:1] * 0, np.zeros(1, dtype=int)), reasons={"auc": "why"}
    )
    assert nobody["auc"].reason == "why"


def test_where_the_correction_is_undefined_it_says_why() -> None:
    sample = _sample(6)
    found = estimates({"x": np.array([1.0])}, {"x": np.linspace(2, 3, 50)}, sample)
    one_side = bca(found, {"x": np.linspace(2, 3, 50)}, {"x": np.arange(6.0)})["x"]
    assert np.isnan([one_side.low, one_side.high]).all()
    assert one_side.reason == "every resample lies on one side of the value: no bias correction"
    draws = {"x": np.linspace(0, 2, 51)}
    found = estimates({"x": np.array([1.0])}, draws, sample)
    for left_out in (np.ones(6), np.array([1.0, np.nan, 1.2, 0.9, 1.0, 1.1])):
        unknown = bca(found, draws, {"x": left_out})["x"]
        assert np.isnan(unknown.low)
        assert unknown.reason is not None
        assert "no acceleration" in unknown.reason

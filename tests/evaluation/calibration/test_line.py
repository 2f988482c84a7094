from __future__ import annotations

import json

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit

from cxreader.errors import TableError
from cxreader.evaluation.calibration.line import LINE_NAMES, CalibrationLine, line_statistic
from cxreader.evaluation.calibration.report import calibration_report
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.statistics.logistic import fit_logistic

Floats = NDArray[np.float64]


def _clustered(seed: int, patients: int, images: int) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Labels, probabilities and patients; each patient's images share a score and half of the time a label."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(patients), images)
    score = np.repeat(generator.normal(0, 1.2, patients), images) + generator.normal(0, 0.5, patients * images)
    shared = np.repeat(generator.random(patients), images)
    draw = np.where(np.repeat(generator.random(patients) < 0.5, images), shared, generator.random(len(score)))
    return (draw < expit(0.7 * score - 0.3)).astype(np.int64), expit(score), groups


def _line(sample: Sample, p: Floats, n_resamples: int) -> CalibrationLine:
    return calibration_report(sample, p, n_resamples=n_resamples).line


def _statsmodels(label: NDArray[np.integer], p: Floats, weight: Floats) -> tuple[float, float, float]:
    """Slope, intercept at slope 1, intercept at the slope."""
    binomial = sm.families.Binomial()
    line = sm.GLM(label, sm.add_constant(logit(p)), family=binomial, freq_weights=weight).fit(tol=1e-14)
    large = sm.GLM(label, np.ones(len(label)), family=binomial, offset=logit(p), freq_weights=weight).fit(tol=1e-14)
    return float(line.params[1]), float(large.params[0]), float(line.params[0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(30, 300))
def test_every_resample_equals_statsmodels(seed: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    label, p, _ = _clustered(seed, n, 1)
    label[:4], p[:4] = [0, 1, 0, 1], [0.3, 0.3, 0.7, 0.7]  # the classes overlap
    weight = generator.integers(0, 4, (3, n)).astype(np.float64)
    weight[:, :4] = 1
    found = line_statistic(label, p)(weight)
    for b, row in enumerate(weight):
        values = [found[name][b] for name in ("slope", "intercept", "intercept_at_slope")]
        assert values == pytest.approx(_statsmodels(label, p, row), abs=1e-7)


def test_a_two_by_two_table_has_a_closed_form() -> None:
    # At log odds -1, 2 of 10 are abnormal; at +1, 9 of 10: the line goes through logit(0.2) and logit(0.9).
    p = np.repeat(expit([-1.0, 1.0]), 10)
    label = np.repeat([1, 0, 1, 0], [2, 8, 9, 1])
    found = line_statistic(label, p)(np.ones((1, 20)))
    assert found["slope"][0] == pytest.approx((logit(0.9) - logit(0.2)) / 2)
    assert found["intercept_at_slope"][0] == pytest.approx((logit(0.9) + logit(0.2)) / 2)
    # In the large the expected number becomes the observed one, 11 of 20.
    assert expit(np.log(p / (1 - p)) + found["intercept"][0]).mean() == pytest.approx(0.55)


def test_certain_probabilities_are_held_a_millionth_away_and_counted() -> None:
    """At 0, 2 of 10 are abnormal; at 1, 9 of 10: the line of the table above, at log odds of 1e-6 and of 1 - 1e-6."""
    p, label = np.repeat([0.0, 1.0], 10), np.repeat([1, 0, 1, 0], [2, 8, 9, 1])
    found = _line(Sample(label, np.arange(20)), p, 20)
    far = np.log((1 - 1e-6) / 1e-6)
    assert found.slope.value == pytest.approx((logit(0.9) - logit(0.2)) / (2 * far))
    assert found.intercept_at_slope.value == pytest.approx((logit(0.9) + logit(0.2)) / 2)
    assert found.bounded == 20
    label, p, groups = _clustered(4, 200, 1)
    p[np.flatnonzero(label == 1)[0]] = 1.0  # one image, certain and right
    one = _line(Sample(label, groups), p, 100)
    assert one.bounded == 1
    expected = _statsmodels(label, np.clip(p, 1e-6, 1 - 1e-6), np.ones(200))
    assert (one.slope.value, one.intercept.value, one.intercept_at_slope.value) == pytest.approx(expected, abs=1e-6)
    assert one.slope.low < one.slope.value < one.slope.high


def test_known_slope_and_shift_are_recovered() -> None:
    generator = np.random.default_rng(0)
    true = generator.normal(0, 1.5, 40_000)
    label = (generator.random(40_000) < expit(true)).astype(int)
    bold = line_statistic(label, expit(2 * true))(np.ones((1, 40_000)))
    assert bold["slope"][0] == pytest.approx(0.5, abs=0.02)
    low = line_statistic(label, expit(true - 0.8))(np.ones((1, 40_000)))
    assert low["slope"][0] == pytest.approx(1.0, abs=0.03)
    assert low["intercept"][0] == pytest.approx(0.8, abs=0.03)


def test_interval_is_that_of_the_cluster_robust_variance() -> None:
    label, p, groups = _clustered(1, 500, 4)
    found = _line(Sample(label, groups), p, 2000)
    design = sm.add_constant(logit(p))
    robust = sm.GLM(label, design, family=sm.families.Binomial()).fit(cov_type="cluster", cov_kwds={"groups": groups})
    naive = sm.Logit(label, design).fit(disp=False)
    width, expected = found.slope.high - found.slope.low, 2 * 1.96 * robust.bse[1]
    assert found.slope.value == pytest.approx(robust.params[1], abs=1e-7)
    assert width == pytest.approx(expected, rel=0.08)
    assert width > 1.1 * 2 * 1.96 * naive.bse[1]
    assert (found.slope.low, found.slope.high) == pytest.approx(
        (robust.params[1] - expected / 2, robust.params[1] + expected / 2), abs=0.04
    )
    assert found.intercept_at_slope.high - found.intercept_at_slope.low == pytest.approx(
        2 * 1.96 * robust.bse[0], rel=0.08
    )
    large = sm.GLM(label, np.ones(len(label)), family=sm.families.Binomial(), offset=logit(p))
    error = large.fit(cov_type="cluster", cov_kwds={"groups": groups}).bse[0]
    assert found.intercept.high - found.intercept.low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_far_starts_and_steep_lines_settle() -> None:
    """From everywhere the same maximum, where plain Newton steps would run away."""
    generator = np.random.default_rng(2)
    x = generator.normal(0, 3, 400)
    label = (generator.random(400) < expit(8 * x - 5)).astype(float)
    design = np.stack([np.ones(400), x], axis=1)
    expected = sm.Logit(label, design).fit(disp=False, tol=1e-12).params
    for start in ([0.0, 0.0], [0.0, 1.0], [30.0, -10.0], [-100.0, 40.0]):
        found = fit_logistic(design, label, np.ones((2, 400)), offset=np.zeros(400), start=np.array(start))
        np.testing.assert_allclose(found, np.tile(expected, (2, 1)), rtol=1e-6)


@pytest.mark.parametrize("label", [[0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
def test_perfect_separation_has_no_slope_and_still_an_intercept(label: list[int]) -> None:
    for p in (np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.8]), np.array([0.1, 0.2, 0.5, 0.5, 0.7, 0.8])):
        found = _line(Sample(np.array(label), np.arange(6)), p, 20)
        assert np.isnan(found.slope.value)
        assert found.slope.reason == found.intercept_at_slope.reason
        assert found.slope.reason is not None
        assert "separate the classes perfectly" in found.slope.reason
        expected = sm.GLM(np.array(label), np.ones(6), family=sm.families.Binomial(), offset=logit(p)).fit()
        assert found.intercept.value == pytest.approx(expected.params[0], abs=1e-6)


def test_one_class_or_constant_probabilities_and_no_image_have_their_reasons() -> None:
    def reasons(label: list[int], p: list[float]) -> dict[str, str | None]:
        sample = Sample(np.array(label, dtype=int), np.arange(len(label)))
        found = _line(sample, np.array(p, dtype=float), 30)
        return {name: getattr(found, name).reason for name in LINE_NAMES if np.isnan(getattr(found, name).value)}

    assert reasons([], []) == dict.fromkeys(LINE_NAMES, "no image")
    assert reasons([0, 0], [0.2, 0.3]) == dict.fromkeys(LINE_NAMES, "no abnormal image")
    assert reasons([1, 1], [0.2, 0.3]) == dict.fromkeys(LINE_NAMES, "no normal image")
    constant = reasons([0, 1, 0, 1], [0.3] * 4)
    assert set(constant) == {"slope", "intercept_at_slope"}
    assert constant["slope"] == "every image has the same probability: a line needs two"


def test_resamples_without_a_line_are_undefined_not_wild() -> None:
    """One image crosses the classes: a resample without it is separated, and its slope would be infinite."""
    label = np.array([0] * 10 + [1] * 10)
    p = np.concatenate([np.linspace(0.05, 0.4, 10), np.linspace(0.6, 0.95, 10)])
    p[9] = 0.7
    weight = np.ones((3, 20))
    weight[1, 9] = 0  # separated
    weight[2, :10] = 0  # one class
    found = line_statistic(label, p)(weight)
    np.testing.assert_array_equal(np.isnan(found["slope"]), [False, True, True])
    np.testing.assert_array_equal(np.isnan(found["intercept"]), [False, False, True])
    assert found["slope"][0] == pytest.approx(_statsmodels(label, p, weight[0])[0], abs=1e-6)


def test_round_trip_and_lengths() -> None:
    label, p, groups = _clustered(3, 60, 2)
    for found in (
        _line(Sample(label, groups), p, 20),
        _line(Sample(np.zeros_like(label), groups), p, 20),
    ):
        text = json.dumps(found.to_dict(), allow_nan=False)
        assert repr(CalibrationLine.from_dict(json.loads(text))) == repr(found)
    with pytest.raises(TableError, match="3 probabilities for 2 labels"):
        line_statistic(np.array([0, 1]), np.array([0.1, 0.2, 0.3]))

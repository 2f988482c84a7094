from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxreader.errors import DataError, TableError
from cxreader.evaluation.calibration.temperature import TEMPERATURE_BOUNDS, apply_temperature, fit_temperature, sigmoid


def _calibrated(seed: int, n: int = 20_000) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits whose own softmax is the true probability of their label."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (n, 2))
    label = (generator.random(n) < apply_temperature(logits, 1.0)).astype(np.int64)
    return logits, label


def test_calibrated_logits_need_no_temperature() -> None:
    assert fit_temperature(*_calibrated(0)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("true", [0.3, 2.5, 8.0])
def test_a_known_temperature_is_recovered(true: float) -> None:
    logits, label = _calibrated(1)
    assert fit_temperature(logits * true, label) == pytest.approx(true, rel=0.05)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.5, 3), shift=st.floats(-50, 50))
def test_temperature_scales_with_the_logits_and_ignores_a_common_shift(seed: int, scale: float, shift: float) -> None:
    logits, label = _calibrated(seed, 300)
    plain = fit_temperature(logits, label)
    assert fit_temperature(logits * scale + shift, label) == pytest.approx(plain * scale, rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), temperature=st.floats(*TEMPERATURE_BOUNDS))
def test_temperature_keeps_the_decision_and_the_ranking(seed: int, temperature: float) -> None:
    logits, _ = _calibrated(seed, 50)
    probability = apply_temperature(logits, temperature)
    np.testing.assert_array_equal(probability > 0.5, logits[:, 1] > logits[:, 0])
    order = np.argsort(logits[:, 1] - logits[:, 0])
    assert (np.diff(probability[order]) >= 0).all()


def test_probability_is_the_softmax_and_does_not_overflow() -> None:
    logits = np.array([[0.0, 1.0], [2.0, -1.0], [-1e4, 1e4], [1e4, -1e4]], dtype=np.float32)
    e = np.exp(logits[:2].astype(np.float64) / 2)
    np.testing.assert_allclose(apply_temperature(logits, 2.0)[:2], e[:, 1] / e.sum(axis=1))
    np.testing.assert_array_equal(apply_temperature(logits, 2.0)[2:], [1.0, 0.0])
    assert apply_temperature(logits, 2.0).dtype == np.float64


def test_perfect_separation_stays_within_bounds_and_short_of_certainty() -> None:
    label = np.repeat([0, 1], 20)
    logits = np.stack([np.zeros(40), np.where(label == 1, 4.0, -4.0)], axis=1)
    temperature = fit_temperature(logits, label)
    assert TEMPERATURE_BOUNDS[0] < temperature < TEMPERATURE_BOUNDS[1]
    # Platt's target: 20 of 20 seen right speaks for 21 of 22.
    assert apply_temperature(logits, temperature)[-1] == pytest.approx(21 / 22, abs=1e-6)


def test_the_bounds_hold() -> None:
    logits, label = _calibrated(3, 500)
    least, most = (pytest.approx(bound, rel=1e-12) for bound in TEMPERATURE_BOUNDS)
    assert fit_temperature(logits * 1e-4, label) == least
    assert fit_temperature(logits, 1 - label) == most  # worse than chance: as unsure as can be


def test_what_cannot_be_fitted_is_refused_with_a_mend() -> None:
    with pytest.raises(DataError, match=r"calibrate part has 0 abnormal and 3 normal.*patients"):
        fit_temperature(np.zeros((3, 2)), np.zeros(3, dtype=int))
    with pytest.raises(TableError, match="shape"):
        fit_temperature(np.zeros((3, 3)), np.array([0, 1, 1]))
    with pytest.raises(TableError, match="2 labels for 3 logits"):
        fit_temperature(np.zeros((3, 2)), np.array([0, 1]))
    with pytest.raises(TableError, match="row 2 are not finite"):
        apply_temperature(np.array([[0.0, 1.0], [np.nan, 1.0]]), 1.0)
    with pytest.raises(DataError, match="not above 0"):
        apply_temperature(np.zeros((1, 2)), 0.0)


def test_the_sigmoid_is_scipys_to_the_last_digits_and_does_not_overflow() -> None:
    from scipy.special import expit

    x = np.concatenate([np.linspace(-40, 40, 1001), [-800.0, 800.0, 0.0]])
    np.testing.assert_allclose(sigmoid(x), expit(x), rtol=1e-14, atol=0)

from __future__ import annotations

import json

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, log_expit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from cxreader.errors import DataError, TableError
from cxreader.evaluation.calibration.calibrators import (
    Isotonic,
    Platt,
    Temperature,
    calibrator_from_dict,
    fit_calibrator,
)
from cxreader.evaluation.calibration.temperature import apply_temperature, fit_temperature

Floats = NDArray[np.float64]
CALIBRATORS = ("temperature", "platt", "isotonic")


def _bold(seed: int, n: int = 400, digits: int = 6) -> tuple[Floats, NDArray[np.int64]]:
    """Scores that are too extreme and shifted, and their labels."""
    generator = np.random.default_rng(seed)
    true = generator.normal(0, 1.5, n)
    label = (generator.random(n) < expit(true)).astype(np.int64)
    label[:2] = 0, 1
    return (2.5 * true + 1).round(digits), label


def test_temperature_is_the_one_that_training_fits() -> None:
    score, label = _bold(0)
    logits = np.stack([np.full(len(score), 7.0), score + 7.0], axis=1)
    found = fit_calibrator("temperature", score, label)
    assert isinstance(found, Temperature)
    assert found.temperature == pytest.approx(fit_temperature(logits, label), rel=1e-6)
    np.testing.assert_allclose(found.apply(score), apply_temperature(logits, found.temperature), atol=1e-12)


def test_platt_equals_scikit_learn() -> None:
    """scikit-learn's own sigmoid calibration of a frozen classifier whose decision function is the score itself."""
    score, label = _bold(1)
    classifier = LogisticRegression().fit(score[:, None], label)
    classifier.coef_, classifier.intercept_ = np.array([[1.0]]), np.array([0.0])
    peer = CalibratedClassifierCV(FrozenEstimator(classifier), method="sigmoid").fit(score[:, None], label)
    found = fit_calibrator("platt", score, label)
    np.testing.assert_allclose(found.apply(score), peer.predict_proba(score[:, None])[:, 1], atol=2e-4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3), shift=st.floats(-20, 20))
def test_platt_equals_a_regression_on_his_targets(seed: int, scale: float, shift: float) -> None:
    score, label = _bold(seed, 150)
    n_positive, n_negative = label.sum(), (1 - label).sum()
    target = np.where(label == 1, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    expected = sm.GLM(target, sm.add_constant(score), family=sm.families.Binomial()).fit(tol=1e-14).params
    found = fit_calibrator("platt", score * scale + shift, label)
    assert isinstance(found, Platt)
    assert found.slope == pytest.approx(expected[1] / scale, rel=1e-6)
    assert found.intercept == pytest.approx(expected[0] - shift * expected[1] / scale, rel=1e-5, abs=1e-6)


def test_platt_of_perfect_classes_is_short_of_certainty() -> None:
    found = fit_calibrator("platt", np.repeat([-4.0, 4.0], 20), np.repeat([0, 1], 20))
    np.testing.assert_allclose(found.apply(np.array([-4.0, 4.0])), [1 / 22, 21 / 22], atol=1e-9)


def test_platt_never_turns_the_ranking_round() -> None:
    score, label = _bold(2)
    with pytest.raises(DataError, match=r"do not rise with the label.*AUC"):
        fit_calibrator("platt", -score, label)
    with pytest.raises(DataError, match="do not rise"):
        fit_calibrator("platt", np.ones(len(label)), label)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 200), digits=st.integers(0, 6))
def test_isotonic_equals_scikit_learn_inside_outside_and_on_ties(seed: int, n: int, digits: int) -> None:
    score, label = _bold(seed, n, digits)
    peer = IsotonicRegression(out_of_bounds="clip").fit(score, label)
    new = np.concatenate([score, np.linspace(score.min() - 2, score.max() + 2, 101)])
    found = fit_calibrator("isotonic", score, label)
    assert isinstance(found, Isotonic)
    np.testing.assert_allclose(found.apply(new), peer.predict(new), atol=1e-12)


@pytest.mark.parametrize("method", CALIBRATORS)
def test_every_map_rises_is_a_probability_and_calibrates(method: str) -> None:
    score, label = _bold(3, 3000)
    found = fit_calibrator(method, score, label)
    assert (found.method, found.n_positive, found.n_negative) == (method, label.sum(), (1 - label).sum())
    p = found.apply(np.sort(score))
    assert p.dtype == np.float64
    assert ((p >= 0) & (p <= 1)).all()
    assert (np.diff(p) >= 0).all()
    fresh, truth = _bold(4, 3000)

    def loss(log_odds: Floats) -> float:
        return float(-np.mean(np.where(truth == 1, log_expit(log_odds), log_expit(-log_odds))))

    after = np.clip(found.apply(fresh), 1e-3, 1 - 1e-3)
    assert loss(np.log(after / (1 - after))) < loss(fresh) - 0.05


@pytest.mark.parametrize("method", CALIBRATORS)
def test_json_round_trip_is_exact(method: str) -> None:
    score, label = _bold(5)
    found = fit_calibrator(method, score, label)
    back = calibrator_from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert back == found
    np.testing.assert_array_equal(back.apply(score), found.apply(score))


def test_what_cannot_be_fitted_or_read_is_refused() -> None:
    score, label = _bold(6)
    with pytest.raises(DataError, match="no calibration is named 'plat'; did you mean 'platt'"):
        fit_calibrator("plat", score, label)
    for method in CALIBRATORS:
        with pytest.raises(DataError, match="0 abnormal"):
            fit_calibrator(method, score, np.zeros_like(label))
        with pytest.raises(TableError, match="2 labels for 400 scores"):
            fit_calibrator(method, score, label[:2])
        with pytest.raises(TableError, match="row 2 is not finite"):
            fit_calibrator(method, score, label).apply(np.array([0.0, np.nan]))
        with pytest.raises(TableError, match="shape"):
            fit_calibrator(method, score[:, None], label)
    with pytest.raises(DataError, match="is no calibration"):
        calibrator_from_dict({"method": "platt", "slope": 1.0})
    with pytest.raises(DataError, match="is no calibration"):
        calibrator_from_dict({})
    values = Isotonic((0.0, 1.0), (0.2, 0.9), 1, 1).to_dict()
    for damage in (
        {"scores": [1.0, 0.0]},
        {"probabilities": [0.9, 0.2]},
        {"scores": [0.0]},
        {"probabilities": [0.2, 1.9]},
    ):
        with pytest.raises(DataError, match="isotonic calibration"):
            calibrator_from_dict({**values, **damage})
    with pytest.raises(DataError, match="is no calibration"):
        calibrator_from_dict({**values, "scores": ["a", "b"]})
    with pytest.raises(DataError, match="named 'beta'"):
        calibrator_from_dict({"method": "beta"})

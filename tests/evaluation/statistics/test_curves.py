from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from cxreader.evaluation.statistics.curves import (
    GRID,
    MAX_POINTS,
    Histogram,
    PrecisionRecallCurve,
    RocCurve,
    band,
    curve_draws,
    precision_recall_curve,
    roc_curve,
)
from cxreader.evaluation.statistics.intervals import Sample, resample


def _sample(seed: int, n: int, levels: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, n)
    label[:2] = 0, 1
    score = np.clip(0.5 + 0.15 * (label - 0.5) + generator.normal(0, 0.15, n), 0, 1)
    return label, np.round(score * levels) / levels


def _area(curve: PrecisionRecallCurve) -> float:
    return float(np.sum(np.diff(curve.recall) * curve.precision[1:]))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 80), levels=st.sampled_from([1, 5, 10**6]))
def test_the_area_under_the_drawn_curve_is_the_number(seed: int, n: int, levels: int) -> None:
    label, p = _sample(seed, n, levels)
    roc, pr = roc_curve(label, p), precision_recall_curve(label, p)
    assert np.trapezoid(roc.true_positive_rate, roc.false_positive_rate) == pytest.approx(sk.roc_auc_score(label, p))
    assert _area(pr) == pytest.approx(sk.average_precision_score(label, p))


def test_corners_are_among_those_of_scikit_learn() -> None:
    label, p = _sample(3, 200, 40)
    roc = roc_curve(label, p)
    false, true, threshold = sk.roc_curve(label, p)
    # scikit-learn keeps some points on a straight line; ours keep none.
    at = np.searchsorted(-threshold, -roc.threshold)
    np.testing.assert_array_equal(threshold[at], roc.threshold)
    np.testing.assert_allclose(roc.false_positive_rate, false[at])
    np.testing.assert_allclose(roc.true_positive_rate, true[at])
    assert 5 < len(at) <= len(threshold)


def test_a_long_curve_is_thinned_and_keeps_its_area() -> None:
    label, p = _sample(0, 30_000, 10**9)
    roc, pr = roc_curve(label, p), precision_recall_curve(label, p)
    assert len(roc.threshold) <= MAX_POINTS
    assert len(pr.threshold) <= MAX_POINTS + 1
    area = np.trapezoid(roc.true_positive_rate, roc.false_positive_rate)
    assert area == pytest.approx(sk.roc_auc_score(label, p), abs=3e-4)
    assert _area(pr) == pytest.approx(sk.average_precision_score(label, p), abs=1e-12)
    assert (roc.false_positive_rate[-1], roc.true_positive_rate[-1], pr.recall[-1]) == (1.0, 1.0, 1.0)


def test_band_points_lie_on_the_curve_of_the_same_weights() -> None:
    label, p = _sample(5, 120, 15)
    draws = curve_draws(label, p)(np.ones((1, 120)))
    roc, pr = roc_curve(label, p), precision_recall_curve(label, p)
    # At a jump of the curve the band takes its upper end.
    beyond = np.interp(GRID, roc.false_positive_rate, roc.true_positive_rate)
    np.testing.assert_allclose(draws["roc"][0], beyond)
    step = np.searchsorted(pr.recall, np.maximum(GRID - 1e-12, 1e-12))
    np.testing.assert_allclose(draws["precision_recall"][0], pr.precision[step])


def test_band_holds_the_curve_and_needs_both_classes() -> None:
    label, p = _sample(1, 300, 10**6)
    draws = resample(curve_draws(label, p), Sample(label, np.arange(300)), n_resamples=200).draws
    low, high = band(draws["roc"])
    here = curve_draws(label, p)(np.ones((1, 300)))["roc"][0]
    inside = (low <= here + 1e-9) & (here <= high + 1e-9)
    assert inside.mean() > 0.95
    assert (high - low)[20] > 0.02
    alone = curve_draws(np.ones(4, dtype=int), np.linspace(0, 1, 4))(np.ones((2, 4)))
    assert np.isnan(band(alone["roc"])).all()
    np.testing.assert_array_equal(band(alone["precision_recall"]), 1.0)


@pytest.mark.parametrize("label", [[0, 0, 0], [1, 1, 1], []])
def test_one_class_gives_an_empty_curve(label: list[int]) -> None:
    y, p = np.array(label, dtype=int), np.linspace(0, 1, len(label))
    assert len(roc_curve(y, p).threshold) == 0
    assert len(precision_recall_curve(y, p).threshold) == (0 if sum(label) == 0 else 4)
    for curve in (roc_curve(y, p), precision_recall_curve(y, p)):
        text = json.dumps(curve.to_dict(), allow_nan=False)
        assert json.dumps(type(curve).from_dict(json.loads(text)).to_dict()) == text


def test_json_round_trip() -> None:
    label, p = _sample(2, 50, 20)
    limits = band(resample(curve_draws(label, p), Sample(label, np.arange(50)), n_resamples=20).draws["roc"])
    roc = roc_curve(label, p, limits)
    back = RocCurve.from_dict(json.loads(json.dumps(roc.to_dict(), allow_nan=False)))
    for name, values in vars(roc).items():
        np.testing.assert_array_equal(getattr(back, name), values)
    assert back.threshold[0] == np.inf


def test_histogram_counts_every_image() -> None:
    histogram = Histogram.of(np.array([0, 0, 1]), np.array([0.0, 0.39, 1.0]), bins=5)
    assert histogram.normal.tolist() == [1, 1, 0, 0, 0]
    assert histogram.abnormal.tolist() == [0, 0, 0, 0, 1]
    back = Histogram.from_dict(json.loads(json.dumps(histogram.to_dict())))
    np.testing.assert_array_equal(back.edges, histogram.edges)

"""The probability shown: inside its Venn-Abers pair, in the order of scores, without a step, and with thresholds that fit it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxreader.errors import DataError
from cxreader.evaluation.calibration.bounded import BoundedCalibrator
from cxreader.evaluation.calibration.calibrators import Temperature, calibrator_from_dict, fit_calibrator
from cxreader.evaluation.calibration.venn_abers import VennAbers, fit_venn_abers

Fitted = tuple[BoundedCalibrator, NDArray[np.float64], NDArray[np.int64]]


@st.composite
def fitted(draw: st.DrawFn) -> Fitted:
    """A calibrator of any kind on `calibrate` of any size and separation, its scores on a grid as a network's are."""
    seed, n = draw(st.integers(0, 2**32 - 1)), draw(st.integers(4, 200))
    lean, gap, scale = draw(st.floats(-6, 6)), draw(st.floats(0, 6)), draw(st.sampled_from((0.1, 1.0, 8.0)))
    method = draw(st.sampled_from(("temperature", "platt", "isotonic")))
    random = np.random.default_rng(seed)
    label = (random.random(n) < 0.4).astype(np.int64)
    label[:2] = 0, 1
    score = np.round((random.normal(0, 1, n) + gap * label + lean) * scale, draw(st.integers(0, 5)))
    try:
        calibrator = fit_calibrator(method, score, label)
    except DataError:  # Platt: the scores fall with the label
        calibrator = fit_calibrator("temperature", score, label)
    return BoundedCalibrator(calibrator, fit_venn_abers(score, label)), score, label


def _new(score: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Scores of `calibrate` and of others, in it, between and far outside, at least 1e-5 apart, rising."""
    random = np.random.default_rng(seed)
    low, high = score.min(), score.max()
    others = random.uniform(low - 3 * (high - low + 1), high + 3 * (high - low + 1), 400)
    return np.unique(np.round(np.concatenate([score, others]), 5))


@settings(max_examples=150, deadline=None)
@given(fitted(), st.integers(0, 1000))
def test_it_lies_inside_its_pair_and_rises_with_the_score(of: Fitted, seed: int) -> None:
    bounded, score, _ = of
    scores = _new(score, seed)
    probability, pair = bounded.apply(scores), bounded.pair(scores)
    assert pair is not None
    assert (pair[0] <= probability).all()
    assert (probability <= pair[1]).all()
    assert (np.diff(probability) > 0).all()


@settings(max_examples=60, deadline=None)
@given(fitted(), st.integers(0, 1000))
def test_it_ranks_as_the_score_does(of: Fitted, seed: int) -> None:
    bounded, score, label = of
    drawn = np.random.default_rng(seed).permutation(len(score))
    assert roc_auc_score(label, bounded.apply(score[drawn])) == roc_auc_score(label, score[drawn])


@settings(max_examples=60, deadline=None)
@given(fitted(), st.integers(0, 1000), st.floats(0.001, 0.999))
def test_a_moved_threshold_flags_the_images_that_it_flagged(of: Fitted, seed: int, threshold: float) -> None:
    bounded, score, _ = of
    scores = _new(score, seed)
    smooth, shown = bounded.calibrator.apply(scores), bounded.apply(scores)
    np.testing.assert_array_equal(shown >= bounded.at_or_above(threshold), smooth >= threshold)
    np.testing.assert_array_equal(shown <= bounded.at_or_below(threshold), smooth <= threshold)


@settings(max_examples=60, deadline=None)
@given(fitted(), st.integers(0, 1000))
def test_it_has_no_step_where_the_pair_has_one(of: Fitted, seed: int) -> None:
    bounded, score, _ = of
    isotonic = bounded.calibrator.method == "isotonic"
    at = np.unique(score)
    step = 1e-9 * np.maximum(1, np.abs(at))
    jump = np.abs(bounded.apply(at + step) - bounded.apply(at - step))
    own = np.abs(bounded.calibrator.apply(at + step) - bounded.calibrator.apply(at - step))
    least_gap = np.diff(at).min() if len(at) > 1 else 1.0
    assert (jump <= 4 * step / min(1.0, least_gap) + own * (not isotonic) + own).all()


def _by_hand() -> BoundedCalibrator:
    """Four images of calibrate at scores 0, 1, 2, 3: normal, normal, abnormal, abnormal; sigmoid as the calibration."""
    pair = fit_venn_abers(np.arange(4.0), np.array([0, 0, 1, 1]))
    return BoundedCalibrator(Temperature(1.0, 2, 2), pair)


def test_by_hand() -> None:
    bounded = _by_hand()
    # p1 of a normal image's score: one abnormal image more there, over it and those above: 1/3 at 0, 1/2 at 1, then 1.
    # p0 of an abnormal one's: 1/2 at 2, 2/3 at 3.
    low, high = bounded.pair(np.array([0.0, 1.0, 2.0, 3.0]))  # type: ignore[misc] # there is one
    assert low.tolist() == pytest.approx([0, 0, 1 / 2, 2 / 3])
    assert high.tolist() == pytest.approx([1 / 3, 1 / 2, 1, 1])
    # sigmoid(0) = 0.5 lies above 1/3, sigmoid(1) = 0.731 above 1/2, sigmoid(2) = 0.881 and sigmoid(3) = 0.953 inside.
    nearest, order = np.array([1 / 3, 1 / 2, 0.880797, 0.952574]), np.array([1 / 2, 3 / 4, 5 / 6, 7 / 8])
    expected = 0.99 * nearest + 0.01 * (low + (high - low) * order)
    assert bounded.apply(np.arange(4.0)).tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    # Between 1 and 2 both ends go straight: at 1.5 they are 1/4 and 3/4, and sigmoid(1.5) = 0.818 is above.
    assert bounded.apply(np.array([1.5]))[0] == pytest.approx(0.99 * 0.75 + 0.01 * (0.25 + 0.5 * 0.8), abs=1e-6)


def test_without_a_predictor_the_calibration_decides_alone() -> None:
    calibrator = calibrator_from_dict({"temperature": 2.0, "n_positive": 3, "n_negative": 4, "method": "temperature"})
    bounded = BoundedCalibrator(calibrator, None)
    score = np.array([-3.0, 0.0, 5.0])
    assert bounded.pair(score) is None
    assert bounded.apply(score).tolist() == calibrator.apply(score).tolist()


def test_thresholds_that_all_or_none_reach() -> None:
    pair = fit_venn_abers(np.arange(4.0), np.array([0, 1, 0, 1]))
    isotonic = BoundedCalibrator(fit_calibrator("isotonic", np.arange(4.0), np.array([0, 1, 0, 1])), pair)
    assert isotonic.at_or_above(0.0) == 0.0
    assert isotonic.at_or_below(1.0) == 1.0


def test_a_predictor_of_one_step_and_of_none() -> None:
    for p0_from, p0 in (((1.0,), (0.0, 0.5)), ((), (0.25,))):
        pair = VennAbers(p0_from, p0, (), (1.0,), 1, 1)
        bounded = BoundedCalibrator(Temperature(1.0, 1, 1), pair)
        scores = np.linspace(-9, 9, 181)
        found, (low, high) = bounded.apply(scores), pair.apply(scores)
        assert ((low <= found) & (found <= high)).all()
        assert (np.diff(found) > 0).all()

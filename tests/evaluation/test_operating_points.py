from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from cxreader.errors import DataError
from cxreader.evaluation.operating_points import youden
from cxreader.records import OperatingPoint


def test_hand_computed_youden() -> None:
    # At 0.6: 2 of 2 abnormal, 1 of 3 normal flagged: J = 2/3; at 0.8: 1/2.
    point = youden(np.array([1, 1, 0, 0, 0]), np.array([0.8, 0.6, 0.7, 0.2, 0.1]))
    assert point.threshold == pytest.approx(0.4)
    assert (point.name, point.n_positive, point.n_negative, point.fitted_on) == ("youden", 2, 3, "calibrate")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from([2, 7, 10**6]))
def test_no_other_threshold_has_a_larger_j(seed: int, levels: int) -> None:
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, 50)
    label[:2] = 0, 1
    probability = generator.integers(0, levels + 1, 50) / levels
    flagged = probability >= youden(label, probability).threshold
    false, true, _ = roc_curve(label, probability)
    j = flagged[label == 1].mean() - flagged[label == 0].mean()
    assert j == pytest.approx((true - false).max(), abs=1e-12)
    order = generator.permutation(50)
    assert youden(label[order], probability[order]) == youden(label, probability)


def test_of_equally_good_thresholds_the_lowest_is_taken() -> None:
    # Flagging from 0.8 (1 of 2, no false) and from 0.4 (2 of 2, 1 of 2 false) both give J = 1/2.
    assert youden(np.array([1, 0, 1, 0]), np.array([0.8, 0.6, 0.4, 0.2])).threshold == pytest.approx(0.3)


def test_neighbouring_floats_are_still_told_apart() -> None:
    low = 0.5
    high = np.nextafter(low, 1)
    point = youden(np.array([0, 1]), np.array([low, high]))
    assert point.threshold == high


def test_everything_alike_flags_everything() -> None:
    assert youden(np.array([0, 1]), np.array([0.3, 0.3])).threshold == pytest.approx(0.15)
    assert youden(np.array([0, 1]), np.array([0.0, 0.0])).threshold == 0.0


@pytest.mark.parametrize("value", [0, 1])
def test_one_class_is_refused_with_a_mend(value: int) -> None:
    with pytest.raises(DataError, match="nothing can be fitted on it; give the split more patients"):
        youden(np.full(4, value), np.linspace(0, 1, 4))


def test_round_trip_and_a_threshold_outside_is_refused() -> None:
    point = youden(np.array([1, 0, 1, 0]), np.array([0.8, 0.6, 0.4, 0.2]))
    assert OperatingPoint.from_dict(json.loads(json.dumps(point.to_dict()))) == point
    assert OperatingPoint.given(0.5).fitted_on == "given"
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(DataError, match="outside 0 to 1"):
            OperatingPoint.given(wrong)

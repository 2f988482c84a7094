from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from cxreader.errors import TableError
from cxreader.evaluation.statistics.metrics import (
    METRIC_NAMES,
    METRIC_TITLES,
    Confusion,
    Ranking,
    accuracy,
    all_metrics,
    confusion,
    f1,
    precision,
    recall,
    specificity,
    undefined_reasons,
)


def _sample(seed: int, n: int, levels: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Labels of both classes, probabilities on few levels (ties) and small whole weights."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, n)
    label[:2] = 0, 1
    weight = generator.integers(0, 4, n).astype(np.float64)
    weight[:2] = 1
    return label, generator.integers(0, levels + 1, n) / levels, weight


def _auc(label: list[int], probability: list[float], weight: list[list[float]] | None = None) -> NDArray[np.float64]:
    """AUC (b,) of weights (b, n); without them every image counts once."""
    rows = np.array(weight or [[1.0] * len(label)])
    return all_metrics(np.array(label), np.array(probability))(rows)["auc"]


def test_hand_computed_counts_and_rates() -> None:
    label = np.array([1, 1, 1, 0, 0, 0, 0])
    probability = np.array([0.9, 0.5, 0.2, 0.6, 0.4, 0.3, 0.1])
    assert confusion(label, probability >= 0.5) == {"tp": 2, "fp": 1, "tn": 3, "fn": 1}
    found = {name: value[0] for name, value in all_metrics(label, probability, 0.5)(np.ones((1, 7))).items()}
    assert found["accuracy"] == pytest.approx(5 / 7)
    assert found["precision"] == found["recall"] == found["f1"] == pytest.approx(2 / 3)
    assert found["specificity"] == pytest.approx(3 / 4)
    # Pairs won: 0.9 beats 4, 0.5 beats 3, 0.2 beats 1 of 4 each.
    assert found["auc"] == pytest.approx(8 / 12)
    # Found at ranks 1, 3 and 6.
    assert found["average_precision"] == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    squares = [0.01, 0.25, 0.64, 0.36, 0.16, 0.09, 0.01]
    assert found["brier"] == pytest.approx(sum(squares) / 7)


def test_a_tie_counts_one_half() -> None:
    assert _auc([1, 0], [0.5, 0.5])[0] == 0.5
    assert _auc([1, 0, 0], [0.5, 0.5, 0.1])[0] == 0.75


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 60), levels=st.sampled_from([1, 3, 10, 10**6]))
def test_areas_equal_scikit_learn_with_weights_and_ties(seed: int, n: int, levels: int) -> None:
    label, probability, weight = _sample(seed, n, levels)
    rows = np.stack([np.ones(n), weight])
    ranking = Ranking.of(label, probability)
    parts = ranking.areas(rows), ranking.areas(weight[None] / 3)
    area, average = (np.append(*both) for both in zip(*parts, strict=True))
    for k, row in enumerate([*rows, weight / 3]):
        # Images of weight 0 are not there; scikit-learn would keep their thresholds, with the same areas.
        there = row > 0
        y, p, w = label[there], probability[there], row[there]
        assert area[k] == pytest.approx(sk.roc_auc_score(y, p, sample_weight=w), abs=1e-12)
        assert average[k] == pytest.approx(sk.average_precision_score(y, p, sample_weight=w), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 60))
def test_rates_equal_scikit_learn_with_weights(seed: int, n: int) -> None:
    label, probability, weight = _sample(seed, n, 10)
    found = all_metrics(label, probability, 0.5)(weight[None])
    decision = (probability >= 0.5).astype(int)
    expected = {
        "accuracy": sk.accuracy_score(label, decision, sample_weight=weight),
        "precision": sk.precision_score(label, decision, sample_weight=weight, zero_division=np.nan),
        "recall": sk.recall_score(label, decision, sample_weight=weight),
        "specificity": sk.recall_score(label, decision, pos_label=0, sample_weight=weight),
        "f1": sk.f1_score(label, decision, sample_weight=weight),
        "brier": sk.brier_score_loss(label, probability, sample_weight=weight),
        "auc": sk.roc_auc_score(label, probability, sample_weight=weight),
        "average_precision": sk.average_precision_score(label, probability, sample_weight=weight),
    }
    assert set(found) == set(expected) == set(METRIC_NAMES) == set(METRIC_TITLES)
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, abs=1e-12, nan_ok=True), name


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_whole_weights_are_repetition(seed: int) -> None:
    label, probability, weight = _sample(seed, 25, 8)
    repeated = np.repeat(np.arange(25), weight.astype(int))
    one = all_metrics(label, probability, 0.4)(weight[None])
    other = all_metrics(label[repeated], probability[repeated], 0.4)(np.ones((1, len(repeated))))
    for name in METRIC_NAMES:
        assert one[name][0] == pytest.approx(other[name][0], abs=1e-12, nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_areas_depend_on_order_alone_and_turn_with_the_classes(seed: int) -> None:
    label, probability, _ = _sample(seed, 40, 12)
    once = np.ones((1, 40))
    area, average = Ranking.of(label, probability).areas(once)
    squeezed = Ranking.of(label, 0.5 + probability**3 / 7).areas(once)
    assert (area[0], average[0]) == (squeezed[0][0], squeezed[1][0])
    assert Ranking.of(1 - label, probability).areas(once)[0][0] == pytest.approx(1 - area[0], abs=1e-12)


def test_undefined_is_nan_and_has_a_reason() -> None:
    weight = np.ones((1, 3))
    normal_only = all_metrics(np.zeros(3, dtype=int), np.array([0.1, 0.2, 0.3]), 0.5)(weight)
    undefined = {name for name, value in normal_only.items() if np.isnan(value[0])}
    assert undefined == {"auc", "average_precision", "recall", "precision", "f1"}
    assert undefined <= set(undefined_reasons(np.zeros(3, dtype=int)))
    abnormal_only = all_metrics(np.ones(3, dtype=int), np.array([0.1, 0.2, 0.3]), 0.5)(weight)
    assert {name for name, value in abnormal_only.items() if np.isnan(value[0])} == {"auc", "specificity", "precision"}
    assert undefined_reasons(np.ones(3, dtype=int))["auc"] == "no normal image"
    assert set(undefined_reasons(np.empty(0, dtype=int)).values()) == {"no image"}


def test_one_class_in_one_resample_leaves_the_others_alone() -> None:
    area = _auc([1, 0, 0], [0.9, 0.5, 0.1], [[1.0, 1, 0], [0, 1, 1], [1, 0, 1]])
    assert area[0] == area[2] == 1.0
    assert np.isnan(area[1])


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(TableError, match="2 probabilities for 3 labels"):
        Ranking.of(np.array([0, 1, 1]), np.array([0.1, 0.2]))


def test_rates_of_nothing_are_nan() -> None:
    nothing = Confusion(*np.zeros((4, 1)))
    assert all(np.isnan(rate(nothing)[0]) for rate in (accuracy, precision, recall, specificity, f1))

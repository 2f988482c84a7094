"""Exact bounds where a bootstrap gives none: against scipy, by hand, and by the worst case that the bound allows."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from cxreader.evaluation.statistics.exact import (
    bounded_auc,
    bounded_metrics,
    bounded_share,
    disjoint_pairs,
    least_auc,
    least_share,
    separation_method,
)
from cxreader.evaluation.statistics.intervals import Estimate, Sample

NONE = "every resample gives the same value, which bounds nothing"


def _estimate(value: float, low: float = np.nan, high: float = np.nan) -> Estimate:
    return Estimate(value, low, high, 30, 20, 9, "bootstrap", NONE if np.isnan(low) else None)


@pytest.mark.parametrize("n", [1, 2, 5, 25, 400])
def test_it_is_clopper_and_pearsons(n: int) -> None:
    exact = binomtest(n, n).proportion_ci(0.95, method="exact")
    assert least_share(n) == pytest.approx(exact.low)
    none = binomtest(0, n).proportion_ci(0.95, method="exact")
    assert 1 - least_share(n) == pytest.approx(none.high)


def test_images_of_one_patient_are_one_trial() -> None:
    label, groups = np.array([1, 1, 1, 0, 0]), np.array([4, 4, 7, 7, 9])
    sample = Sample(label, groups)
    all_found = bounded_share(_estimate(1.0), label == 1, sample)  # patients 4 and 7
    assert (all_found.low, all_found.high) == pytest.approx((0.025**0.5, 1.0))
    assert (all_found.reason, all_found.method) == (None, "exact (Clopper-Pearson) by patient, 2 of them")
    none_found = bounded_share(_estimate(0.0), np.ones(5, bool), sample)
    assert (none_found.low, none_found.high) == pytest.approx((0.0, 1 - 0.025 ** (1 / 3)))
    unknown = bounded_share(_estimate(1.0), label == 1, Sample(label, np.arange(5), patients_known=False))
    assert unknown.method == "exact (Clopper-Pearson) by image, 3 of them"
    assert bounded_share(_estimate(0.4, 0.3, 0.5), label == 1, sample) == _estimate(0.4, 0.3, 0.5)


def _most_pairs(abnormal: set[int], normal: set[int]) -> int:
    """By trial: the longest list of pairs in which nobody stands twice."""
    best = 0
    for row in permutations(sorted(normal)):
        used: set[int] = set()
        pairs = 0
        for a, b in zip(sorted(abnormal), row, strict=False):
            if a != b and not {a, b} & used:
                used |= {a, b}
                pairs += 1
        best = max(best, pairs)
    for left in sorted(abnormal):  # an abnormal patient may stay alone
        if len(abnormal) > 1:
            best = max(best, _most_pairs(abnormal - {left}, normal))
    return best


@given(st.sets(st.integers(0, 4), min_size=1, max_size=4), st.sets(st.integers(2, 6), min_size=1, max_size=4))
def test_pairs_in_which_every_patient_stands_once(abnormal: set[int], normal: set[int]) -> None:
    label = np.array([1] * len(abnormal) + [0] * len(normal))
    assert disjoint_pairs(Sample(label, np.array([*abnormal, *normal]))) == _most_pairs(abnormal, normal)


def test_an_auc_of_one_and_of_zero() -> None:
    sample = Sample(np.repeat([0, 1], (30, 50)), np.arange(80))
    exact = binomtest(30, 30).proportion_ci(0.95, method="exact").low
    whole = bounded_auc(_estimate(1.0), sample)
    assert (whole.low, whole.high) == pytest.approx((exact, 1.0))
    assert whole.reason is None
    assert whole.method == "exact (Clopper-Pearson): 30 pairs of patients, all in one order"
    reverse = bounded_auc(_estimate(0.0), sample)
    assert (reverse.low, reverse.high) == pytest.approx((0.0, 1 - exact))
    assert separation_method(Sample(np.array([0, 1]), np.array([3, 4]))).endswith(
        " 1 pair of patients, all in one order"
    )
    one = Sample(np.array([0, 1]), np.array([3, 3]))
    assert np.isnan(bounded_auc(_estimate(1.0), one).low)
    assert np.isnan(least_auc(one))


def test_the_worst_case_at_the_bound_separates_in_one_of_forty_samples() -> None:
    """Seven abnormal images, each below all normal ones with the chance that the bound still allows."""
    sample = Sample(np.repeat([0, 1], (12, 7)), np.arange(19))
    misses = np.random.default_rng(0).random((200_000, 7)) > least_auc(sample)
    assert (~misses.any(axis=1)).mean() == pytest.approx(0.025, abs=0.001)


def test_what_has_an_interval_or_is_no_share_stays() -> None:
    sample, flagged = Sample(np.array([0, 1, 1]), np.arange(3)), np.array([False, True, True])
    found = {
        "auc": _estimate(1.0),
        "average_precision": _estimate(1.0),
        "precision": _estimate(1.0),
        "npv": _estimate(1.0),
        "specificity": _estimate(1.0, 0.2, 1.0),
        "lr_negative": _estimate(0.0),
    }
    bounded = bounded_metrics(found, sample, flagged)
    lows = {name: estimate.low for name, estimate in bounded.items()}
    assert lows["auc"] == pytest.approx(0.025)
    assert lows["precision"] == pytest.approx(0.025**0.5)
    assert lows["npv"] == pytest.approx(0.025)
    assert lows["specificity"] == 0.2
    assert np.isnan([lows["average_precision"], lows["lr_negative"]]).all()
    alone = Sample(np.array([0, 1]), np.zeros(2, int))
    assert np.isnan(bounded_metrics(found, alone, flagged[:2])["npv"].low)

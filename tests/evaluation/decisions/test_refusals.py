"""Shares of refused images against hand counts, Clopper and Pearson's closed form, and SciPy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from cxreader.evaluation.decisions.refusals import Refusals, count_refusals
from cxreader.evaluation.statistics.intervals import Sample


def _sample(n: int, *, known: bool = True) -> Sample:
    return Sample(np.arange(n) % 2, np.arange(n), known)


def test_shares_and_counts_are_those_of_each_class() -> None:
    refused = np.zeros(100, bool)
    refused[[1, 3, 5, 2]] = True  # three abnormal, one normal
    reasons: list[tuple[str, ...]] = [("unlike the training images: 2.0 times",) if r else () for r in refused]
    reasons[1] = ("unlike the training images: 3.1 times", "looks rotated by 180 degrees")
    found = count_refusals(refused, reasons, _sample(100), stated=0.005)
    assert {name: share.value for name, share in found.shares.items()} == {
        "all": 0.04,
        "normal": 0.02,
        "abnormal": 0.06,
    }
    abnormal = found.shares["abnormal"]
    assert (abnormal.n_positive, abnormal.n_negative, abnormal.n_patients) == (50, 0, 50)
    assert found.reasons == {"unlike the training images": 4, "looks rotated by 180 degrees": 1}


def test_the_interval_by_single_images_agrees_with_the_binomial_one() -> None:
    refused = np.zeros(400, bool)
    refused[:40] = True
    share = count_refusals(refused, [()] * 400, _sample(400)).shares["all"]
    exact = binomtest(40, 400).proportion_ci(method="wilson")
    assert share.low == pytest.approx(exact.low, abs=0.01)
    assert share.high == pytest.approx(exact.high, abs=0.01)


@pytest.mark.parametrize("every", [False, True])
def test_none_or_all_refused_is_bounded_by_patients_as_scipy_does(every: bool) -> None:
    """Two images a patient: 40 patients count, not 80 images."""
    refused = np.full(80, every)
    sample = Sample(np.arange(80) % 2, np.arange(80) // 2)
    share = count_refusals(refused, [()] * 80, sample).shares["all"]
    exact = binomtest(40 * every, 40).proportion_ci(method="exact")
    assert (share.low, share.high) == pytest.approx((exact.low, exact.high))
    assert share.reason is None
    assert "by patient" in share.method


def test_a_missing_class_is_undefined_with_its_reason_and_json_keeps_all() -> None:
    sample = Sample(np.ones(30, int), np.arange(30), patients_known=False)
    found = count_refusals(np.arange(30) < 3, [("blank: nothing",)] * 30, sample)
    assert np.isnan(found.shares["normal"].value)
    assert found.shares["normal"].reason == "there is no normal image"
    again = Refusals.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.to_dict() == found.to_dict()

"""Classes of another preparation: what is told apart, who is counted, and when it is said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from cxreader.evaluation.shortcuts.preparation import Thumbnails, preparation_warning, told_apart
from cxreader.evaluation.statistics.intervals import Estimate, Sample


def _images(seed: int, label: list[int], shift: dict[int, float], images_a_patient: int = 1) -> Thumbnails:
    """Images of one brightness each, of deviation 1, shifted for a class."""
    random = np.random.default_rng(seed)
    own = np.array(label, np.int8)
    values = np.repeat(random.normal(0, 1, (len(own), 1)), 256, axis=1)
    for one, by in shift.items():
        values[own == one] += by
    return Thumbnails(values, Sample(own, np.arange(len(own)) // images_a_patient))


def test_a_shifted_class_is_told_at_the_auc_of_its_shift_and_the_other_is_not() -> None:
    """Two normal distributions d apart have the AUC Phi(d / sqrt 2)."""
    learnt = _images(0, [0, 1] * 400, {})
    judged = _images(1, [0, 0, 1, 1] * 100, {0: 2.0}, images_a_patient=2)
    found = told_apart(learnt, judged, n_resamples=500)
    assert found[0].value == pytest.approx(norm.cdf(2 / np.sqrt(2)), abs=0.03)
    assert found[1].low < 0.5 < found[1].high
    assert (found[0].n_positive, found[0].n_negative, found[0].n_patients) == (200, 400, 500)
    said = preparation_warning(found)
    assert said is not None
    assert said.startswith("The judged normal images are of another preparation than those it learnt from")
    assert "200 judged, 400 learnt" in said
    assert said.endswith("So the specificity here is of other images than its thresholds were set on.")


def test_alike_images_are_not_told_apart_and_nothing_is_said() -> None:
    found = told_apart(_images(2, [0, 1] * 200, {}), _images(3, [0, 1] * 80, {}), n_resamples=200)
    assert all(auc.low < 0.5 < auc.high for auc in found.values())
    assert preparation_warning(found) is None


def test_a_class_of_one_patient_is_left_out() -> None:
    found = told_apart(_images(4, [0, 1] * 30, {}), _images(5, [0] * 20 + [1], {}), n_resamples=50)
    assert list(found) == [0]


def test_both_classes_are_said_with_both_rates_and_the_bound_decides() -> None:
    def auc(low: float) -> Estimate:
        return Estimate(0.9, low, 0.95, 30, 40, 70, "bootstrap by patient")

    both = preparation_warning({0: auc(0.8), 1: auc(0.76)})
    assert both is not None
    assert "The judged normal and abnormal images" in both
    assert "So the specificity and sensitivity here are of other images" in both
    one = preparation_warning({0: auc(0.75), 1: auc(0.76)})
    assert one is not None
    assert "The judged abnormal images" in one
    assert "So the sensitivity here is" in one

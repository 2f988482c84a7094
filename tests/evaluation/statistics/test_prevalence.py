from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from cxreader.errors import TableError
from cxreader.evaluation.statistics.prevalence import PREVALENCE_METRICS, at_prevalence


def test_equals_the_metrics_of_a_sample_with_that_prevalence() -> None:
    # Half abnormal; every normal image four times gives one in five.
    label = np.repeat([1, 0], 50)
    called = np.random.default_rng(0).random(100) < 0.25 + 0.4 * label
    rare_label = np.concatenate([label, np.zeros(150, dtype=int)])
    rare_called = np.concatenate([called, np.tile(called[50:], 3)])
    recall, specificity = called[:50].mean(), 1 - called[50:].mean()
    found = at_prevalence(np.array([recall]), np.array([specificity]), 0.2)
    assert tuple(found) == PREVALENCE_METRICS
    for name, score in (("accuracy", sk.accuracy_score), ("precision", sk.precision_score), ("f1", sk.f1_score)):
        assert found[name][0] == pytest.approx(score(rare_label, rare_called)), name


def test_calling_all_normal_is_right_as_often_as_they_are_and_has_no_precision() -> None:
    found = at_prevalence(np.zeros(1), np.ones(1), 0.2)
    assert found["accuracy"][0] == pytest.approx(0.8)
    assert np.isnan(found["precision"][0])
    assert found["f1"][0] == 0


def test_undefined_stays_undefined() -> None:
    found = at_prevalence(np.array([np.nan, 0.5]), np.array([0.5, np.nan]), 0.2)
    assert all(np.isnan(values).all() for values in found.values())


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, float("nan")])
def test_a_prevalence_outside_0_to_1_is_refused(prevalence: float) -> None:
    with pytest.raises(TableError, match="prevalence"):
        at_prevalence(np.ones(1), np.ones(1), prevalence)

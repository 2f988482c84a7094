"""The answered images by themselves, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cxreader.evaluation.decisions.answered import judge_answered
from cxreader.records import PredictionTable

LABEL = np.array([1, 1, 1, 1, 0, 0, 0, 0])
PROBABILITY = np.array([0.9, 0.8, 0.7, 0.1, 0.2, 0.3, 0.9, 0.6])
ACCEPTANCE = ["accepted", "warning", "accepted", "refused", "accepted", "accepted", "refused", "accepted"]
DECISION = ["abnormal", "abnormal", "refer", "normal", "normal", "normal", "refer", "abnormal"]


def _table(**columns: list[str]) -> PredictionTable:
    names = np.array([f"{k}" for k in range(len(LABEL))])
    made = {name: np.array(values) for name, values in columns.items()}
    return PredictionTable(names, LABEL, PROBABILITY, names, made)


def test_refused_and_referred_images_go_and_one_that_is_both_counts_once() -> None:
    found = judge_answered(_table(acceptance=ACCEPTANCE, decision=DECISION), 0.5, n_resamples=50)
    assert found is not None
    assert (found.images, found.refused, found.referred) == (5, 2, 1)
    assert found.confusion == {"tp": 2, "fn": 0, "fp": 1, "tn": 2}
    assert found.metrics["specificity"].value == pytest.approx(2 / 3)
    assert found.metrics["auc"].value == 1
    assert (found.metrics["auc"].n_positive, found.metrics["auc"].n_negative) == (2, 3)


def test_where_every_image_is_answered_there_is_nothing_to_set_beside() -> None:
    assert judge_answered(_table(), 0.5) is None
    assert judge_answered(_table(acceptance=["warning"] * 8, decision=["normal"] * 8), 0.5) is None


def test_where_no_image_is_answered_only_the_counts_stand() -> None:
    found = judge_answered(_table(acceptance=["refused"] * 8), 0.5)
    assert found is not None
    assert (found.metrics, found.images, found.refused) == ({}, 0, 8)

"""An image whose probability is exactly the threshold is called abnormal, wherever a decision is taken or counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxreader.evaluation.comparison.networks import NetworkRuns, compare
from cxreader.evaluation.comparison.paired import compare_models
from cxreader.evaluation.comparison.second_reading import compare_labels, contradicted
from cxreader.evaluation.decisions.at_threshold import at_thresholds
from cxreader.evaluation.decisions.conformal import ConformalRule
from cxreader.evaluation.decisions.decision_curve import decision_curve
from cxreader.evaluation.decisions.operating_points import Rule
from cxreader.evaluation.evaluate import evaluate
from cxreader.evaluation.statistics.curves import precision_recall_curve, roc_curve
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.statistics.metrics import all_metrics
from cxreader.evaluation.subgroups.performance import subgroups
from cxreader.evaluation.worklist.policies import WorklistPolicy
from cxreader.evaluation.worklist.reading_room import Arrivals, ReadingRoom
from cxreader.evaluation.worklist.triage import simulate_triage
from cxreader.records import OperatingPoint, PredictionTable

# Two of three abnormal images stand exactly at the threshold, all others below it.
LABEL, P, AT = np.array([1, 1, 1, 0]), np.array([0.3, 0.3, 0.1, 0.1]), 0.3
COUNTS = {"tp": 2, "fp": 0, "tn": 1, "fn": 1}
POINT = OperatingPoint("at", AT, "r", 1, 1)


@pytest.fixture
def table() -> PredictionTable:
    return PredictionTable(np.array(["a", "b", "c", "d"]), LABEL, P, columns={"sex": np.array(["F", "F", "F", "M"])})


def test_in_the_metrics_and_in_an_evaluation(table: PredictionTable) -> None:
    values = all_metrics(LABEL, P, AT)(np.ones((1, 4)))
    assert [values[name][0] for name in ("recall", "precision", "accuracy")] == pytest.approx([2 / 3, 1, 3 / 4])
    found = evaluate(table, POINT, n_resamples=5)
    assert found.confusion == COUNTS
    assert found.metrics["recall"].value == pytest.approx(2 / 3)


def test_at_an_operating_point_and_in_a_subgroup(table: PredictionTable) -> None:
    (found,) = at_thresholds(table, [POINT], n_resamples=5)
    assert found.confusion == COUNTS
    assert found.rates["sensitivity"].value == pytest.approx(2 / 3)
    assert found.rates["flagged"].value == pytest.approx(1 / 2)
    women = subgroups(table, POINT, n_resamples=5).groups[0]
    assert women.name == "F"
    assert women.metrics["sensitivity"].value == pytest.approx(2 / 3)


def test_in_curves_and_in_the_net_benefit() -> None:
    roc, steps = roc_curve(LABEL, P), precision_recall_curve(LABEL, P)
    assert roc.true_positive_rate[roc.threshold == AT] == pytest.approx([2 / 3])
    assert steps.recall[-2:] == pytest.approx([2 / 3, 1])
    curve = decision_curve(Sample(LABEL, np.arange(4)), P, thresholds=np.array([AT]), n_resamples=5)
    assert curve.net_benefit == pytest.approx([2 / 4])


def test_between_models_and_between_readings(table: PredictionTable) -> None:
    (pair,) = compare_models(Sample(LABEL, np.arange(4)), {"at": P, "below": P - 0.05}, AT, n_resamples=5).pairs
    assert pair.tests["recall"].counts["only_first"] == 2
    assert pair.differences["recall"].value == pytest.approx(2 / 3)
    labels = compare_labels(table, dict(zip(table.image.tolist(), LABEL.tolist(), strict=True)), POINT, n_resamples=5)
    assert labels.agreement["model and first"].value == pytest.approx(3 / 4)
    assert [image.image for image in contradicted(table, POINT)] == ["c"]


def test_between_networks_and_in_what_is_said_of_a_training_that_flags_nothing() -> None:
    runs = [NetworkRuns("at", (0, 1), np.stack([P, P - 0.05])), NetworkRuns("above", (0,), (P + 0.05)[None])]
    found = compare(Sample(LABEL, np.arange(4)), runs, threshold=AT, n_resamples=5)
    at = found.row("at")
    assert at.confusion[0] == COUNTS
    assert at.by_seed["recall"] == pytest.approx((2 / 3, 0))
    assert at.metrics["precision"].reason == "no image was called abnormal in 1 of 2 trainings"
    assert found.all_agree.value == 1


def test_on_the_worklist(table: PredictionTable) -> None:
    """All come at once: the flagged, half of the drawn, are read before the others."""
    room = ReadingRoom(None, recorded=Arrivals(np.zeros(40), np.ones(40)))
    triage = simulate_triage(table, POINT, room, policies=[WorklistPolicy("flagged")], n_replications=20)
    assert triage.results[1].change["abnormal"]["mean"].high < 0


def test_both_ends_of_a_conformal_rule_belong_to_their_label() -> None:
    rule = ConformalRule(0.1, abnormal_from=0.6, normal_to=0.4, n_positive=9, n_negative=9)
    ends = np.array([0.4, np.nextafter(0.4, 1), np.nextafter(0.6, 0), 0.6])
    assert rule.label_set(ends).tolist() == ["normal", "neither", "neither", "abnormal"]
    wide = replace(rule, abnormal_from=0.4, normal_to=0.6)
    assert wide.label_set(np.array([0.4, 0.6])).tolist() == ["both", "both"]


def test_a_fitted_point_flags_the_image_that_it_rests_on() -> None:
    """Where no float lies between two probabilities, the threshold is the upper one and its image is flagged."""
    near = np.array([0.5, np.nextafter(0.5, 1)])
    point = Rule("sensitivity", 1.0).fit("all", np.array([0, 1]), near)
    assert point.threshold == near[1]
    assert (near >= point.threshold).tolist() == [False, True]

from __future__ import annotations

import json
from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from cxreader.errors import DataError, TableError, UsageError
from cxreader.evaluation.decisions.conformal import (
    ConformalResult,
    ConformalRule,
    JointRule,
    fit_conformal,
    judge_conformal,
    n_needed,
)
from cxreader.evaluation.statistics.intervals import Sample


def test_hand_computed_thresholds() -> None:
    # Of 19 images and a bound of 0.1 the ceil(20 x 0.9) = 18th best fitting one counts: the second worst.
    abnormal, normal = np.arange(40, 59) / 100, np.arange(10, 29) / 100
    rule = fit_conformal(np.repeat([1, 0], 19), np.concatenate([abnormal, normal]), 0.1)
    assert rule == ConformalRule(0.1, abnormal_from=0.41, normal_to=0.27, n_positive=19, n_negative=19)
    answers = rule.predict(np.array([0.0, 0.27, 0.28, 0.40, 0.41, 1.0]))
    assert answers.tolist() == ["normal", "normal", "refer", "refer", "abnormal", "abnormal"]
    assert rule.label_set(np.array([0.28, 0.41])).tolist() == ["neither", "abnormal"]


def test_classes_that_overlap_leave_both_possible() -> None:
    rule = ConformalRule(0.1, abnormal_from=0.3, normal_to=0.6, n_positive=9, n_negative=9)
    assert rule.label_set(np.array([0.29, 0.3, 0.6, 0.61])).tolist() == ["normal", "both", "both", "abnormal"]
    assert rule.predict(np.array([0.3])).tolist() == ["refer"]


@pytest.mark.parametrize(("alpha", "n"), [(0.1, 9), (0.05, 19), (0.01, 99), (0.3, 3), (0.07, 14), (0.001, 999)])
def test_how_many_images_a_bound_needs(alpha: float, n: int) -> None:
    assert n_needed(alpha) == n
    assert ceil((n + 1) * (1 - Fraction(str(alpha)))) <= n
    assert ceil(n * (1 - Fraction(str(alpha)))) > n - 1
    enough = np.linspace(0, 1, n)
    rule = fit_conformal(np.repeat([1, 0], n), np.concatenate([enough, enough]), alpha)
    assert (rule.abnormal_from, rule.normal_to) == (0.0, 1.0)
    with pytest.raises(DataError, match=f"{n - 1} abnormal images: an error bound of {alpha:g} needs at least {n};"):
        fit_conformal(np.repeat([1, 0], [n - 1, n]), np.zeros(2 * n - 1), alpha)


def test_the_mend_of_too_few_images_works() -> None:
    label, probability = np.repeat([1, 0], 18), np.linspace(0, 1, 36)
    with pytest.raises(DataError, match=r"take a bound of 0\.0527 or more"):
        fit_conformal(label, probability, 0.05)
    assert fit_conformal(label, probability, 0.0527).n_positive == 18


def test_the_rank_is_free_of_the_rounding_of_floats() -> None:
    """In floats 25 x (1 - 0.44) is a little more than 14, whose ceiling would be 15."""
    for n in range(2, 31):
        for percent in range(-(-100 // (n + 1)), 60):
            probability = np.arange(1, n + 1) / (n + 1)
            rule = fit_conformal(np.repeat([1, 0], n), np.tile(probability, 2), percent / 100)
            rank = -((n + 1) * (percent - 100) // 100)  # ceil, in whole numbers
            assert rule.normal_to == probability[rank - 1]
            assert rule.abnormal_from == probability[n - rank]


def test_coverage_over_calibrations_is_that_of_the_order_statistic() -> None:
    """For uniform scores the coverage of the r-th of n is Beta(r, n + 1 - r): its mean is r / (n + 1), 0.9 here."""
    generator = np.random.default_rng(0)
    label = np.repeat([1, 0], 29)
    rules = [fit_conformal(label, generator.random(58), 0.1) for _ in range(4000)]
    covered_abnormal, covered_normal = [1 - r.abnormal_from for r in rules], [r.normal_to for r in rules]
    for covered in (covered_abnormal, covered_normal):
        assert np.mean(covered) == pytest.approx(27 / 30, abs=0.004)
        assert np.std(covered) == pytest.approx(np.sqrt(27 * 3 / (30**2 * 31)), rel=0.05)


def _test_part() -> tuple[Sample, np.ndarray]:
    probability = np.repeat([0.9, 0.4, 0.1, 0.1, 0.4, 0.9], [6, 2, 2, 9, 3, 1])
    label = np.repeat([1, 0], [10, 13])
    return Sample(label, np.arange(23)), probability


def test_measured_on_test_by_hand() -> None:
    rule = ConformalRule(0.1, abnormal_from=0.3, normal_to=0.6, n_positive=30, n_negative=40)
    sample, probability = _test_part()
    result = judge_conformal(rule, sample, probability, prevalence=0.1, n_resamples=200)
    assert result.counts == {
        "normal": {"normal": 9, "abnormal": 1, "both": 3, "neither": 0},
        "abnormal": {"normal": 2, "abnormal": 6, "both": 2, "neither": 0},
    }
    expected = {
        "coverage_abnormal": 0.8,
        "coverage_normal": 12 / 13,
        "referred": 5 / 23,
        "referred_abnormal": 0.2,
        "referred_normal": 3 / 13,
        "both": 5 / 23,
        "neither": 0.0,
        "right_when_decided": 15 / 18,
    }
    assert {name: e.value for name, e in result.measures.items()} == pytest.approx(expected)
    assert result.referred_deployed is not None
    assert result.referred_deployed.value == pytest.approx(0.1 * 0.2 + 0.9 * 3 / 13)
    assert result.measures["coverage_abnormal"].low < 0.8 < result.measures["coverage_abnormal"].high


def test_neither_counts_against_coverage_and_is_referred() -> None:
    rule = ConformalRule(0.1, abnormal_from=0.6, normal_to=0.3, n_positive=30, n_negative=40)
    sample, probability = _test_part()
    result = judge_conformal(rule, sample, probability, n_resamples=20)
    assert result.measures["coverage_abnormal"].value == pytest.approx(0.6)
    assert result.measures["neither"].value == result.measures["referred"].value == pytest.approx(5 / 23)
    assert result.referred_deployed is None


def test_the_bound_holds_on_images_drawn_alike() -> None:
    generator = np.random.default_rng(1)
    label = np.tile([0, 1], 20_000)
    probability = 1 / (1 + np.exp(-(label - 0.5 + generator.normal(size=40_000))))
    for alpha in (0.05, 0.2):
        rule = fit_conformal(label[:20_000], probability[:20_000], alpha)
        test = Sample(label[20_000:], np.arange(20_000))
        measures = judge_conformal(rule, test, probability[20_000:], n_resamples=100).measures
        for name in ("coverage_abnormal", "coverage_normal"):
            assert measures[name].value == pytest.approx(1 - alpha, abs=0.012)


@pytest.mark.parametrize("label", [[], [1, 1, 1], [0, 0, 0], [0, 1, 0]])
def test_round_trips_and_reasons(label: list[int]) -> None:
    rule = ConformalRule(0.1, 0.3, 0.6, 30, 40)
    assert ConformalRule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
    sample = Sample(np.array(label, dtype=int), np.arange(len(label)))
    result = judge_conformal(rule, sample, np.full(len(label), 0.4), prevalence=0.2, n_resamples=20)
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert json.dumps(ConformalResult.from_dict(json.loads(text)).to_dict(), allow_nan=False) == text
    assert result.measures["right_when_decided"].reason == ("every image is referred" if label else "no image")
    if label == [1, 1, 1]:
        assert result.measures["coverage_normal"].reason == "no normal image"
        assert result.referred_deployed is not None
        assert result.referred_deployed.reason == "no normal image"


def test_wrong_arguments_are_refused() -> None:
    for alpha in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(UsageError, match="lies not between 0 and 1"):
            fit_conformal(np.array([0, 1]), np.array([0.1, 0.9]), alpha)
    with pytest.raises(TableError, match="1 probabilities for 2 labels"):
        fit_conformal(np.array([0, 1]), np.array([0.1]), 0.5)
    with pytest.raises(DataError, match="nothing can be fitted on it"):
        fit_conformal(np.ones(20, dtype=int), np.ones(20), 0.5)
    with pytest.raises(DataError, match="outside 0 to 1"):
        ConformalRule(0.1, 1.2, 0.5, 1, 1)
    rule = ConformalRule(0.1, 0.3, 0.6, 30, 40)
    with pytest.raises(TableError, match="1 probabilities for 2 labels"):
        judge_conformal(rule, Sample(np.array([0, 1]), np.arange(2)), np.array([0.1]))
    with pytest.raises(TableError, match="prevalence 2 lies not between"):
        judge_conformal(rule, Sample(np.array([0, 1]), np.arange(2)), np.array([0.1, 0.2]), prevalence=2)


def test_several_rules_answer_where_all_of_them_say_the_same_label() -> None:
    """By hand, of three normal and three abnormal images: one normal is ruled out of its own class, three are referred."""
    answers = np.array(
        [
            ["normal", "abnormal", "refer", "abnormal", "normal", "refer"],
            ["normal", "abnormal", "refer", "abnormal", "abnormal", "abnormal"],
        ]
    )
    joint, label = JointRule(answers, 0.1), np.array([0, 0, 0, 1, 1, 1])
    probability = np.linspace(0.1, 0.9, 6)
    assert joint.label_set(probability).tolist() == ["normal", "abnormal", "both", "abnormal", "both", "both"]
    result = judge_conformal(joint, Sample(label, np.arange(6)), probability, n_resamples=50)
    assert (result.rule, result.bound, result.alpha) == (None, 0.1, 0.1)
    assert result.counts["normal"] == {"normal": 1, "abnormal": 1, "both": 1, "neither": 0}
    assert result.counts["abnormal"] == {"normal": 0, "abnormal": 1, "both": 2, "neither": 0}
    assert result.measures["coverage_normal"].value == pytest.approx(2 / 3)
    assert result.measures["referred"].value == pytest.approx(3 / 6)
    assert result.measures["right_when_decided"].value == pytest.approx(2 / 3)
    assert ConformalResult.from_dict(json.loads(json.dumps(result.to_dict()))).to_dict() == result.to_dict()
    with pytest.raises(TableError, match="2 probabilities for 6 answers"):
        joint.label_set(probability[:2])

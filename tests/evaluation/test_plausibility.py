"""What is said first: figures that mean something else than they seem to."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from cxreader.evaluation.evaluate import evaluate
from cxreader.evaluation.evidence import EvaluationOptions
from cxreader.evaluation.plausibility import contradictory, implausible
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.records import OperatingPoint, PredictionTable


def _said(label: ArrayLike, probability: ArrayLike) -> list[str]:
    labels, scores = np.asarray(label), np.asarray(probability, dtype=np.float64)
    sample = Sample(labels, np.arange(len(labels)))
    alone = implausible(sample, scores)
    names = np.array([f"{k}.png" for k in range(len(labels))])
    table = PredictionTable(names, labels.astype(np.int8), scores, np.array([f"p{k}" for k in range(len(labels))]))
    evaluation = evaluate(table, 0.5, n_resamples=200)
    first = list(evaluation.warnings[: len(alone)])  # before whatever else is to be known
    assert [sentence.split(" (")[0] for sentence in first] == [sentence.split(" (")[0] for sentence in alone]
    return first


LABEL = np.arange(80) % 2
NOISE = np.random.default_rng(0).uniform(0.2, 0.8, 80)


def test_usual_predictions_have_nothing_to_say() -> None:
    assert _said(LABEL, np.clip(NOISE + 0.2 * LABEL, 0, 1)) == []


def test_a_reversed_direction() -> None:
    (said,) = _said(LABEL, np.clip(NOISE - 0.2 * LABEL, 0, 1))
    assert "below 0.5 with its whole interval: the direction is probably reversed" in said
    assert "probability of normal" in said
    assert _said(LABEL, NOISE) == []  # chance: the interval holds 0.5
    (quite,) = _said(LABEL, 0.9 - 0.8 * LABEL + NOISE / 100)
    assert quite.startswith("The AUC is 0.000 (0.000-0.088)")  # 1 - 0.025 ** (1 / 40)
    assert _said([0, 1, 0, 1], [0.9, 0.1, 0.8, 0.2]) == []  # two pairs say nothing: the bound is 0.84


@pytest.mark.parametrize("values", [(0.0, 1.0), (0.3, 0.7)])
def test_decisions_in_place_of_scores(values: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    (said,) = _said(LABEL, np.asarray(values)[np.where(rng.random(80) < 0.3, 1 - LABEL, LABEL)])
    assert said.startswith(f"Two values alone are given ({values[0]:g} and {values[1]:g}): these are decisions")
    assert _said(LABEL, np.round(NOISE + 0.1 * LABEL, 1)) == []


def test_one_class_says_what_can_be_computed() -> None:
    (abnormal,) = _said(np.ones(30, int), NOISE[:30])
    assert abnormal.startswith("There is no normal image: AUC, specificity")
    assert "Sensitivity can" in abnormal
    (normal,) = _said(np.zeros(30, int), NOISE[:30])
    assert normal.startswith("There is no abnormal image: AUC, sensitivity")
    assert "Specificity can" in normal


def test_constant_probabilities() -> None:
    (said,) = _said(LABEL, np.full(80, 0.25))
    assert said.startswith("All 80 images are given 0.25: nothing is ranked")


def test_a_perfect_separation_has_its_exact_bound() -> None:
    (said,) = _said(LABEL, 0.1 + 0.6 * LABEL + NOISE / 10)
    assert said.startswith("Perfect separation: every abnormal image is given a higher number than every normal one")
    assert "lower bound is 0.912, exact (Clopper-Pearson): 40 pairs of patients" in said  # 0.025 ** (1 / 40)


def _points(**thresholds: float) -> list[OperatingPoint]:
    rules = {"screening": "sensitivity at least 0.95", "rule_in": "specificity at least 0.95", "youden": "largest J"}
    return [OperatingPoint(name, value, rules.get(name, "r"), 9, 9) for name, value in thresholds.items()]


def test_points_that_contradict_their_names_or_coincide() -> None:
    assert contradictory(_points(youden=0.4, screening=0.2, rule_in=0.7)) == []
    (order,) = contradictory(_points(youden=0.4, screening=0.7, rule_in=0.2))
    assert "contradict their names: rule_in (0.200) lies below screening (0.700)" in order
    (same,) = contradictory(_points(youden=0.4, screening=0.4, rule_in=0.7))
    assert same.startswith("The operating points youden and screening coincide at 0.400")
    by_rule = [
        OperatingPoint("a", 0.3, "specificity at least 0.9", 9, 9),
        OperatingPoint("b", 0.5, "NPV at least 0.99 at prevalence 0.1", 9, 9),
    ]
    (ruled,) = contradictory(by_rule)
    assert "a (0.300) lies below b (0.500)" in ruled
    named = [OperatingPoint(name, at, "given", 0, 0) for name, at in (("rule_in", 0.1), ("rule_out", 0.6))]
    assert "rule_in (0.100) lies below rule_out (0.600)" in contradictory(named)[0]
    youden = OperatingPoint("best", 0.1, "largest sensitivity + specificity - 1", 9, 9)
    assert contradictory([youden, by_rule[0]]) == contradictory([youden, by_rule[1]]) == []


def test_an_evaluation_says_it_of_the_points_it_judges() -> None:
    names = np.array([f"{k}.png" for k in range(80)])
    table = PredictionTable(names, LABEL.astype(np.int8), np.clip(NOISE + 0.2 * LABEL, 0, 1))
    options = EvaluationOptions(tuple(_points(screening=0.7, rule_in=0.2)))
    evaluation = evaluate(table, options.points[0], n_resamples=20, options=options)
    assert evaluation.warnings[0].startswith("The operating points contradict their names")

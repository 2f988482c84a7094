"""Main effects and importances of a search."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.importance import FanovaImportanceEvaluator
from tests.study.search.world import complete_trial, learning_config

from cxreader import torch_setup  # noqa: F401

# isort: split

from cxreader.study.search.effects import importances, main_effects
from cxreader.study.search.record import rank
from cxreader.study.search.space import read_space


def test_main_effects_of_a_factorial_are_the_textbooks(world: Path) -> None:
    """2 x 2 with y = 1 + 2 a + 3 b + 0.5 a b: effect of a is 2 + 0.25, its t interval from the pairs 2 and 2.5."""
    space = read_space(learning_config(world, {"model.dropout": [0.0, 0.1], "training.fine_tune.lr": [0.1, 0.2]}))
    trials = [
        complete_trial(
            1 + 2 * a + b,
            1 + 2 * a + 3 * b + 0.5 * a * b,
            **{"model.dropout": a / 10, "training.fine_tune.lr": (b + 1) / 10},
        )
        for a in (0, 1)
        for b in (0, 1)
    ]
    first, second = main_effects(space, trials)
    assert (first.key, first.levels, first.pairs) == ("model.dropout", (0.0, 0.1), 2)
    assert first.value == pytest.approx(2.25)
    half = 12.7062047 * 0.25  # t(0.975; 1) times the standard error: the pairs' deviation is 0.5 / sqrt 2, over sqrt 2
    assert first.low == pytest.approx(2.25 - half)
    assert first.high == pytest.approx(2.25 + half)
    assert second.value == pytest.approx(3.25)
    lone = main_effects(space, trials[:3])[0]
    assert lone.pairs == 1
    assert math.isnan(lone.low)
    assert lone.reason == "1 matched pair"


def test_importances_are_optunas_over_the_complete_trials_in_the_order_of_the_points(world: Path) -> None:
    """Whatever their rank: the forest's samples depend on the order. Fewer than four trials, or equal ones, say so."""
    space = read_space(learning_config(world, {"model.dropout": [0.0, 0.1], "training.fine_tune.lr": [0.1, 0.2]}))
    study, trials = optuna.create_study(), []
    levels: dict[str, BaseDistribution] = {
        "model.dropout": CategoricalDistribution([0.0, 0.1]),
        "training.fine_tune.lr": CategoricalDistribution([0.1, 0.2]),
    }
    for number, (score, point) in enumerate(zip((0.5, 0.9, 0.6, 0.7), space.points(), strict=True), 1):
        trials.append(replace(complete_trial(number, score), point=point))
        study.add_trial(optuna.create_trial(params=dict(point), distributions=levels, value=score))
    evaluator = FanovaImportanceEvaluator(seed=3)
    expected = optuna.importance.get_param_importances(study, evaluator=evaluator)
    shares, how = importances(space, rank(trials, lower_is_better=False), 3)
    assert shares == expected
    assert "fANOVA over 4 complete trials" in how
    assert importances(space, trials[:3], 3) == ({}, "not computed: 3 complete trials are too few to describe")
    same = [replace(trial, score=0.5) for trial in trials]
    assert importances(space, same, 3) == ({}, "not computed: every trial has the same score")

"""Points drawn by TPE, and pruning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.study.search.world import SPACE, Fake, learning_config, silent

from cxreader import torch_setup  # noqa: F401

# isort: split

from cxreader.study.search.search import search


def test_tpe_draws_distinct_points_within_the_range_and_prunes_what_lies_behind(
    fake: Callable[..., Fake], world: Path, tmp_path: Path
) -> None:
    """Accuracy falls with distance from dropout 0.3; pruned are those below the median of earlier ones at their epoch."""
    trained = fake(lambda config: [0.9 - abs(config.model.dropout - 0.3) - config.training.fine_tune.lr] * 2)
    space = {"model.dropout": {"low": 0.0, "high": 0.9}, "training.fine_tune.lr": [0.1, 0.2]}
    result = search(learning_config(world, space, trials=14, pruning="median"), tmp_path / "out", say=silent)
    assert len(trained.seen) == len(set(trained.seen)) == 14
    assert all(0 <= dropout <= 0.9 for _, dropout in trained.seen)
    pruned = [trial for trial in result.others if trial.state == "pruned"]
    assert pruned
    assert len(pruned) + len(result.trials) == 14
    scores = [0.9 - abs(dropout - 0.3) - lr for lr, dropout in trained.seen]
    for trial in pruned:
        earlier = scores[: trial.number - 1]
        assert scores[trial.number - 1] < np.median(earlier)
        assert trial.number > 5
        assert "behind the median" in (trial.reason or "")
    again = fake(trained.curve)
    search(learning_config(world, space, trials=12, pruning="median"), tmp_path / "again", say=silent)
    assert again.seen == trained.seen[:12]  # of these the last two by TPE, which draws at random before


def test_tpe_exhausts_a_small_space_without_repeating(fake: Callable[..., Fake], world: Path, tmp_path: Path) -> None:
    trained = fake(lambda config: [0.5 + config.model.dropout / 2])
    result = search(learning_config(world, SPACE, sampler="tpe", trials=4), tmp_path / "out", say=silent)
    assert sorted(trained.seen) == [(1e-3, 0.0), (1e-3, 0.4), (1e-1, 0.0), (1e-1, 0.4)]
    assert len(result.trials) == 4

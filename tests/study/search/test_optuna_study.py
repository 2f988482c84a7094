"""Points drawn by TPE, and pruning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.study.search.world import SPACE, Fake, learning_config, silent

from cxreader import torch_setup  # noqa: F401

# isort: split

from contextlib import closing
from typing import Any

import pytest

from cxreader.config import with_values
from cxreader.study.search import worker as search_worker
from cxreader.study.search.leases import SearchLeases
from cxreader.study.search.optuna_study import OptunaStudy
from cxreader.study.search.record import trial_folder, write_record
from cxreader.study.search.search import search
from cxreader.study.search.space import read_space
from cxreader.training.train import Learnt


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


def test_the_score_of_a_worker_that_died_before_it_told_it_is_taken_from_its_record(
    world: Path, tmp_path: Path
) -> None:
    """TPE learns from it, and the point is not tried again; one that died without a record has failed."""
    config = learning_config(world, SPACE, sampler="tpe", trials=4)
    with closing(SearchLeases(tmp_path, config, "s")) as leases:
        written, lost = leases.take(), leases.take()
        assert written is not None
        assert lost is not None
        about = {"number": 1, "point": dict(written.point), "best": {"score": 0.75}}
        write_record(trial_folder(tmp_path, written.place, written.point), about, "complete", None)
        for lease in (written, lost):
            lease.file.close()
        following = leases.take()
        assert following is not None
        assert (following.place, following.point, following.attempt) == (lost.place, lost.point, 2)
        assert leases.study is not None
        trials = leases.study.study.get_trials()
        following.file.close()
    assert [(trial.state.name, trial.value) for trial in trials] == [
        ("COMPLETE", 0.75),
        ("FAIL", None),
        ("RUNNING", None),
    ]


def test_epochs_are_compared_with_those_of_the_same_phase(
    fake: Callable[..., Fake], world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first epoch of the second phase is a step of its own, behind the longest first phase."""
    one_phase = fake(lambda _: [0.5])

    def two_phases(*arguments: Any, watch: Any, **further: Any) -> Learnt:
        for phase, accuracy in (("head", 0.6), ("fine_tune", 0.7)):
            watch(phase, {"epoch": 0, "tune_accuracy": accuracy})
        return one_phase(*arguments, watch=lambda *_: None, **further)

    monkeypatch.setattr(search_worker, "learn", two_phases)
    space = {"training.fine_tune.lr": [0.1]}
    config = with_values(
        learning_config(world, space, pruning="median"),
        {"training.phases": ["head", "fine_tune"], "training.head.epochs": 3},
    )
    search(config, tmp_path / "out", say=silent)
    with closing(OptunaStudy(tmp_path / "out", read_space(config), config)) as study:
        (trial,) = study.study.get_trials()
    assert trial.intermediate_values == {0: 0.6, 3: 0.7}


def test_what_a_death_between_two_steps_left_in_the_queue_is_no_other_points_trial(world: Path, tmp_path: Path) -> None:
    with closing(SearchLeases(tmp_path, learning_config(world, pruning="median"), "s")) as leases:
        assert leases.study is not None
        second = {"training.fine_tune.lr": 0.1, "model.dropout": 0.4}
        leases.study.study.enqueue_trial(second, user_attrs={"place": 1})
        lease = leases.take()
        assert lease is not None
        assert lease.trial is not None
        lease.file.close()
        assert (lease.place, lease.point) == (0, {"training.fine_tune.lr": 0.1, "model.dropout": 0.0})
        assert lease.trial.user_attrs == {"place": 0}


def test_the_last_point_of_a_small_space_is_drawn_without_a_long_search(world: Path, tmp_path: Path) -> None:
    """After ten draws of known points one that is left is taken."""
    config = learning_config(world, {"training.batch_size": {"low": 2, "high": 41}}, trials=40)
    with closing(OptunaStudy(tmp_path, read_space(config), config)) as study:
        points = list(read_space(config).points())
        for place, point in enumerate(points[:-1]):
            study.ask(place, point)
        assert study.draw(39).params == points[-1]
        assert len(study.study.get_trials()) <= 39 + 11
        assert len(study.points()) == 40

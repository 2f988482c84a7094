"""The parent of the workers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.study.search.dying import DEATHS_EACH, die_twice_at_each_point
from tests.study.search.world import learning_config, record_of

from cxreader.errors import CxreaderError
from cxreader.study.search import pool
from cxreader.study.search.record import Trial


def test_workers_that_die_before_they_try_anything_end_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As where a script calls the search without `if __name__ == "__main__":`."""
    started: list[Any] = []

    def start(task: Any) -> Any:
        started.append(begin(task))
        return started[-1]

    begin = pool._start
    monkeypatch.setattr(pool, "_start", start)
    monkeypatch.setattr(pool, "spawned", sys.exit)
    task: Any = SimpleNamespace(folder=tmp_path, session="s")
    with pytest.raises(CxreaderError, match=r"workers end before they try anything \(exit code 1\).*__main__"):
        pool.run_workers(task, 4, 2, lambda _: None)
    assert 3 <= len(started) <= 5
    assert not [process for process in started if process.is_alive()]
    capfd.readouterr()  # what sys.exit prints of its argument


def test_workers_that_die_at_a_point_are_replaced_and_every_trial_is_told_once(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four deaths of two points, none in vain: each is finished by its third worker."""
    told: list[Trial] = []
    monkeypatch.setattr(pool, "spawned", die_twice_at_each_point)
    config = learning_config(world, {"model.dropout": [0.1, 0.2]})
    task: Any = SimpleNamespace(folder=tmp_path, config=config, session="s")
    pool.run_workers(task, 2, 2, told.append)
    assert sorted((trial.number, trial.point["model.dropout"]) for trial in told) == [(1, 0.1), (2, 0.2)]
    assert [record_of(trial)["worker"] for trial in told] == [DEATHS_EACH + 1] * 2
    pool.run_workers(task, 2, 2, told.append)  # finished: nothing is started or told
    assert len(told) == 2

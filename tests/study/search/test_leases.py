"""Leases on points: one holder each, freed by any death; folders of an earlier version."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.study.search.world import SPACE, Fake, learning_config, silent

from cxreader import torch_setup  # noqa: F401

# isort: split

from cxreader.errors import UsageError
from cxreader.runs import write_json
from cxreader.study.search.leases import DEATHS, SearchLeases, TrialLease, finished_trials
from cxreader.study.search.record import ATTEMPTS, trial_folder
from cxreader.study.search.search import search
from cxreader.study.search.space import read_space

VERSION_1 = Path(__file__).with_name("searches_of_version_1.zip")
"""Three searches that commit 03eec38 began with `Fake` and a SIGKILL: a grid, TPE, a grid with pruning."""

_HOLDER = """
import sys
from pathlib import Path
from cxreader.locks import lock
file = lock(Path(sys.argv[1]), make_folder=True)
file.write(b"s 1\\n")
print("held", flush=True)
input()
"""


def _die(lease: TrialLease) -> None:
    """As the death of its worker: the system closes the file."""
    lease.file.close()


@pytest.mark.parametrize("study", [{}, {"pruning": "median"}, {"sampler": "tpe", "trials": 4}], ids=str)
def test_a_point_that_kills_its_workers_is_given_up(study: dict[str, Any], world: Path, tmp_path: Path) -> None:
    config = learning_config(world, **study)
    with closing(SearchLeases(tmp_path, config, "first")) as leases:
        for death in range(1, DEATHS + 1):
            lease = leases.take()
            assert lease is not None
            assert (lease.place, lease.attempt) == (0, death)
            assert list(finished_trials(tmp_path, "first")) == []
            _die(lease)
        following = leases.take()
        assert following is not None
        assert following.place == 1
        (given_up,) = finished_trials(tmp_path, "first")
        assert (given_up.number, given_up.state, given_up.point) == (1, "failed", dict(lease.point))
        assert "died 3 times" in (given_up.reason or "")
        _die(following)
        again = leases.take()
        assert again is not None
        assert (again.place, again.attempt) == (1, 2)
        _die(again)
    with closing(SearchLeases(tmp_path, config, "second")) as leases:  # deaths count anew, attempts go on
        assert list(finished_trials(tmp_path, "second")) == []
        lease = leases.take()
        assert lease is not None
        assert (lease.place, lease.attempt) == (0, DEATHS + 1)
        _die(lease)


@pytest.mark.parametrize("study", [{}, {"pruning": "median"}, {"sampler": "tpe", "trials": 4}], ids=str)
def test_leases_are_distinct_and_end(study: dict[str, Any], world: Path, tmp_path: Path) -> None:
    config = learning_config(world, **study)
    with closing(SearchLeases(tmp_path, config, "s")) as one, closing(SearchLeases(tmp_path, config, "s")) as two:
        leases = [lease for leases in (one, two, two, one) if (lease := leases.take()) is not None]
        assert [lease.place for lease in leases] == [0, 1, 2, 3]
        assert len({tuple(lease.point.items()) for lease in leases}) == 4
        assert one.take() is None
        assert two.take() is None
        _die(leases[2])
        taken = two.take()
        assert taken is not None
        assert (taken.place, taken.attempt, taken.point) == (2, 2, leases[2].point)
        for lease in (*leases, taken):
            _die(lease)


def test_the_lease_of_a_killed_process_is_free_at_once(world: Path, tmp_path: Path) -> None:
    held = trial_folder(tmp_path, 0, {"training.fine_tune.lr": 0.1, "model.dropout": 0.0}) / ATTEMPTS
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(held)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"held\n"
        leases = SearchLeases(tmp_path, learning_config(world), "s")
        other = leases.take()
        worker.kill()
        worker.wait()
    freed = leases.take()
    assert other is not None
    assert freed is not None
    assert (other.place, freed.place, freed.attempt) == (1, 0, 2)
    _die(other)
    _die(freed)


@pytest.mark.parametrize(
    ("name", "space", "study", "left"),
    [
        ("grid", SPACE, {}, [(0.1, 0.4), (0.001, 0.4)]),  # one failed, one killed
        ("prune", {"model.dropout": [0.1, 0.2, 0.3, 0.4, 0.5], "training.fine_tune.lr": [0.1, 0.2]}, {"pruning": "median"},
         [(0.2, 0.4), (0.1, 0.5), (0.2, 0.5)]),
        ("tpe", {"model.dropout": {"low": 0.0, "high": 0.9}, "training.fine_tune.lr": [0.1, 0.2]}, {"trials": 9}, None),
    ],
    ids=["grid", "pruned grid", "TPE"],
)  # fmt: skip
def test_a_search_that_an_earlier_version_began_is_finished(
    name: str,
    space: dict[str, Any],
    study: dict[str, Any],
    left: list[tuple[float, float]] | None,
    fake: Callable[..., Fake],
    world: Path,
    tmp_path: Path,
) -> None:
    """Its complete points stay to the byte; what failed, what was being tried and what waited is tried, once each."""
    trained = fake(lambda c: [0.9 - abs(c.model.dropout - 0.3) - c.training.fine_tune.lr] * 2)
    config, out = learning_config(world, space, **study), tmp_path / name
    with zipfile.ZipFile(VERSION_1) as archive:
        archive.extractall(tmp_path, [member for member in archive.namelist() if member.startswith(f"{name}/")])
    write_json(out / "config.json", config.model_dump(mode="json"))
    records = {path: path.read_bytes() for path in out.glob("trials/*/record.json")}
    before = {path: data for path, data in records.items() if json.loads(data)["state"] == "complete"}
    assert len(before) == {"grid": 2, "prune": 7, "tpe": 5}[name]
    with pytest.raises(UsageError, match=r"holds a search already.*--resume"):
        search(config, out, say=silent)
    result = search(config, out, resume=True, say=silent)
    size = read_space(config).n_trials
    assert [trial.number for trial in sorted((*result.trials, *result.others), key=lambda t: t.number)] == list(
        range(1, size + 1)
    )
    assert all(path.read_bytes() == data for path, data in before.items())
    assert len(trained.seen) == len(set(trained.seen)) == size - len(before)
    if left is not None:
        assert trained.seen == left

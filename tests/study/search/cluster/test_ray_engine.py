"""What a driver does with what its workers say: Ray is a stand-in, the workers train in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.study.search.world import Fake, learning_config, learnt_by, silent

from cxreader import torch_setup  # noqa: F401

# isort: split

pytest.importorskip("ray")

from tests.study.search.cluster.stand_in import StandIn

from cxreader.cluster import workers as cluster_workers
from cxreader.config import Config, with_values
from cxreader.errors import CacheError, UsageError
from cxreader.locks import is_held
from cxreader.study.search.cluster import carried, node_cache, ray_engine, trial_worker
from cxreader.study.search.leases import DIED
from cxreader.study.search.record import ATTEMPTS
from cxreader.study.search.search import SearchResult, search

Cluster = Callable[..., StandIn]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cluster:
    """Every machine has one cache, as where a home folder is shared."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CXREADER_CORES", "1")
    monkeypatch.setattr(cluster_workers, "_LOOK", 0.0)

    def make(**given: Any) -> StandIn:
        stand_in = StandIn(**given)
        for module in (cluster_workers, ray_engine):
            monkeypatch.setattr(module, "ray", stand_in)
        return stand_in

    return make


def searched_on(config: Config, out: Path, said: list[str] | None = None, **given: Any) -> SearchResult:
    say = silent if said is None else said.append
    return search(config, out, engine=ray_engine.RayTrials(say=say), say=say, **given)


def test_a_search_on_a_cluster_is_that_of_one_machine_and_asks_for_pixels_and_weights_once(
    cluster: Cluster, searched: SearchResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last epoch and byte; the files of a trial come in pieces, the images in blocks."""
    monkeypatch.setattr(trial_worker, "PIECE", 1 << 20)
    monkeypatch.setattr(node_cache, "BLOCK", 10 * 32 * 32)
    ray = cluster()
    result = searched_on(searched.config, tmp_path / "out")
    assert [learnt_by(trial) for trial in result.trials] == [learnt_by(trial) for trial in searched.trials]
    for mine, theirs in zip(result.trials, searched.trials, strict=True):
        for name in ("config.json", "phases/fine_tune/best.safetensors"):
            assert (mine.folder / name).read_bytes() == (theirs.folder / name).read_bytes(), name
        assert all((mine.folder / name).exists() for name in ("history.json", "phases/fine_tune/done.json"))
        assert not (mine.folder / "arriving").exists()
        assert not list(mine.folder.rglob("*.ckpt"))
    blocks = [given.shape[0] for name, given in ray.calls if name == "continue_with" and hasattr(given, "shape")]
    assert sum(blocks) == sum(part.images for part in result.parts.values())
    assert max(blocks) == 10
    assert sum(isinstance(given, bytes) for _, given in ray.calls) == 1  # one network's weights
    assert ray.begun == ray.killed == 1


def test_a_point_that_ends_its_workers_is_given_out_three_times_and_then_a_row_with_its_reason(
    cluster: Cluster, fake: Callable[..., Fake], world: Path, tmp_path: Path
) -> None:
    trained = fake(lambda _: [0.6, 0.7])

    def dies(method: str, given: Any, number: int) -> bool:
        return method == "try_point" and given.place == 1

    ray, said = cluster(dies=dies), list[str]()
    result = searched_on(learning_config(world), tmp_path / "out", said)
    assert [(trial.number, trial.state, trial.reason) for trial in result.others] == [(2, "failed", DIED)]
    assert sorted(trial.number for trial in result.trials) == [1, 3, 4]
    assert len(trained.seen) == 3
    assert ray.begun == 4
    assert said.count("Ray: a worker ended in trial 2") == 3
    assert sum(line.startswith("trial 2: ") for line in said) == 1
    assert not [path for path in (tmp_path / "out" / "trials").iterdir() if is_held(path / ATTEMPTS)]


def test_one_that_dies_after_an_epoch_begins_again_and_what_had_arrived_does_not_count(
    cluster: Cluster, fake: Callable[..., Fake], world: Path, tmp_path: Path
) -> None:
    fake(lambda _: [0.6, 0.7])
    pieces: list[int] = []

    def dies(method: str, given: Any, number: int) -> bool:
        """Once, when some files have arrived."""
        pieces.extend([number] * (number == 1 and (tmp_path / "out" / "trials" / "01-0.1-0" / "arriving").exists()))
        return len(pieces) == 1 and number == 1

    cluster(dies=dies)
    result = searched_on(
        learning_config(world, {"training.fine_tune.lr": [0.1], "model.dropout": [0.0]}), tmp_path / "out"
    )
    (trial,) = result.trials
    record = json.loads((trial.folder / "record.json").read_text())
    assert record["worker"]["attempt"] == 2
    assert [epoch["tune_accuracy"] for epoch in record["phases"][0]["epochs"]] == [0.6, 0.7]
    assert json.loads((trial.folder / "config.json").read_text()) == record["config"]


def test_the_driver_prunes_what_lies_behind_the_others_as_one_machine_does(
    cluster: Cluster, fake: Callable[..., Fake], world: Path, tmp_path: Path
) -> None:
    """The same points are drawn, the same pruned after the same epoch."""
    space = {"model.dropout": {"low": 0.0, "high": 0.9}, "training.fine_tune.lr": [0.1, 0.2]}
    config = learning_config(world, space, trials=14, pruning="median")
    trained = fake(lambda config: [0.9 - abs(config.model.dropout - 0.3) - config.training.fine_tune.lr] * 2)
    alone = search(config, tmp_path / "alone", say=silent)
    seen = list(trained.seen)
    trained.seen.clear()
    cluster()
    result = searched_on(config, tmp_path / "out")
    assert trained.seen == seen
    pruned = [[(t.number, t.reason, t.epochs) for t in found.others] for found in (alone, result)]
    assert pruned[0] == pruned[1] != []
    assert all(epochs == 1 for _, _, epochs in pruned[1])


def test_a_worker_of_other_versions_gets_no_images(
    cluster: Cluster, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = cluster()
    there = iter([{"torch": "1.0", "timm": "1"}, {"torch": "2.0", "timm": "1"}])
    monkeypatch.setattr(carried, "versions", lambda: next(there))
    with pytest.raises(
        UsageError, match="no worker can be used; the last has another version of torch; install the same"
    ):
        searched_on(learning_config(world), tmp_path / "out")
    assert [name for name, _ in ray.calls] == ["load"]


def test_builds_for_other_devices_are_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"versions": {"python": "3.11", "torch": "2.9.0+cu126", "timm": None}}
    monkeypatch.setattr(carried, "provenance", lambda _: found)
    assert carried.versions() == {"torch": "2.9.0", "timm": "None"}


def test_pixels_that_are_others_on_a_machine_are_sent_anew_and_believed_by_their_digest_alone(
    cluster: Cluster, fake: Callable[..., Fake], world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers of one machine ask for them once."""
    fake(lambda _: [0.6])
    ray = cluster(machines=2)
    config = learning_config(world)
    searched_on(config, tmp_path / "one")
    assert len([1 for _, given in ray.calls if hasattr(given, "shape")]) == 2  # train and tune
    (path,) = (tmp_path / "cache" / "cxreader" / "search").glob("*/train.bin")
    whole = path.read_bytes()
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    ray.calls.clear()
    searched_on(config, tmp_path / "two")
    assert path.read_bytes() == whole
    assert len([1 for _, given in ray.calls if hasattr(given, "shape")]) == 1  # tune was whole
    path.unlink()
    served = carried.Sender.served
    monkeypatch.setattr(carried.Sender, "served", lambda *told: None if told[1] == "" else served(*told) ^ 1)
    with pytest.raises(UsageError, match=r"no worker can be used; the last has .*other pixels arrive than the search"):
        searched_on(config, tmp_path / "three")


def test_what_no_point_is_to_blame_for_ends_the_search_with_its_line_and_frees_the_points(
    cluster: Cluster, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise CacheError("no room for outputs", where="disk")

    cluster()
    monkeypatch.setattr(trial_worker, "prepare_outputs", full)
    out = tmp_path / "out"
    with pytest.raises(CacheError, match="disk: no room for outputs"):
        searched_on(learning_config(world), out)
    assert not [path for path in (out / "trials").iterdir() if is_held(path / ATTEMPTS)]


def test_a_machine_keeps_the_trials_that_run_and_sweeps_those_of_the_dead(tmp_path: Path) -> None:
    cache = object.__new__(node_cache.NodeCache)
    cache.folder = tmp_path
    left = tmp_path / "trials" / "dead"
    (left / "trial").mkdir(parents=True)
    with cache.trial() as first:
        first.mkdir()
        assert not left.exists()
        with cache.trial() as second:
            assert first.exists()
            assert second != first
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["sweeping.lock"]


def test_gpus_are_asked_for_where_there_are_any_and_cpu_is_not_said(
    cluster: Cluster, world: Path, tmp_path: Path
) -> None:
    """Torch finds none here, though the stand-in has one: the worker says so."""
    cluster(gpus=1)
    config = with_values(learning_config(world), {"training.accelerator": "auto"})
    with pytest.raises(UsageError, match="torch finds no GPU, though Ray has one"):
        searched_on(config, tmp_path / "out")

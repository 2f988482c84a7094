"""Which workers are begun, which may work, and when there are none: Ray is a stand-in that does as it is told."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from cxreader.errors import MissingDependencyError, UsageError

pytest.importorskip("ray")

from cxreader.cluster import workers as cluster_workers
from cxreader.cluster.workers import Kind, Worker, Workers


class DiedError(Exception):
    """In the place of Ray's own."""


@dataclass
class StandIn:
    """As much of Ray as is asked: machines of so many cores, and answers to be taken."""

    cores: list[float]
    gpus: list[int] = field(default_factory=list)
    begun: list[dict[str, Any]] = field(default_factory=list)
    killed: list[object] = field(default_factory=list)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(RayError=DiedError))

    def nodes(self) -> list[dict[str, Any]]:
        gpus = self.gpus or [0] * len(self.cores)
        return [{"Alive": True, "Resources": {"CPU": n, "GPU": m}} for n, m in zip(self.cores, gpus, strict=True)]

    def put(self, value: object) -> object:
        return value

    def remote(self, **options: Any) -> Any:
        assert options == {"max_restarts": 0, "max_task_retries": 0}
        return lambda _: SimpleNamespace(options=self._begin)

    def get(self, answer: Any, timeout: float | None = None) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, actor: object) -> None:
        self.killed.append(actor)

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 0.0}

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": sum(self.cores)}

    def _begin(self, **options: Any) -> Any:
        self.begun.append(options)
        load = SimpleNamespace(remote=lambda _: f"answer of {len(self.begun)}")
        return SimpleNamespace(remote=lambda: SimpleNamespace(load=load))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def workers_on(
    monkeypatch: pytest.MonkeyPatch, *cores: float, machine_gpus: tuple[int, ...] = (), **kind: Any
) -> tuple[StandIn, Workers[Any], list[str]]:
    """What a worker finds is what is wrong with it."""
    ray, said = StandIn(list(cores), list(machine_gpus)), list[str]()
    monkeypatch.setattr(cluster_workers, "ray", ray)
    return ray, Workers(Kind(object, "carried", str, "make them alike", **kind), said.append), said


def every(workers: Workers[Any]) -> list[Worker[Any]]:
    return workers._all


@pytest.mark.parametrize(
    ("cores", "begun", "each"), [((1, 1), 2, 1), ((4, 1), 2, 2), ((0, 5), 2, 2), ((0, 0.5), 0, 1), ((16,), 8, 2)]
)
def test_there_are_as_many_as_fit_on_the_machines(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], cores: tuple[float, ...], begun: int, each: int
) -> None:
    ray, workers, _ = workers_on(monkeypatch, *cores)
    workers.tend()
    assert len(ray.begun) == begun
    assert all(options["num_cpus"] == each for options in ray.begun)
    assert all(options["runtime_env"] == {"env_vars": {"CXREADER_CORES": str(each)}} for options in ray.begun)


def test_one_that_has_not_answered_may_not_work_and_has_no_place_when_its_machine_goes(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    ray, workers, said = workers_on(monkeypatch, 2, 2)
    workers.tend()
    first, second = every(workers)
    first.loading = ("one", "")
    workers.loaded(first)
    assert workers.ready() == [first]
    ray.cores = [2]
    workers.tend()
    assert not ray.killed  # it was looked at a moment ago
    clock[0] += 10
    workers.tend()
    assert ray.killed == [second.actor]
    ray.cores = [2, 2, 2]
    clock[0] += 10
    workers.tend()
    assert len(every(workers)) == 3
    rooms = (
        "2 workers of 2 cores on 2 machines",
        "1 worker of 2 cores on 1 machine",
        "3 workers of 2 cores on 3 machines",
    )
    assert said == [f"Ray: room for {room}" for room in rooms]


def test_after_three_minutes_without_any_it_ends_with_what_the_cluster_has(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    _, workers, _ = workers_on(monkeypatch, 2)
    workers.tend()
    clock[0] += 179
    workers.tend()
    clock[0] += 2
    with pytest.raises(
        UsageError, match="Ray: no worker has answered for 180 s: the cluster has 2 cores, 0 of them free"
    ):
        workers.tend()


def test_one_that_is_unlike_is_left_out_and_when_all_are_it_ends(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    ray, workers, said = workers_on(monkeypatch, 2, 2)
    workers.tend()
    first, second = every(workers)
    first.loading = ("ward-7", "another version of the runtime")
    workers.loaded(first)
    assert said[-1].startswith(
        "Ray, ward-7: a worker is left out, which has another version of the runtime; make them alike"
    )
    assert workers.ready() == []
    clock[0] += 10
    workers.tend()
    assert len(ray.begun) == 2  # no other is begun in its place
    second.loading = (
        "ward-8",
        MissingDependencyError("the onnx backend needs onnxruntime", mend="pip install onnxruntime"),
    )
    with pytest.raises(UsageError, match="Ray, ward-8: no worker can be used; the last has the onnx backend needs"):
        workers.loaded(second)


def test_those_that_end_before_they_are_ready_are_begun_again_after_pauses_and_no_more_than_three_times(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    ray, workers, _ = workers_on(monkeypatch, 2)
    for failures in (1, 2):
        workers.tend()
        assert len(ray.begun) == failures
        (only,) = every(workers)
        only.loading = DiedError()
        workers.loaded(only)
        assert every(workers) == []
        clock[0] += 2 * 2 ** (failures - 1) - 1
        workers.tend()
        assert len(ray.begun) == failures  # it pauses: two seconds, then four
        clock[0] += 1
    workers.tend()
    only = every(workers)[0]
    only.loading = DiedError()
    with pytest.raises(UsageError, match=r"3 workers ended before they were ready \(DiedError\); see `ray status`"):
        workers.loaded(only)


def test_one_that_waits_behind_one_left_out_has_its_place_when_their_room_shrinks(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    """As where a machine is asked for a moment before it is missed: the second waits for the core that the first holds.

    Were the second dropped, the first would be waited for until patience ends, though it has said that it is unlike.
    """
    ray, workers, _ = workers_on(monkeypatch, 1, 1)
    workers.tend()
    first, second = every(workers)
    first.loading = ("ward-7", "another version")
    workers.loaded(first)
    ray.cores = [1]
    clock[0] += 10
    workers.tend()
    assert ray.killed == [first.actor]
    assert every(workers) == [second]
    second.loading = ("ward-7", "another version")
    with pytest.raises(UsageError, match="no worker can be used; the last has another version"):
        workers.loaded(second)


def test_one_that_asks_while_it_loads_is_answered_and_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    asked: list[Any] = []

    def served(told: Any) -> Any:
        asked.append(told)
        return "more" if told == "what?" else None

    _, workers, _ = workers_on(monkeypatch, 2, served=served)
    workers.tend()
    (only,) = every(workers)
    only.loading = ("ward-7", "what?")
    only.actor.continue_with = SimpleNamespace(remote=lambda answer: ("ward-7", "") if answer == "more" else None)
    clock[0] += 170
    workers.loaded(only)
    assert workers.ready() == []
    clock[0] += 170  # since it was begun, but not since its question
    workers.tend()
    workers.loaded(only)
    assert workers.ready() == [only]
    assert asked == ["what?", ""]


def test_with_a_gpu_each_they_are_where_there_are_gpus(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    ray, workers, said = workers_on(monkeypatch, 16, 8, 4, machine_gpus=(0, 2, 4), gpus=1)
    workers.tend()
    assert [(options["num_cpus"], options["num_gpus"]) for options in ray.begun] == [(2, 1)] * 4
    assert said == ["Ray: room for 4 workers of 2 cores and a GPU on 2 machines"]

"""Which workers are begun, which may read, and when there are none: Ray is a stand-in that does as it is told."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from tests.assessment.shortcut_world import make_reader
from tests.inference.batch.world import Watched

from cxreader.errors import MissingDependencyError, UsageError

pytest.importorskip("ray")

from cxreader.inference.batch import ray_workers
from cxreader.inference.batch.carried import CarriedReader
from cxreader.inference.batch.ray_workers import Worker, Workers
from cxreader.inference.batch.work import identity_of
from cxreader.inference.reader import Reader


class DiedError(Exception):
    """In the place of Ray's own."""


@dataclass
class StandIn:
    """As much of Ray as is asked: machines of so many cores, and answers to be taken."""

    cores: list[float]
    begun: list[dict[str, Any]] = field(default_factory=list)
    killed: list[object] = field(default_factory=list)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(RayError=DiedError))

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": n}} for n in self.cores]

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


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.setattr(CarriedReader, "of", lambda reader: "carried")
    return make_reader(Watched())


def workers_on(monkeypatch: pytest.MonkeyPatch, reader: Reader, *cores: float) -> tuple[StandIn, Workers, list[str]]:
    ray, said = StandIn(list(cores)), list[str]()
    monkeypatch.setattr(ray_workers, "ray", ray)
    return ray, Workers(reader, said.append), said


def every(workers: Workers) -> list[Worker]:
    return workers._all


@pytest.mark.parametrize(
    ("cores", "begun", "each"), [((1, 1), 2, 1), ((4, 1), 2, 2), ((0, 5), 2, 2), ((0, 0.5), 0, 1), ((16,), 8, 2)]
)
def test_there_are_as_many_as_fit_on_the_machines(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], reader: Reader, cores: tuple[float, ...], begun: int, each: int
) -> None:
    ray, workers, _ = workers_on(monkeypatch, reader, *cores)
    workers.tend()
    assert len(ray.begun) == begun
    assert all(options["num_cpus"] == each for options in ray.begun)
    assert all(options["runtime_env"] == {"env_vars": {"CXREADER_CORES": str(each)}} for options in ray.begun)


def test_one_that_has_not_answered_may_not_read_and_has_no_place_when_its_machine_goes(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], reader: Reader
) -> None:
    ray, workers, said = workers_on(monkeypatch, reader, 2, 2)
    workers.tend()
    first, second = every(workers)
    first.loading = ("one", identity_of(reader))
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
    monkeypatch: pytest.MonkeyPatch, clock: list[float], reader: Reader
) -> None:
    _, workers, _ = workers_on(monkeypatch, reader, 2)
    workers.tend()
    clock[0] += 179
    workers.tend()
    clock[0] += 2
    with pytest.raises(
        UsageError, match="Ray: no worker has answered for 180 s: the cluster has 2 cores, 0 of them free"
    ):
        workers.tend()


def test_one_with_another_reader_is_left_out_and_when_all_are_it_ends(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], reader: Reader
) -> None:
    ray, workers, said = workers_on(monkeypatch, reader, 2, 2)
    workers.tend()
    first, second = every(workers)
    first.loading = ("ward-7", identity_of(reader) | {"runtimes": ["onnxruntime 0.1"]})
    workers.loaded(first)
    assert said[-1].startswith("Ray, ward-7: a worker is left out, which has another version of the runtime; install")
    assert workers.ready() == []
    clock[0] += 10
    workers.tend()
    assert len(ray.begun) == 2  # no other is begun in its place
    second.loading = (
        "ward-8",
        MissingDependencyError("the onnx backend needs onnxruntime", mend="pip install onnxruntime"),
    )
    with pytest.raises(UsageError, match="Ray, ward-8: no worker can read; the last has the onnx backend needs"):
        workers.loaded(second)


def test_those_that_end_before_they_are_ready_are_begun_again_after_pauses_and_no_more_than_three_times(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], reader: Reader
) -> None:
    ray, workers, _ = workers_on(monkeypatch, reader, 2)
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

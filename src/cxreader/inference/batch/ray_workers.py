"""Workers on the machines of a Ray cluster: as many as fit, each with a reader of its own; those that die are replaced.

Ray restarts and repeats nothing: who drives decides what is read again (`ray_engine`).
"""

from __future__ import annotations

import platform
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray

from cxreader.counting import format_count
from cxreader.errors import CxreaderError, UsageError
from cxreader.inference.batch.carried import CarriedReader
from cxreader.inference.batch.chunks import Chunk
from cxreader.inference.batch.pipeline import Found, read_shard
from cxreader.inference.batch.work import differences, identity_of
from cxreader.inference.reader import Reader
from cxreader.machine import CORES_VARIABLE
from cxreader.progress import Say

CORES = 2
"""Of a worker; fewer where no machine of the cluster has so many."""
PATIENCE = 180.0
"""Seconds without any worker after which the reading ends."""
_LOOK = 2.0
"""Seconds between two looks at what the cluster has."""
_FAILURES = 3
"""Workers in a row that ended before they were ready, after which none is taken for able to read."""
_LONGEST_PAUSE = 60.0


class ReadingWorker:
    """In a process of a cluster's machine: a reader, loaded once, that reads chunk after chunk."""

    def load(self, carried: CarriedReader) -> tuple[str, dict[str, Any] | CxreaderError]:
        """Load the reader. The machine's name, and what answers depend on (`work.identity_of`) or why it cannot be loaded."""
        try:
            self._reader = carried.opened()
        except CxreaderError as error:
            return platform.node(), error
        return platform.node(), identity_of(self._reader)

    def read(self, files: Sequence[tuple[int, str]], batch_size: int) -> Iterator[list[Found]]:
        """As `pipeline.read_shard`; the answers alone, without the readings."""
        for found in read_shard(self._reader, files, batch_size=batch_size):
            yield [replace(one, reading=None) for one in found]


@dataclass(eq=False)
class Worker:
    """One worker as its driver knows it: `chunks` with their streams of answers, of which the first is being read.

    `loading` is what it will tell of its reader; None once it did. `refused`: it did, and is not to read.
    """

    actor: Any
    loading: Any
    chunks: deque[tuple[Chunk, Any]] = field(default_factory=deque)
    refused: bool = False

    @property
    def waits_for(self) -> Any:
        """What it will send next; None where it has nothing to do."""
        if self.loading is not None:
            return self.loading
        return self.chunks[0][1] if self.chunks else None

    def give(self, chunk: Chunk, batch_size: int) -> None:
        """One chunk more to read."""
        stream = self.actor.read.options(num_returns="streaming").remote(list(chunk.left.items()), batch_size)
        self.chunks.append((chunk, stream))


class Workers:
    """The workers of a cluster for one reader. One that has answered with the same reader may read; others are waited for."""

    def __init__(self, reader: Reader, say: Say) -> None:
        self._identity, self._say = identity_of(reader), say
        self._carried = ray.put(CarriedReader.of(reader))
        self._actor = ray.remote(max_restarts=0, max_task_retries=0)(ReadingWorker)
        self._all: list[Worker] = []
        self._wanted = self._failed = 0
        self._look_at = time.monotonic()
        self._last_ready = time.monotonic()

    def ready(self) -> list[Worker]:
        """Those that may read."""
        return [worker for worker in self._all if worker.loading is None and not worker.refused]

    def tend(self) -> None:
        """Begin as many workers as the cluster has room for now. Raises UsageError when none was ready for `PATIENCE` seconds."""
        now = time.monotonic()
        if self.ready():
            self._last_ready = now
        elif now - self._last_ready > PATIENCE:
            raise UsageError(f"no worker has answered for {PATIENCE:.0f} s: {_room()}", where="Ray", mend=_MEND)
        if now < self._look_at:
            return
        self._look_at = now + min(_LONGEST_PAUSE, _LOOK * 2**self._failed)
        sizes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        cores = max(1, min(CORES, max(sizes, default=1)))
        wanted = sum(size // cores for size in sizes)
        if wanted != self._wanted:
            self._wanted = wanted
            machines = format_count(sum(size >= cores for size in sizes), "[machine|machines]")
            each = format_count(cores, "[core|cores]")
            self._say(f"Ray: room for {format_count(wanted, '[worker|workers]')} of {each} on {machines}")
        waiting = [worker for worker in self._all if worker.loading is not None]
        for worker in waiting[: max(0, len(self._all) - wanted)]:  # there is no room for them any more
            self.drop(worker)
        self._all += [self._begun(cores) for _ in range(wanted - len(self._all))]

    def heard(self, timeout: float) -> list[Worker]:
        """Those that have sent something, within so many seconds."""
        waiting = {worker.waits_for: worker for worker in self._all if worker.waits_for is not None}
        if not waiting:
            time.sleep(timeout)
            return []
        found, _ = ray.wait(list(waiting), num_returns=1, timeout=timeout)
        more = [one for one in waiting if one not in found]
        if found and more:
            found += ray.wait(more, num_returns=len(more), timeout=0)[0]
        return [waiting[one] for one in found]

    def loaded(self, worker: Worker) -> None:
        """It has answered: from now on it reads, unless its reader is another one. Raises UsageError where none can."""
        try:
            machine, told = ray.get(worker.loading)
        except ray.exceptions.RayError as error:
            self._failed += 1
            self.drop(worker)
            if self._failed >= _FAILURES and not self.ready():
                what = f"{self._failed} workers ended before they were ready ({type(error).__name__})"
                raise UsageError(what, where="Ray", mend=_MEND) from None
            return
        worker.loading = None
        wrong = str(told) if isinstance(told, CxreaderError) else " and ".join(differences(self._identity, told))
        if not wrong:
            self._failed = 0
            return
        worker.refused = True  # it keeps its place, so that no other is begun there
        if all(w.refused for w in self._all):
            raise UsageError(f"no worker can read; the last has {wrong}", where=f"Ray, {machine}", mend=_ALIKE)
        self._say(f"Ray, {machine}: a worker is left out, which has {wrong}; {_ALIKE}")

    def drop(self, worker: Worker) -> None:
        """It is dead, or taken for dead."""
        self._all.remove(worker)
        ray.kill(worker.actor)

    def close(self) -> None:
        """None of them goes on."""
        for worker in list(self._all):
            self.drop(worker)

    def _begun(self, cores: int) -> Worker:
        """A worker that may wait long for its place. Ray binds nobody to cores: the number is told by a variable."""
        actor = self._actor.options(num_cpus=cores, runtime_env={"env_vars": {CORES_VARIABLE: str(cores)}}).remote()
        return Worker(actor, actor.load.remote(self._carried))


_MEND = "see `ray status`; a worker needs free cores, and cxreader installed"
_ALIKE = "install the same versions of cxreader and of its runtime on every machine"


def _room() -> str:
    """What the cluster has, in words."""
    free, there = (cores.get("CPU", 0) for cores in (ray.available_resources(), ray.cluster_resources()))
    return f"the cluster has {format_count(int(there), '[core|cores]')}, {free:.0f} of them free"

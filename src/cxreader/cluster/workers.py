"""Workers on the machines of a Ray cluster: as many as fit, each loaded once; those that die are replaced.

Ray restarts and repeats nothing: who drives decides what is done again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from cxreader.cluster import connection  # noqa: F401 - says what to install where Ray is not there

# isort: split
import ray

from cxreader.counting import format_count
from cxreader.errors import CxreaderError, UsageError
from cxreader.machine import CORES_VARIABLE
from cxreader.progress import Say

CORES = 2
"""Of a worker; fewer where no machine of the cluster has so many."""
PATIENCE = 180.0
"""Seconds without a word of any worker that is ready or loads, after which the work ends."""
TICK = 1.0
"""Seconds after which what the cluster has is looked at, though nothing was heard."""
LOST = 60.0
"""Seconds after which what a worker has said it sent is taken for lost, and the worker for dead."""
_LOOK = 2.0
"""Seconds between two looks at what the cluster has."""
_FAILURES = 3
"""Workers in a row that ended before they were ready, after which none is taken for able to work."""
_LONGEST_PAUSE = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind:
    """What the workers of a call are: `actor`, a class whose `load` is given `carried` and tells its machine and what it found.

    `wrong`: of what it found why it cannot work, "" where it can; a CxreaderError is a reason by itself. `mend`: of that, for the
    user. `served`: where a worker asks for more while it loads, which `continue_with` is given: the answer; None where what
    was found is the end. `gpus` of each worker, 0 or 1.
    """

    actor: type
    carried: Any
    wrong: Callable[[Any], str]
    mend: str
    served: Callable[[Any], Any] | None = None
    cores: int = CORES
    gpus: int = 0


@dataclass(eq=False)
class Worker(Generic[T]):
    """One worker as its driver knows it: `tasks`, each with what it will send next, of which the first is being done.

    `loading` is what it will tell when it has loaded; None once it did. `refused`: it did, and is not to work.
    """

    actor: Any
    loading: Any
    tasks: deque[tuple[T, Any]] = field(default_factory=deque)
    refused: bool = False

    @property
    def waits_for(self) -> Any:
        """What it will send next; None where it has nothing to do."""
        if self.loading is not None:
            return self.loading
        return self.tasks[0][1] if self.tasks else None


class Workers(Generic[T]):
    """The workers of a cluster for one call. One that has loaded as this machine did may work; others are waited for."""

    def __init__(self, kind: Kind, say: Say) -> None:
        self._kind, self._say = kind, say
        self._carried = ray.put(kind.carried)
        self._actor = ray.remote(max_restarts=0, max_task_retries=0)(kind.actor)
        self._all: list[Worker[T]] = []
        self._wanted = self._failed = 0
        self._look_at = time.monotonic()
        self._last_word = time.monotonic()

    def ready(self) -> list[Worker[T]]:
        """Those that may work."""
        return [worker for worker in self._all if worker.loading is None and not worker.refused]

    def tend(self) -> None:
        """Begin as many workers as there is room for. Raises UsageError when none was heard of for `PATIENCE` seconds."""
        now = time.monotonic()
        if self.ready():
            self._last_word = now
        elif now - self._last_word > PATIENCE:
            raise UsageError(f"no worker has answered for {PATIENCE:.0f} s: {_room()}", where="Ray", mend=_MEND)
        if now < self._look_at:
            return
        self._look_at = now + min(_LONGEST_PAUSE, _LOOK * 2**self._failed)
        cores, rooms = self._rooms()
        wanted = sum(rooms)
        if wanted != self._wanted:
            self._wanted = wanted
            machines = format_count(sum(room > 0 for room in rooms), "[machine|machines]")
            each = format_count(cores, "[core|cores]") + " and a GPU" * self._kind.gpus
            self._say(f"Ray: room for {format_count(wanted, '[worker|workers]')} of {each} on {machines}")
        # There may be no room for these any more. One that is refused keeps its place only from others of its machine: what
        # waits behind it may be better, and is refused in its turn where it is not.
        idle = [worker for worker in self._all if worker.refused or worker.loading is not None]
        for worker in sorted(idle, key=lambda one: not one.refused)[: max(0, len(self._all) - wanted)]:
            self.drop(worker)
        self._all += [self._begun(cores) for _ in range(wanted - len(self._all))]

    def heard(self, timeout: float) -> list[Worker[T]]:
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

    def loaded(self, worker: Worker[T]) -> None:
        """It has answered: from now on it works, unless something is wrong with it. Raises UsageError where none can."""
        try:
            machine, told = ray.get(worker.loading)
        except ray.exceptions.RayError as error:
            self._failed += 1
            self.drop(worker)
            if self._failed >= _FAILURES and not self.ready():
                what = f"{self._failed} workers ended before they were ready ({type(error).__name__})"
                raise UsageError(what, where="Ray", mend=_MEND) from None
            return
        served = None if isinstance(told, CxreaderError) or self._kind.served is None else self._kind.served(told)
        if served is not None:
            self._last_word = time.monotonic()
            worker.loading = worker.actor.continue_with.remote(served)
            return
        worker.loading = None
        wrong = str(told) if isinstance(told, CxreaderError) else self._kind.wrong(told)
        if not wrong:
            self._failed = 0
            return
        worker.refused = True  # it keeps its place, so that no other is begun there
        if all(w.refused for w in self._all):
            raise UsageError(
                f"no worker can be used; the last has {wrong}", where=f"Ray, {machine}", mend=self._kind.mend
            )
        self._say(f"Ray, {machine}: a worker is left out, which has {wrong}; {self._kind.mend}")

    def drop(self, worker: Worker[T]) -> None:
        """It is dead, or taken for dead."""
        self._all.remove(worker)
        ray.kill(worker.actor)

    def close(self) -> None:
        """None of them goes on."""
        for worker in list(self._all):
            self.drop(worker)

    def _rooms(self) -> tuple[int, list[int]]:
        """Cores of a worker, and how many workers each machine has room for."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        fit = [node for node in nodes if node.get("GPU", 0) >= self._kind.gpus]
        sizes = [int(node.get("CPU", 0)) for node in fit]
        cores = max(1, min(self._kind.cores, max(sizes, default=1)))
        rooms = [size // cores for size in sizes]
        if self._kind.gpus:
            rooms = [min(room, int(node["GPU"])) for room, node in zip(rooms, fit, strict=True)]
        return cores, rooms

    def _begun(self, cores: int) -> Worker[T]:
        """A worker that may wait long for its place. Ray binds nobody to cores: the number is told by a variable."""
        told = {"env_vars": {CORES_VARIABLE: str(cores)}}
        actor = self._actor.options(num_cpus=cores, num_gpus=self._kind.gpus, runtime_env=told).remote()
        return Worker(actor, actor.load.remote(self._carried))


_MEND = "see `ray status`; a worker needs free cores, and cxreader installed"


def _room() -> str:
    """What the cluster has, in words."""
    free, there = (cores.get("CPU", 0) for cores in (ray.available_resources(), ray.cluster_resources()))
    return f"the cluster has {format_count(int(there), '[core|cores]')}, {free:.0f} of them free"

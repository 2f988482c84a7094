"""As much of Ray as a search asks for, in one process: workers that really train, and die as they are told."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class DiedError(Exception):
    """In the place of Ray's own."""


class FailedError(DiedError):
    """In the place of Ray's RayTaskError: a call that raised."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause


@dataclass
class StandIn:
    """A cluster of `machines` machines of one core. `dies` is asked of each call: method, what it is given, the worker's number.

    What passes between driver and worker is pickled, as it is on the way to another machine.
    """

    machines: int = 1
    gpus: int = 0
    dies: Callable[[str, Any, int], bool] = lambda *_: False
    begun: int = 0
    killed: int = 0
    calls: list[tuple[str, Any]] = field(default_factory=list)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(RayError=DiedError, RayTaskError=FailedError))

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 1.0, "GPU": self.gpus}}] * self.machines

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.machines, "GPU": self.gpus}

    def put(self, value: Any) -> Any:
        return value

    def remote(self, **_: Any) -> Callable[[type], Any]:
        return lambda actor: SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda: self._actor(actor())))

    def wait(self, refs: Sequence[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        done, _ = wait(refs, timeout, FIRST_COMPLETED if num_returns == 1 else ALL_COMPLETED)
        found = [ref for ref in refs if ref in done][:num_returns]
        return found, [ref for ref in refs if ref not in found]

    def get(self, ref: Any, timeout: float | None = None) -> Any:
        return ref.result(timeout)

    def kill(self, actor: Any) -> None:
        self.killed += 1

    def _actor(self, worker: Any) -> Any:
        self.begun += 1
        number, calls = self.begun, ThreadPoolExecutor(1)

        def method(name: str) -> Any:
            return SimpleNamespace(remote=lambda given: calls.submit(self._called, worker, name, given, number))

        return SimpleNamespace(**{name: method(name) for name in ("load", "try_point", "continue_with")})

    def _called(self, worker: Any, name: str, given: Any, number: int) -> Any:
        self.calls.append((name, given))
        if self.dies(name, given, number):
            raise DiedError
        try:
            return pickle.loads(pickle.dumps(getattr(worker, name)(pickle.loads(pickle.dumps(given)))))  # noqa: S301
        except Exception as error:  # noqa: BLE001 - as Ray has it
            raise FailedError(error) from None

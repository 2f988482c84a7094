"""A Ray cluster of two machines on this one, of which the second can be killed and begun again."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
SPAWN = mp.get_context("spawn")  # no fork of a process that holds a cluster
ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(PROJECT / "src"), str(PROJECT)]),
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "RAY_worker_niceness": "0",
    "OMP_NUM_THREADS": "1",
}
"""Of the cluster and its drivers: Ray reads it when it is imported."""


class TwoMachines:
    """A cluster, in a process of its own: two machines of so many cores, of which the second can be killed and begun again."""

    def __init__(self, cores: int = 1) -> None:
        self._said, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_machines, args=(theirs, cores), daemon=True)
        self._process.start()
        self.address = str(self._told())
        self.pid = self._process.pid

    def kill_second(self) -> None:
        """As by a power cut: its raylet and its workers."""
        self._said.send("kill")
        self._told()

    def begin_second(self) -> None:
        """Another machine in its place."""
        self._said.send("begin")
        self._told()

    def stop(self) -> None:
        """All of it."""
        with suppress(OSError):  # it has ended by itself
            self._said.send("stop")
        self._process.join(60)
        self._process.kill()

    def _told(self) -> object:
        assert self._said.poll(300), "the cluster does not answer"
        return self._said.recv()


def _machines(driver: Connection, cores: int) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    _added(cluster, cores)
    second = _added(cluster, cores)
    driver.send(cluster.address)
    while (what := driver.recv()) != "stop":
        if what == "kill":
            cluster.remove_node(second, allow_graceful=False)
        else:
            second = _added(cluster, cores)
        driver.send(what)
    cluster.shutdown()


def _added(cluster: Any, cores: int, *, tries: int = 5) -> Any:
    """One machine more. Ray waits 30 s for it, which is too short where the machine is busy with other work."""
    for _ in range(tries - 1):
        with suppress(Exception):
            return cluster.add_node(num_cpus=cores, include_dashboard=False)
    return cluster.add_node(num_cpus=cores, include_dashboard=False)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)

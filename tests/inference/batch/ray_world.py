"""A Ray cluster of two machines on this one, drivers in processes of their own, and workers that may be slow, or made to die."""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.inference.batch.world import committed

from cxreader.errors import CxreaderError

PROJECT = Path(__file__).resolve().parents[3]
POISON = "poison"
"""In the name of a file that ends the process which loads it."""
_CONTEXT = mp.get_context("spawn")  # no fork of a process that holds a cluster


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
        self._said, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_machines, args=(theirs, cores), daemon=True)
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


def hooked(pids: str, seconds: float, version: str | None = None) -> Callable[[], None]:
    """What a worker's process does first: it leaves its number, loads slowly, and dies by poison.

    `version`: of cxreader, as it will tell it.
    """

    def hook() -> None:
        from cxreader.inference.batch import pipeline, work

        Path(pids, str(os.getpid())).write_text(os.environ.get("CXREADER_CORES", ""))
        load = vars(pipeline)["load"]

        def slow(name: str) -> bytes:
            if POISON in name:
                os.abort()
            time.sleep(seconds)
            return bytes(load(name))

        vars(pipeline)["load"] = slow
        if version is not None:
            vars(work)["version"] = lambda _: version

    return hook


def drive(model: Path, files: Sequence[str], out: Path, address: str, **hook: Any) -> mp.process.BaseProcess:
    """`read_files` on the cluster, in a new process; `hook`: as in `hooked`. What it says, or its error, stands in OUT.said."""
    process = _CONTEXT.Process(target=_drive, args=(model, files, out, address), kwargs=hook)
    process.start()
    return process


def _drive(model: Path, files: Sequence[str], out: Path, address: str, **hook: Any) -> None:
    import ray

    from cxreader import Reader
    from cxreader.inference.batch.ray_engine import RayEngine
    from cxreader.inference.batch.read_files import read_files

    environment = {"worker_process_setup_hook": hooked(**hook)}
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment)
    reader = Reader.load(model, backend="onnx")
    with out.with_name(f"{out.name}.said").open("a", buffering=1) as said:
        try:
            with RayEngine(reader, batch_size=4, say=lambda text: print(text, file=said)) as engine:
                read_files(reader, files, out, engine=engine)
        except CxreaderError as error:
            print(error, file=said)
            raise SystemExit(error.exit_code) from None


def workers(pids: Path) -> list[int]:
    """The living workers of a driver's calls, the youngest last."""
    there = sorted(pids.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return [int(path.name) for path in there if Path("/proc", path.name, "stat").exists() and not _ended(path.name)]


def reading_worker(seconds: float = 300) -> int:
    """The first worker that is met while it reads, by the name that Ray gives its process."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if path.read_bytes().startswith(b"ray::ReadingWorker.read"):
                    return int(path.parent.name)
        time.sleep(0.05)
    raise AssertionError("no worker reads")


def _ended(pid: str) -> bool:
    return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def wait_for(out: Path, more_than: int, driver: mp.process.BaseProcess, seconds: float = 300) -> int:
    """Until more answers than that are committed; how many there are then."""
    end = time.monotonic() + seconds
    while (found := committed(out)) <= more_than:
        assert driver.is_alive(), f"ended with {driver.exitcode} at {found}"
        assert time.monotonic() < end, f"only {found} answers"
        time.sleep(0.05)
    return found

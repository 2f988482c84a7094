"""Reading on a cluster: drivers in processes of their own, and workers that may be slow, or made to die."""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.cluster.two_machines import SPAWN
from tests.inference.batch.world import committed

from cxreader.errors import CxreaderError

POISON = "poison"
"""In the name of a file that ends the process which loads it."""


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
    process = SPAWN.Process(target=_drive, args=(model, files, out, address), kwargs=hook)
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


def wait_for(out: Path, more_than: int, driver: mp.process.BaseProcess, seconds: float = 300) -> int:
    """Until more answers than that are committed; how many there are then."""
    end = time.monotonic() + seconds
    while (found := committed(out)) <= more_than:
        assert driver.is_alive(), f"ended with {driver.exitcode} at {found}"
        assert time.monotonic() < end, f"only {found} answers"
        time.sleep(0.05)
    return found

"""Searches on a cluster: drivers in processes of their own, and workers that tell which trial they are in."""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cluster.two_machines import SPAWN

from cxreader.config import Config
from cxreader.errors import CxreaderError


def hooked(inside: str, seconds: float) -> Callable[[], None]:
    """What a worker's process does first: each trial takes so long more, and its place stands in a file of the process's number."""

    def hook() -> None:
        from cxreader.study.search.cluster import trial_worker

        plain = vars(trial_worker)["try_point"]

        def slow(config: Config, attempt: Any, *given: Any, **further: Any) -> Any:
            mark = Path(inside, str(os.getpid()))
            mark.write_text(str(attempt.place))
            time.sleep(seconds)
            try:
                return plain(config, attempt, *given, **further)
            finally:
                mark.unlink()

        vars(trial_worker)["try_point"] = slow

    return hook


def drive(config: Config, out: Path, address: str, *, resume: bool = False, **hook: Any) -> mp.process.BaseProcess:
    """`search` on the cluster, in a new process; `hook`: as in `hooked`. What it says, or its error, stands in OUT.said."""
    process = SPAWN.Process(target=_drive, args=(config, out, address, resume), kwargs=hook)
    process.start()
    return process


def _drive(config: Config, out: Path, address: str, resume: bool, **hook: Any) -> None:
    import ray

    from cxreader.study.search.cluster.ray_engine import RayTrials
    from cxreader.study.search.search import search

    environment = {"worker_process_setup_hook": hooked(**hook)}
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment)
    with out.with_name(f"{out.name}.said").open("a", buffering=1) as said:

        def say(text: str) -> None:
            print(text, file=said)

        try:
            with RayTrials(say=say) as engine:
                search(config, out, engine=engine, resume=resume, say=say)
        except CxreaderError as error:
            say(str(error))
            raise SystemExit(error.exit_code) from None


def records(out: Path) -> list[Path]:
    return sorted(out.glob("trials/*/record.json"))


def wait_for(out: Path, finished: int, driver: mp.process.BaseProcess, seconds: float = 240) -> None:
    """Until so many trials have their record."""
    end = time.monotonic() + seconds
    while (found := len(records(out))) < finished:
        assert driver.is_alive(), f"ended with {driver.exitcode} at {found}"
        assert time.monotonic() < end, f"only {found} trials"
        time.sleep(0.05)


def in_a_trial(inside: Path, seconds: float = 240) -> tuple[int, int]:
    """A worker that is met inside a trial: its number, and the trial's place."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for mark in inside.iterdir():
            place = mark.read_text()
            if place:
                return int(mark.name), int(place)
        time.sleep(0.02)
    raise AssertionError("no worker tries anything")

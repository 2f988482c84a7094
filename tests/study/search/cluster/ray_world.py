"""Searches on a cluster: drivers in processes of their own, and workers that tell which trial they are in."""

from __future__ import annotations

import multiprocessing as mp
import os
import time
from pathlib import Path
from typing import Any

from tests.cluster.two_machines import SPAWN

from cxreader import torch_setup  # noqa: F401

# isort: split

from cxreader.config import Config
from cxreader.errors import CxreaderError
from cxreader.study.search.cluster import ray_engine
from cxreader.study.search.cluster.messages import Over
from cxreader.study.search.cluster.trial_worker import TrialWorker
from cxreader.study.search.search import search
from cxreader.study.search.worker import Attempt


def marked(inside: str, seconds: float) -> type[TrialWorker]:
    """A worker each of whose trials takes so long more; meanwhile its place stands in a file of the process's number."""

    class Marked(TrialWorker):
        def try_point(self, attempt: Attempt) -> tuple[str, Any]:
            Path(inside, str(os.getpid())).write_text(str(attempt.place))
            time.sleep(seconds)
            return super().try_point(attempt)

        def continue_with(self, answer: Any) -> tuple[str, Any]:
            machine, message = super().continue_with(answer)
            if isinstance(message, Over):
                Path(inside, str(os.getpid())).unlink()
            return machine, message

    return Marked


def drive(
    config: Config, out: Path, address: str, inside: Path, *, seconds: float = 0.3, resume: bool = False
) -> mp.process.BaseProcess:
    """`search` on the cluster, in a new process, by workers as `marked` makes them. What it says, or its error: OUT.said."""
    process = SPAWN.Process(target=_drive, args=(config, out, address, str(inside), seconds, resume))
    process.start()
    return process


def _drive(config: Config, out: Path, address: str, inside: str, seconds: float, resume: bool) -> None:
    vars(ray_engine)["TrialWorker"] = marked(inside, seconds)
    with out.with_name(f"{out.name}.said").open("a", buffering=1) as said:

        def say(text: str) -> None:
            print(text, file=said)

        try:
            with ray_engine.RayTrials(address, say=say) as engine:
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

"""A process that receives and reads, and is killed with SIGKILL at the n-th thing that it does to database or disk."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, select
from tests.assessment.shortcut_world import Patches, make_reader

from cxreader.inference.reader import Reader
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.database import Database
from cxreader.serving.store.files.objects import FolderStore
from cxreader.serving.store.reading.models import digest_of
from cxreader.serving.store.tables.readings import Job
from cxreader.serving.worker.leases import Leases
from cxreader.serving.worker.pipeline import Pipeline
from cxreader.serving.worker.run import Worker

_CONTEXT = mp.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.serving.killed"])
RULE = {"artifacts": ["patches"]}


class Slow(Patches):
    """Takes its time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def logits(self, batch: Any) -> Any:
        time.sleep(self.seconds)
        return super().logits(batch)


def fake_reader(seconds: float = 0.0) -> Reader:
    """A reader without a network."""
    return make_reader(Slow(seconds))


def opened(home: Path, url: str, **worker: Any) -> TriageService:
    """The service of a test, by the database's clock."""
    settings = Settings.load(home, worker={"batch": 4, "linger": 0.0, **worker})
    return TriageService(settings, Database(url), FolderStore(home / "objects"))


def start(home: Path, url: str, files: Sequence[bytes], **options: Any) -> BaseProcess:
    """`_work` in a new process."""
    process = _CONTEXT.Process(target=_work, args=(home, url, files), kwargs=options)
    process.start()
    return process


def acknowledged(home: Path) -> list[str]:
    """Digests of what the processes were told that it is kept."""
    acks = home / "acknowledged"
    return acks.read_text().split() if acks.exists() else []


def waits(service: TriageService) -> bool:
    """Whether any job is not ended."""
    with service.database.reading() as session:
        return session.scalar(select(Job.id).where(Job.state.in_(("waiting", "leased"))).limit(1)) is not None


def _work(
    home: Path,
    url: str,
    files: Sequence[bytes],
    *,
    kill_at: int = 0,
    holder: str = "w",
    seconds: float = 0.0,
    lease: float = 30,
) -> None:
    """Receive the files, note each receipt, then read until nothing waits. Writes how many steps it took."""
    steps = _counting(kill_at)
    service = opened(home, url, lease=lease, attempts=100)
    for data in files:
        receipt = service.receive(data, door="dicom")
        with (home / "acknowledged").open("a") as acks:
            acks.write(f"{receipt.sha256}\n")
    with Pipeline(fake_reader(seconds), service.objects) as pipeline:
        leases = Leases(service.database, service.settings, holder)
        Worker(leases, pipeline, digest_of(RULE), service.settings.worker).work(lambda: not waits(service))
    (home / f"steps-{holder}").write_text(str(steps[0]))


def _counting(kill_at: int) -> list[int]:
    """Count every statement, every commit, every file that is forced to the disk or renamed, and end before the one asked for."""
    steps = [0]

    def step(*_: object) -> None:
        steps[0] += 1
        if steps[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("before_cursor_execute", "commit"):
        event.listen(Engine, name, step)
    forced, renamed = os.fsync, Path.rename

    def fsync(file: int) -> None:
        step()
        forced(file)

    def rename(path: Path, target: Path) -> Path:
        step()
        return renamed(path, target)

    os.fsync, Path.rename = fsync, rename  # type: ignore[assignment,method-assign]
    return steps

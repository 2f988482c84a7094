"""A reading of many files in a process of its own, which says what its network was shown, and may be killed."""

from __future__ import annotations

import multiprocessing as mp
import resource
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tests.assessment.shortcut_world import Patches, make_reader

from cxreader.errors import CxreaderError
from cxreader.inference.batch.read_files import read_files
from cxreader.inference.batch.table import Row, answer_of, row_of
from cxreader.inference.triage import Urgency, urgency
from cxreader.records import Reading

_CONTEXT = mp.get_context("forkserver")  # a fork of a clean process: no threads, and no second import of everything
_CONTEXT.set_forkserver_preload(["tests.inference.batch.world"])


def worklist(readings: Sequence[Reading]) -> list[tuple[int, Urgency]]:
    """The places of `readings` in the order in which they are to be looked at; what is equally urgent keeps its order."""
    urgencies = [urgency(reading) for reading in readings]
    order = sorted(range(len(readings)), key=lambda i: (urgencies[i].step, -urgencies[i].height))
    return [(i, urgencies[i]) for i in order]


def rows(readings: Sequence[Reading], *, sort: bool = False) -> list[Row]:
    """What the table of these readings must say, ranked by Python's sort: in the order given, or in the worklist's."""
    order = [place for place, _ in worklist(readings)]
    ranked = [(place, rank) for rank, place in enumerate(order, 1)]
    return [row_of(readings[i].image, n, answer_of(readings[i])) for i, n in (ranked if sort else sorted(ranked))]


class Watched(Patches):
    """Writes a byte to `log` for every image that it is shown, before it answers, and takes its time."""

    def __init__(self, log: Path | None = None, seconds: float = 0.0) -> None:
        self.log, self.seconds, self.shown = log, seconds, 0

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.shown += len(batch)
        if self.log is not None:
            with self.log.open("ab") as file:
                file.write(b"." * len(batch))
        time.sleep(self.seconds)
        return super().logits(batch)


def distinct(folder: Path, count: int) -> list[str]:
    """So many different 64-px pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    paths = [folder / f"{n:04d}.png" for n in range(count)]
    for path in paths:
        Image.fromarray(random.integers(20, 230, (64, 64)).astype(np.uint8)).save(path, compress_level=1)
    return [str(path) for path in paths]


def start(files: Sequence[str], out: Path, log: Path, **options: Any) -> mp.process.BaseProcess:
    """`read_files` in a new process. Its exit code is that of the error it ends with."""
    process = _CONTEXT.Process(target=_read, args=(files, out, log), kwargs=options)
    process.start()
    return process


def _read(
    files: Sequence[str], out: Path, log: Path, *, seconds: float = 0.0, largest_file: int | None = None, **options: Any
) -> None:
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    try:
        read_files(make_reader(Watched(log, seconds)), files, out, **options)
    except CxreaderError as error:
        print(error)
        raise SystemExit(error.exit_code) from None


def committed(out: Path) -> int:
    """How many files have an answer in the work folder of `out`; 0 where there is none yet."""
    journal = out.with_name(f"{out.name}.work") / "journal.db"
    if not journal.exists():
        return 0
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=30)) as db:
        return int(db.execute("SELECT count(*) FROM answered").fetchone()[0])


def wait_for(out: Path, more_than: int, process: mp.process.BaseProcess) -> int:
    """Until more answers than that are committed; how many there are then."""
    end = time.monotonic() + 60
    while (found := committed(out)) <= more_than:
        assert process.is_alive(), f"ended with {process.exitcode} at {found}"
        assert time.monotonic() < end
        time.sleep(0.002)
    return found

"""Who decodes: one process at a time builds a cache, with its workers; a killed builder's workers end with it."""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from cxreader.data.pixel_cache.rows import LOCK, WORKERS, Failure, Job, fill
from cxreader.errors import CacheError
from cxreader.imaging.preprocess import InputSpec
from cxreader.locks import lock, try_lock
from cxreader.machine import cores, end_with_parent, keep_pages

CHUNK = 8
"""Images a task: small enough for a smooth bar, large enough that passing it costs nothing."""
_log = logging.getLogger(__name__)


@contextmanager
def exclusive(place: Path) -> Iterator[None]:
    """Only this process builds in `place`, which is made; another one waits, and says so. The lock ends with the process.

    Raises CacheError in a worker that begins the build it belongs to anew, StorageError where nothing can be written.
    """
    held = try_lock(place / LOCK, make_folder=True)
    if held is None:
        _refuse_own_child(place)
        _log.warning("another process builds %s: waiting for it", place)
        held = lock(place / LOCK)
    with held:
        held.write(f"{os.getpid():<12}".encode())
        yield


def _refuse_own_child(place: Path) -> None:
    """A script without a main guard starts anew in each of its workers, which would wait for it forever."""
    if (place / LOCK).read_bytes().strip() == str(os.getppid()).encode():
        mend = "put what the script does under: if __name__ == '__main__':"
        raise CacheError("a worker of this build started the build again", where=place, mend=mend)


def wait_for_orphans(place: Path) -> None:
    """Return when no worker of a killed builder can still write here."""
    lock(place / WORKERS).close()


def run_jobs(
    place: Path,
    spec: InputSpec,
    build: int,
    jobs: Sequence[Job],
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> Iterator[Failure]:
    """Do all jobs, in this process when they are few, and give what could not be read. Raises as `fill`, CacheError."""
    chunks = [jobs[at : at + CHUNK] for at in range(0, len(jobs), CHUNK)]
    workers = min(cores() if workers is None else workers, len(chunks) // 2)
    done = 0
    for size, failures in (
        ((len(chunk), fill(place, spec, build, chunk)) for chunk in chunks)
        if workers < 2
        else _in_processes(place, spec, build, chunks, workers)
    ):
        yield from failures
        done += size
        if progress is not None:
            progress(done, len(jobs))


def _in_processes(
    place: Path, spec: InputSpec, build: int, chunks: Sequence[Sequence[Job]], workers: int
) -> Iterator[tuple[int, list[Failure]]]:
    pool = ProcessPoolExecutor(workers, mp.get_context("spawn"), initializer=_enlist, initargs=(place,))
    try:
        sizes = {pool.submit(fill, place, spec, build, chunk): len(chunk) for chunk in chunks}
        for future in as_completed(sizes):
            yield sizes[future], future.result()
    except BrokenProcessPool:
        what = "a decoding process died, perhaps for want of memory"
        raise CacheError(what, where=place, mend="run it again with fewer workers: whole rows are kept") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_enlisted: list[FileIO] = []
"""In a worker: the file whose lock says that it lives; held open until the process ends."""


def _enlist(place: Path) -> None:
    """A worker says that it may write, ends with its builder, and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_pages()  # every picture asks for the same large blocks
    _enlisted.append(lock(place / WORKERS, shared=True))
    end_with_parent()

"""Reading on the machines of a Ray cluster (https://docs.ray.io): workers there read chunks, the journal is kept here alone.

What one machine's reading promises stays: the journal on this machine's disk has one answer a file, and the same call goes on
after any death, that of this process included. Ray neither restarts workers nor repeats calls.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, redirect_stdout
from itertools import islice
from typing import Self

from cxreader.errors import ImageError, MissingDependencyError, UsageError
from cxreader.inference.batch.chunks import Chunks
from cxreader.inference.batch.pipeline import Found, Known
from cxreader.inference.batch.table import answer_of
from cxreader.inference.prepared import unread
from cxreader.inference.reader import BATCH, Reader
from cxreader.inference.triage import urgency
from cxreader.progress import Say, silent

try:
    import ray

    from cxreader.inference.batch.ray_workers import Worker, Workers
except ModuleNotFoundError as missing:
    if missing.name != "ray":
        raise
    raise MissingDependencyError("reading on Ray needs ray", mend="pip install 'cxreader[cluster]'") from None

BATCHES = 2
"""A chunk has so many: one is decoded while the network works on the other."""
AHEAD = 2
"""Chunks that a worker is given at a time, so that it need not wait for the next."""
_TICK = 1.0
"""Seconds after which what the cluster has is looked at, though nothing was heard."""
_LOST = 60.0
"""Seconds after which what a worker has said it sent is taken for lost, and the worker for dead."""
_REACHED = 10.0
"""Seconds for a cluster to answer."""
_AUTHENTICATION = "RAY_AUTH_MODE"


class RayEngine:
    """Reads with `reader` on a Ray cluster, in the place of `pipeline.read_shard`, within its block.

    `address`: HOST:PORT of the cluster, to which this machine must belong. Left out: the one that the environment variable
    RAY_ADDRESS names or this machine belongs to, or else one of this machine alone, which ends with the block. Where Ray is
    connected already it is used as it is. Raises UsageError where no cluster answers, and for a reader that lies in no folder.
    """

    def __init__(
        self, reader: Reader, address: str | None = None, *, batch_size: int = BATCH, say: Say = silent
    ) -> None:
        if address is not None and "://" in address:
            what = "is the address of a Ray Client, which cannot stream answers"
            raise UsageError(what, where=address, mend="give HOST:PORT, on a machine of the cluster")
        self.reader, self.address = reader, address
        self._batch_size, self._say = batch_size, say

    def __enter__(self) -> Self:
        """Connect. What Ray hears of dead workers it prints on standard output, which is the table's: it goes nowhere."""
        with ExitStack() as opened:
            nowhere = opened.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123
            opened.enter_context(redirect_stdout(nowhere))
            if not ray.is_initialized():
                opened.callback(ray.shutdown)
                _connect(self.address, self._say)
            self._workers = Workers(self.reader, self._say)
            opened.callback(self._workers.close)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def ready(self) -> int:
        """How many workers may read now."""
        return len(self._workers.ready())

    def __call__(self, files: Iterable[tuple[int, str]], *, known: Known | None = None) -> Iterator[list[Found]]:  # noqa: ARG002 - no content is here
        """As `pipeline.read_shard`, in no order, and content that occurs in two chunks is read twice.

        A file that was being read when three workers died is answered as one that cannot be read. Raises UsageError where no
        worker of the cluster can read, and what a reader raises in a worker.
        """
        chunks = Chunks(files, BATCHES * self._batch_size)
        while chunks or any(worker.chunks for worker in self._workers.ready()):
            self._workers.tend()
            for worker in self._workers.ready():
                while len(worker.chunks) < AHEAD and chunks:
                    worker.give(chunks.take(), self._batch_size)
            for worker in self._workers.heard(_TICK):
                if worker.loading is not None:
                    self._workers.loaded(worker)
                else:
                    yield from self._received(worker, chunks)

    def _received(self, worker: Worker, chunks: Chunks) -> Iterator[list[Found]]:
        """What a worker has sent: a batch, the end of its chunk, or its death."""
        chunk, stream = worker.chunks[0]
        try:
            found: list[Found] = ray.get(next(stream), timeout=_LOST)
        except StopIteration:
            worker.chunks.popleft()
            return
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError:
            self._workers.drop(worker)
            for waiting, _ in islice(worker.chunks, 1, None):
                chunks.give_back(waiting)
            alone = chunks.died(chunk)
            if alone is not None:
                yield [self._given_up(*alone)]
            return
        for one in found:
            del chunk.left[one.position]
        yield found

    def _given_up(self, position: int, name: str) -> Found:
        """The answer to a file that ends its workers."""
        what, mend = "three workers ended while they read it", "look at it on a machine that may fail"
        reading = self.reader.answer([unread(name, ImageError(what, mend=mend))])[0]
        urgent = urgency(reading)
        return Found(position, name, None, answer_of(reading), urgent.step, urgent.height)


def _connect(address: str | None, say: Say) -> None:
    """To a cluster, which is begun where there is none: without statistics for Ray's makers, and with a token asked for."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    mend = "begin one with `ray start` on this machine too, with the same token, and give HOST:PORT"
    if address is not None and not _answers(address):
        raise UsageError("nothing answers there", where=address, mend=mend)
    try:
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # noqa: BLE001 - Ray's own share no class with the system's
        raise UsageError(f"no Ray cluster answers ({type(error).__name__})", where=address, mend=mend) from None
    if os.environ.get(_AUTHENTICATION) != "token":
        say(
            f"Ray: this cluster asks for no token: whoever reaches its ports runs programs on it; {_AUTHENTICATION}=token"
        )


def _answers(address: str) -> bool:
    """Whether anything listens at HOST:PORT, which Ray would try for minutes; True for what names no port."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return True
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACHED).close()
    except (OSError, OverflowError):
        return False
    return True

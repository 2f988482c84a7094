"""Reading on the machines of a Ray cluster (https://docs.ray.io): workers there read chunks, the journal is kept here alone.

What one machine's reading promises stays: the journal on this machine's disk has one answer a file, and the same call goes on
after any death, that of this process included. Ray neither restarts workers nor repeats calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any, Self

from cxreader.cluster.connection import connected, require_cluster_address
from cxreader.cluster.workers import LOST, TICK, Kind, Worker, Workers

# isort: split
import ray

from cxreader.errors import ImageError
from cxreader.inference.batch.carried import CarriedReader
from cxreader.inference.batch.chunks import Chunk, Chunks
from cxreader.inference.batch.pipeline import Found, Known
from cxreader.inference.batch.ray_workers import ReadingWorker
from cxreader.inference.batch.table import answer_of
from cxreader.inference.batch.work import differences, identity_of
from cxreader.inference.prepared import unread
from cxreader.inference.reader import BATCH, Reader
from cxreader.inference.triage import urgency
from cxreader.progress import Say, silent

BATCHES = 2
"""A chunk has so many: one is decoded while the network works on the other."""
AHEAD = 2
"""Chunks that a worker is given at a time, so that it need not wait for the next."""
_ALIKE = "install the same versions of cxreader and of its runtime on every machine"


class RayEngine:
    """Reads with `reader` on a Ray cluster, in the place of `pipeline.read_shard`, within its block.

    `address`: HOST:PORT of the cluster, to which this machine must belong. Left out: the one that the environment variable
    RAY_ADDRESS names or this machine belongs to, or else one of this machine alone, which ends with the block. Where Ray is
    connected already it is used as it is. Raises UsageError where no cluster answers, and for a reader that lies in no folder.
    """

    def __init__(
        self, reader: Reader, address: str | None = None, *, batch_size: int = BATCH, say: Say = silent
    ) -> None:
        require_cluster_address(address)
        self.reader, self.address = reader, address
        self._batch_size, self._say = batch_size, say

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(connected(self.address, self._say))
            own = identity_of(self.reader)
            kind = Kind(ReadingWorker, CarriedReader.of(self.reader), lambda there: _wrong(own, there), _ALIKE)
            self._workers = Workers[Chunk](kind, self._say)
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
        while chunks or any(worker.tasks for worker in self._workers.ready()):
            self._workers.tend()
            for worker in self._workers.ready():
                while len(worker.tasks) < AHEAD and chunks:
                    self._give(worker, chunks.take())
            for worker in self._workers.heard(TICK):
                if worker.loading is not None:
                    self._workers.loaded(worker)
                else:
                    yield from self._received(worker, chunks)

    def _give(self, worker: Worker[Chunk], chunk: Chunk) -> None:
        """One chunk more to read, and the stream of its answers."""
        read = worker.actor.read.options(num_returns="streaming")
        worker.tasks.append((chunk, read.remote(list(chunk.left.items()), self._batch_size)))

    def _received(self, worker: Worker[Chunk], chunks: Chunks) -> Iterator[list[Found]]:
        """What a worker has sent: a batch, the end of its chunk, or its death."""
        chunk, stream = worker.tasks[0]
        try:
            found: list[Found] = ray.get(next(stream), timeout=LOST)
        except StopIteration:
            worker.tasks.popleft()
            return
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError:
            self._workers.drop(worker)
            for waiting, _ in islice(worker.tasks, 1, None):
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


def _wrong(own: dict[str, Any], there: dict[str, Any]) -> str:
    return " and ".join(differences(own, there))

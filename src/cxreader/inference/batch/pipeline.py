"""Files in, answers out: reading, decoding and the network at the same time, identical content once.

Loaders read the bytes of a file and hash them; a feeder looks, in the files' order, whether that content was answered before
or is under way; decoders make pictures of what is new; the network works on whole batches. All queues are bounded.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import Protocol, Self

from cxreader.errors import ImageError
from cxreader.imaging.read import load
from cxreader.inference.batch.table import Row, answer_of
from cxreader.inference.prepared import Prepared, unread
from cxreader.inference.reader import BATCH, DECODERS, Reader
from cxreader.inference.triage import urgency
from cxreader.records import Reading

Known = Callable[[bytes], Row | None]
"""The answer (`table.answer_of`) to a content by its SHA-256, when there is one. Called from another thread."""


class Engine(Protocol):
    """What answers (position, name) pairs: `read_shard` of a reader, or what reads in other places."""

    def __call__(self, files: Iterable[tuple[int, str]], *, known: Known | None = None) -> Iterator[list[Found]]:
        """Every file's answer once; of two files with one content, the one whose `step` and `height` are told comes first.

        Commit what is given before the next is asked for.
        """
        ...


BATCHES_AHEAD = 3
LOADERS = 2
_REPEATS = 16  # files of known content that may pass in one commit, in batches


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The answer to one file: `position` in the list from 0, `sha256` of its bytes, 32 (None when they could not be read).

    `answer`: see `table.answer_of`. `step` and `height` order it in the worklist (`triage.Urgency`); they and `reading` are
    left out where the content had been answered before.
    """

    position: int
    name: str
    sha256: bytes | None
    answer: Row
    step: int = 0
    height: float = 0.0
    reading: Reading | None = None


def read_shard(
    reader: Reader,
    files: Iterable[tuple[int, str]],
    *,
    known: Known | None = None,
    batch_size: int = BATCH,
    decoders: int = DECODERS,
    heat_map: bool = False,
) -> Iterator[list[Found]]:
    """Read `files`, (position, name) each, and give the answers in their order, a batch at a time.

    A file that cannot be read has its reason; nothing is raised for it. Content that occurs twice is read once. `known` is
    asked for the answers of earlier runs, and must know a batch's own as soon as the next one is asked for; left out, the
    answers of this call alone are remembered. A batch holds at most `batch_size` images of new content; while the caller
    keeps one, the network works on the next.
    """
    remembered: dict[bytes, Row] = {}
    running: deque[tuple[list[_Item], Future[list[Reading]]]] = deque()
    network = ThreadPoolExecutor(2, "network")  # a batch begins beside the last images of the one before it
    with _Ahead(reader, files, known or remembered.get, batch_size, decoders) as ahead, _ended(network):
        batches = ahead.batches(batch_size)
        while True:
            while len(running) < 2 and not (running and running[0][1].done()):
                batch = next(batches, None)
                if batch is None:
                    break
                running.append((batch, network.submit(_read, reader, batch, heat_map=heat_map)))
            if not running:
                return
            batch, readings = running.popleft()
            found = _answered(batch, readings.result(), known or remembered.get)
            if known is None:
                remembered |= {f.sha256: f.answer for f in found if f.sha256 is not None}
            yield found
            ahead.forget(found)


@contextmanager
def _ended(pool: ThreadPoolExecutor) -> Iterator[None]:
    """What has not begun when the block ends does not begin."""
    try:
        yield
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    """One file on its way. Of `job` and `answer` it has one, or none when its content is that of an earlier item."""

    position: int
    name: str
    sha256: bytes | None
    job: Future[Prepared] | None = None
    answer: Row | None = None


class _Ahead:
    """The files on their way to the network, loaded and decoded in threads, in their order."""

    def __init__(
        self,
        reader: Reader,
        files: Iterable[tuple[int, str]],
        known: Known,
        batch_size: int,
        decoders: int,
    ) -> None:
        self._reader, self._files, self._known = reader, iter(files), known
        self._loaders = ThreadPoolExecutor(LOADERS, "load")
        self._decoders = ThreadPoolExecutor(decoders, "decode")
        self._files_ahead = threading.Semaphore(max(BATCHES_AHEAD * batch_size, 2 * LOADERS))
        self._contents = threading.Semaphore(2 * (LOADERS + decoders))  # files whose bytes are held: some are large
        self._under_way: set[bytes] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._queue: SimpleQueue[_Item | BaseException | None] = SimpleQueue()
        self._feeder = threading.Thread(target=self._feed, name="feed", daemon=True)

    def __enter__(self) -> Self:
        self._feeder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for pool in (self._loaders, self._decoders):
            pool.shutdown(wait=False, cancel_futures=True)
        self._feeder.join()
        for pool in (self._loaders, self._decoders):
            pool.shutdown(wait=True)

    def batches(self, size: int) -> Iterator[list[_Item]]:
        """Items in their order; a batch ends with `size` new contents, or many more known ones."""
        batch: list[_Item] = []
        fresh = 0
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            self._files_ahead.release()
            batch.append(item)
            fresh += item.job is not None
            if fresh == size or len(batch) == size * _REPEATS:
                yield batch
                batch, fresh = [], 0
        if batch:
            yield batch

    def forget(self, found: Iterable[Found]) -> None:
        """These answers are known from now on."""
        with self._lock:
            self._under_way.difference_update(f.sha256 for f in found if f.sha256 is not None)

    def _feed(self) -> None:
        try:
            loads: deque[tuple[int, str, Future[tuple[bytes, bytes] | Prepared]]] = deque()
            while True:
                for position, name in islice(self._files, 2 * LOADERS - len(loads)):
                    if not (self._acquire(self._files_ahead) and self._acquire(self._contents)):
                        return
                    loads.append((position, name, self._loaders.submit(self._load, name)))
                if not loads:
                    break
                position, name, load = loads.popleft()
                self._queue.put(self._item(position, name, load.result()))
        except BaseException as error:  # noqa: BLE001 - raised where the batches are taken
            self._queue.put(error)
        finally:
            self._queue.put(None)

    def _acquire(self, bound: threading.Semaphore) -> bool:
        """False when the reading has been stopped."""
        while not bound.acquire(timeout=0.1):
            if self._stopped.is_set():
                return False
        return not self._stopped.is_set()

    def _load(self, name: str) -> tuple[bytes, bytes] | Prepared:
        """The content of a file and its SHA-256, or why it cannot be had."""
        try:
            content = load(name)
        except ImageError as error:
            return unread(name, error)
        return content, hashlib.sha256(content).digest()

    def _item(self, position: int, name: str, loaded: tuple[bytes, bytes] | Prepared) -> _Item:
        if isinstance(loaded, Prepared):
            self._contents.release()
            absent: Future[Prepared] = Future()
            absent.set_result(loaded)
            return _Item(position, name, None, absent)
        content, sha256 = loaded
        with self._lock:
            if sha256 in self._under_way:
                self._contents.release()
                return _Item(position, name, sha256)
            answer = self._known(sha256)
            if answer is not None:
                self._contents.release()
                return _Item(position, name, sha256, answer=answer)
            self._under_way.add(sha256)
        return _Item(position, name, sha256, self._decoders.submit(self._decode, content, name))

    def _decode(self, content: bytes, name: str) -> Prepared:
        try:
            return self._reader.prepare(content, name=name)
        except Exception as error:  # noqa: BLE001 - what no decoder was expected to raise must not end a run of millions
            return Prepared(name, {}, None, (f"the decoder failed ({type(error).__name__}); please report it",))
        finally:
            self._contents.release()


def _read(reader: Reader, batch: list[_Item], *, heat_map: bool) -> list[Reading]:
    """The network's answers to what is new in the batch."""
    fresh = [item.job.result() for item in batch if item.job is not None]
    return reader.answer(fresh, heat_map=heat_map) if fresh else []


def _answered(batch: list[_Item], readings: list[Reading], known: Known) -> list[Found]:
    """The answers to the whole batch: the network's to what is new, and for the rest those that are known."""
    fresh = [item for item in batch if item.job is not None]
    by_position = {item.position: reading for item, reading in zip(fresh, readings, strict=True)}
    answers: dict[bytes | None, Row] = {}
    found = []
    for item in batch:
        reading = by_position.get(item.position)
        if reading is not None:
            urgent = urgency(reading)
            answer = answers[item.sha256] = answer_of(reading)
            found.append(Found(item.position, item.name, item.sha256, answer, urgent.step, urgent.height, reading))
            continue
        twin = item.answer or answers.get(item.sha256) or (item.sha256 and known(item.sha256))
        if not twin:
            raise RuntimeError("a content's first file must come before its second")  # pragma: no cover
        found.append(Found(item.position, item.name, item.sha256, twin))
    return found

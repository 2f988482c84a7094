"""From a leased job to its answer: files are decoded in threads while the network works on the batch before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from cxreader.errors import ImageError
from cxreader.inference.prepared import Prepared, as_radiograph, unread
from cxreader.inference.reader import DECODERS, Reader
from cxreader.serving.store.objects import ObjectStore
from cxreader.serving.store.queue import Claim
from cxreader.serving.store.results import Answer
from cxreader.serving.worker.models import no_map

NETWORKS = 2
"""Batches that the network works on at the same time: one begins beside the last images of the one before it."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Jobs under way: their answers come with `answers`, which raises what the network raised."""

    claims: tuple[Claim, ...]
    answers: Future[list[Answer]]


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    prepared: Prepared
    pixels: tuple[str, int, Mapping[str, Any]] | None = None


class Pipeline:
    """Batches of jobs to answers, several at a time. `pixels`: whether decoded pixels are kept for the viewer."""

    def __init__(self, reader: Reader, objects: ObjectStore, *, pixels: bool = True) -> None:
        self._reader, self._objects, self._pixels = reader, objects, pixels
        self.no_map = no_map(reader)
        self._decoders = ThreadPoolExecutor(DECODERS, "decode")
        self._networks = ThreadPoolExecutor(NETWORKS, "network")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._networks, self._decoders):
            pool.shutdown(wait=True, cancel_futures=True)

    def begin(self, claims: Sequence[Claim]) -> Batch:
        """Decode and read these, in the background."""
        decoded = [self._decoders.submit(self._decode, one) for one in claims]
        return Batch(tuple(claims), self._networks.submit(self._read, tuple(claims), decoded))

    def _decode(self, one: Claim) -> _Decoded:
        try:
            content = self._objects.get(one.sha256)
            return _Decoded(self._reader.prepare(content, name=one.key))
        except ImageError as error:
            return _Decoded(unread(one.key, error))

    def _read(self, claims: Sequence[Claim], decoded: Sequence[Future[_Decoded]]) -> list[Answer]:
        ready = [job.result() for job in decoded]
        readings = self._reader.answer([one.prepared for one in ready], heat_map=not self.no_map)
        each = zip(claims, readings, ready, strict=True)
        return [Answer(claim, reading, self.no_map, image.pixels) for claim, reading, image in each]

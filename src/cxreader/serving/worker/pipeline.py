"""From leased jobs to their answers: files are decoded in threads while the networks work on the batch before."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

from cxreader.inference.prepared import Prepared
from cxreader.inference.reader import DECODERS, Reader
from cxreader.serving.store.files.objects import ObjectStore
from cxreader.serving.store.reading.results import Answer, KeptPixels
from cxreader.serving.store.work.queue import Claim
from cxreader.serving.worker.decoded import keep_decoded
from cxreader.serving.worker.models import no_map

NETWORKS = 2
"""Batches that the networks work on at the same time: one begins beside the last images of the one before it."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Jobs under way: their answers come with `answers`, which raises what reading them raised."""

    claims: tuple[Claim, ...]
    answers: Future[list[Answer]]


class Pipeline:
    """Batches of jobs to answers, several at a time."""

    def __init__(self, reader: Reader, objects: ObjectStore) -> None:
        self._reader, self._objects = reader, objects
        self.no_map = no_map(reader)
        self._specs = {member.id: member.artifact.spec for member in reader.members}
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

    def pixels(self, one: Claim) -> KeptPixels:
        """Decode an image for the viewer, and put its pixels away. Raises ImageError, StorageError."""
        return keep_decoded(self._objects, self._objects.get(one.sha256), one.key, site=self._reader.site)

    def _decode(self, one: Claim) -> Prepared:
        content = self._objects.get(one.sha256)
        try:
            return self._reader.prepare(content, name=one.key)
        except Exception as error:  # noqa: BLE001 - what no decoder was expected to raise must not end a batch
            return Prepared(one.key, {}, None, (f"the decoder failed ({type(error).__name__}); please report it",))

    def _read(self, claims: Sequence[Claim], decoded: Sequence[Future[Prepared]]) -> list[Answer]:
        readings = self._reader.answer([job.result() for job in decoded], heat_map=not self.no_map)
        each = zip(claims, readings, strict=True)
        return [Answer(claim, reading, self._specs, self.no_map) for claim, reading in each]

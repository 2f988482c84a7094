"""What reads in a process of a cluster's machine."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from cxreader.errors import CxreaderError
from cxreader.inference.batch.carried import CarriedReader
from cxreader.inference.batch.pipeline import Found, read_shard
from cxreader.inference.batch.work import identity_of


class ReadingWorker:
    """In a process of a cluster's machine: a reader, loaded once, that reads chunk after chunk."""

    def load(self, carried: CarriedReader) -> tuple[str, dict[str, Any] | CxreaderError]:
        """Load the reader. The machine's name, and what answers depend on (`work.identity_of`) or why it cannot be loaded."""
        try:
            self._reader = carried.opened()
        except CxreaderError as error:
            return platform.node(), error
        return platform.node(), identity_of(self._reader)

    def read(self, files: Sequence[tuple[int, str]], batch_size: int) -> Iterator[list[Found]]:
        """As `pipeline.read_shard`; the answers alone, without the readings."""
        for found in read_shard(self._reader, files, batch_size=batch_size):
            yield [replace(one, reading=None) for one in found]

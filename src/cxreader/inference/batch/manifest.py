"""What the answers of a run over many files depend on, and how its files are cut into shards."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any, Self

from cxreader.inference.reader import BATCH, Reader

VERSION = 2
"""Of what a work folder holds; 2: answers have `ood_score`, `sop_class` and `sop_instance_uid`."""
LARGEST, FEWEST = 2048, 32
"""A shard has at most so many files; a list that allows it is cut into at least so many shards, for several processes."""
_WORDS = {
    "version": "another version of this folder",
    "cxreader": "another version of cxreader",
    "artifacts": "other models",
    "backends": "another runtime",
    "operating_point": "another operating point",
    "disagreement": "another bound of disagreement",
    "files": "another number of files",
    "files_sha256": "other files",
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """All on which the answers depend, and the shards. `files_sha256`: of the names, each ended by NUL."""

    artifacts: list[str]
    backends: list[str]
    operating_point: dict[str, Any]
    disagreement: float
    files: int
    files_sha256: str
    shard_size: int
    cxreader: str = field(default_factory=lambda: metadata.version("cxreader"))
    version: int = VERSION

    @classmethod
    def of(cls, reader: Reader, files: Sequence[str]) -> Self:
        """Of a reader and the names that it is to read."""
        digest = hashlib.sha256()
        for name in files:
            digest.update(os.fsencode(name) + b"\0")
        batches = -(-len(files) // (FEWEST * BATCH))
        return cls(
            artifacts=[member.id for member in reader.members],
            backends=[member.backend.name for member in reader.members],
            operating_point=reader.operating_point.to_dict(),
            disagreement=reader.disagreement,
            files=len(files),
            files_sha256=digest.hexdigest(),
            shard_size=min(LARGEST, BATCH * max(1, batches)),
        )

    def sizes(self) -> list[int]:
        """Files in each shard."""
        return [min(self.shard_size, self.files - first) for first in range(0, self.files, self.shard_size)]

    def differences(self, other: dict[str, Any]) -> list[str]:
        """In words, what another manifest has that this one has not."""
        own = asdict(self)
        found = [words for key, words in _WORDS.items() if own[key] != other.get(key)]
        return [words for words in found if words != _WORDS["files_sha256"] or _WORDS["files"] not in found]

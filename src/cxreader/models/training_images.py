"""Which pictures set a model, so that none of them is judged under another name."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from cxreader.codec import Plain
from cxreader.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class TrainingImages(Plain):
    """The digests (`imaging.digests`) of the images of each part that set the model: of their files and of what was shown.

    `parts`: train, tune, calibrate -> base64 of the digests, 8 bytes each, sorted; 22 characters of text an image.
    """

    parts: dict[str, str]

    @classmethod
    def of(cls, parts: Mapping[str, Iterable[bytes]]) -> Self:
        """Of the digests by part, in any order."""
        return cls({part: base64.b64encode(b"".join(sorted(set(marks)))).decode() for part, marks in parts.items()})

    def part_of(self, digests: Iterable[bytes]) -> str | None:
        """The part that holds one of an image's digests; None for a picture that did not set the model."""
        wanted = [int.from_bytes(digest, "big") for digest in digests]
        return next((part for part, text in self.parts.items() if not _marks(text).isdisjoint(wanted)), None)


@lru_cache(maxsize=16)
def _marks(text: str) -> frozenset[int]:
    try:
        return frozenset(np.frombuffer(base64.b64decode(text, validate=True), ">u8").tolist())
    except (ValueError, binascii.Error):
        mend = "copy the artifact again, or train it again"
        raise ArtifactError("the hashes of the training images cannot be read", mend=mend) from None

"""Names of pictures by what they hold: short hashes by which a picture is recognised under another name.

The head of a SHA-256, 8 bytes: among a hundred thousand pictures two different ones share it in one of four billion sets.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

BYTES = 8


def file_digest(data: bytes) -> bytes:
    """8 bytes that name a file's content: equal for copies of one file, whatever decodes them."""
    return hashlib.sha256(data).digest()[:BYTES]


def shown_digest(pixels: NDArray[np.uint8]) -> bytes:
    """8 bytes that name what a network is shown (S, S): equal for one picture saved anew, in whatever format keeps it whole."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()[:BYTES]

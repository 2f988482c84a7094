"""How many pixels are decoded at the same time: a large picture takes a dozen bytes and more a pixel while it is decoded."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cxreader.errors import ImageError
from cxreader.imaging import png
from cxreader.imaging.radiograph import MAX_PIXELS
from cxreader.imaging.read import HEAD, size, sniff

if TYPE_CHECKING:
    from cxreader.inference.prepared import Source

_EACH = 10_000_000
"""Pixels a thread: with fewer, usual detectors would keep cores waiting."""


class PixelRoom:
    """Room for pictures of `most` pixels together; a larger one has it alone. Safe to use from several threads.

    `most`: left out, one picture of the largest size that is read, or ten million pixels a thread where that is more.
    """

    def __init__(self, threads: int, *, most: int | None = None) -> None:
        self.most = max(MAX_PIXELS, threads * _EACH) if most is None else most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def for_source(self, source: Source) -> Iterator[None]:
        """Wait until there is room for a source, and keep it until the block ends."""
        pixels = pixels_of(source)
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + pixels <= self.most)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


def pixels_of(source: Source) -> int:
    """How many pixels a file or its bytes will have, by the header; 0 for what cannot be read or is decoded already."""
    try:
        if isinstance(source, bytes):
            width, height = _size(source)
        elif isinstance(source, str | os.PathLike):
            width, height = size(source)
        else:
            return 0
    except ImageError:
        return 0
    return width * height


def _size(data: bytes) -> tuple[int, int]:
    kind = sniff(data[:HEAD])
    if kind is None:
        return 0, 0
    if kind in png.KINDS:
        return png.header_size(io.BytesIO(data), kind, "bytes")
    from cxreader.imaging import dicom

    return dicom.header_size(io.BytesIO(data), "bytes")

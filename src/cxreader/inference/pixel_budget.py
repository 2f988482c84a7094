"""How many pixels are decoded at the same time: a large picture takes a dozen bytes and more a pixel while it is decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cxreader.imaging.limits import MAX_PIXELS

_EACH = 10_000_000
"""Pixels a thread: with fewer, usual detectors would keep cores waiting."""


class PixelBudget:
    """Room for pictures of `most` pixels together; a larger one has it alone. Safe to use from several threads.

    `most`: left out, one picture of the largest size that is read, or ten million pixels a thread where that is more.
    """

    def __init__(self, threads: int, *, most: int | None = None) -> None:
        self.most = max(MAX_PIXELS, threads * _EACH) if most is None else most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[Callable[[int], None]]:
        """A slot that is empty at first; called with a number of pixels, once, it waits until there is room for them.

        They have it until the block ends. It is what `imaging.read.read` calls `reserve`.
        """
        kept = 0

        def reserve(pixels: int) -> None:
            nonlocal kept
            with self._changed:
                self._changed.wait_for(lambda: self._taken == 0 or self._taken + pixels <= self.most)
                self._taken += pixels
                kept = pixels

        try:
            yield reserve
        finally:
            with self._changed:
                self._taken -= kept
                self._changed.notify_all()

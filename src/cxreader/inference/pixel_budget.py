"""How many pixels are decoded at the same time: a picture takes a dozen bytes and more a pixel while it is decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cxreader.imaging.limits import MAX_PIXELS

_EACH = 10_000_000
"""Pixels of budget for each thread: with fewer, cores would wait for one another on images of usual detectors."""


class PixelBudget:
    """Bounds the pixels that several threads hold at the same time: `most` together, or one larger picture alone.

    `most`: by default the largest picture that is read (`MAX_PIXELS`), or ten million pixels for each of `threads` where that
    is more. Safe to use from several threads.
    """

    def __init__(self, threads: int, *, most: int | None = None) -> None:
        self.most = max(MAX_PIXELS, threads * _EACH) if most is None else most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[Callable[[int], None]]:
        """Gives `reserve(pixels)` for one picture, as `imaging.read.read` takes it: to be called once, before decoding.

        `reserve` waits until the budget has those pixels, which stay taken until the block ends. A block that reserves
        nothing takes nothing. A thread must not reserve in a second slot while it holds one: both may wait for each other.
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

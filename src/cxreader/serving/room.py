"""A bound on the memory of what is being received: who would go beyond it waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class Room:
    """Bytes that may be held at the same time. Safe to use from several threads, of which none takes twice."""

    def __init__(self, most: int) -> None:
        self._left = self._most = most
        self._given_back, self._turn = Condition(), Lock()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Hold so many bytes while the block runs; waits for them, in turn. What is larger than the room has it alone."""
        size = min(size, self._most)
        with self._turn, self._given_back:
            self._given_back.wait_for(lambda: self._left >= size)
            self._left -= size
        try:
            yield
        finally:
            with self._given_back:
                self._left += size
                self._given_back.notify_all()

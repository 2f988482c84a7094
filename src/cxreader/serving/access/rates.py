"""Limits of how often: a bucket a key that fills evenly (token bucket), in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from cxreader.serving.access.refusals import TooManyError

MINUTE = 60.0
_KEYS = 10_000


class Rate:
    """At most `most` takings of a key at once, and so many a minute over time. Safe to use from several threads.

    `now`: seconds of a clock that only goes forward.
    """

    def __init__(self, most: int, what: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._what, self._now = most, what, now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def take(self, key: str) -> None:
        """Take one. Raises TooManyError where none is left."""
        with self._lock:
            now = self._now()
            left, at = self._left.pop(key, (float(self._most), now))
            left = min(float(self._most), left + (now - at) * self._most / MINUTE)
            taken = left >= 1
            self._left[key] = (left - taken, now)
            if len(self._left) > _KEYS:
                self._left.popitem(last=False)  # the one not asked for longest: its bucket is the fullest
        if not taken:
            raise TooManyError(f"too many {self._what}", after=max(1.0, (1 - left) * MINUTE / self._most))


class Slots:
    """At most `most` at once; who is refused may come again `after` seconds. Safe to use from several threads."""

    def __init__(self, most: int, what: str, *, after: float = MINUTE) -> None:
        self._left, self._what, self._after, self._lock = most, what, after, Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """One of them, until the block ends. Raises TooManyError where none is left."""
        with self._lock:
            if self._left < 1:
                raise TooManyError(f"too many {self._what}", after=self._after)
            self._left -= 1
        try:
            yield
        finally:
            with self._lock:
                self._left += 1


class Recently:
    """Whether something happened within so many seconds. Safe to use from several threads."""

    def __init__(self, seconds: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._now = seconds, now
        self._at: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._lock = Lock()

    def first(self, *key: str) -> bool:
        """True for what did not happen lately; from now on it did."""
        with self._lock:
            now = self._now()
            at = self._at.get(key)
            if at is not None and now - at < self._seconds:
                return False
            self._at.pop(key, None)
            self._at[key] = now
            if len(self._at) > _KEYS:
                self._at.popitem(last=False)
            return True

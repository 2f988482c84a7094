"""Chunks of files for workers that may die, and which file to give up when one of them is why they do."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

HALVED, GIVEN_UP = 2, 3
"""Deaths of workers after which a chunk is halved, and after which a single file is given up."""


class Chunk:
    """Files, (position, name) each, that one worker reads; `left`: those without an answer yet, in their order."""

    def __init__(self, files: Iterable[tuple[int, str]], deaths: int = 0) -> None:
        self.left = dict(files)
        self.deaths = deaths
        """How many workers died with it."""


class Chunks:
    """What is still to be read: chunks that came back, then new ones of `files`, which are taken as they are needed."""

    def __init__(self, files: Iterable[tuple[int, str]], size: int) -> None:
        self._files: Iterator[tuple[int, str]] = iter(files)
        self._size = size
        self._back: deque[Chunk] = deque()

    def __bool__(self) -> bool:
        """Whether there is anything to take."""
        if not self._back:
            self.give_back(Chunk(islice(self._files, self._size)))
        return bool(self._back)

    def take(self) -> Chunk:
        """The next chunk. Raises IndexError where there is none."""
        if not self:
            raise IndexError
        return self._back.popleft()

    def give_back(self, chunk: Chunk) -> None:
        """The rest of a chunk whose worker had not begun it."""
        if chunk.left:
            self._back.append(chunk)

    def died(self, chunk: Chunk) -> tuple[int, str] | None:
        """The rest of a chunk whose worker died with it comes again, from the second death on in halves.

        A file that stands alone after that is returned, to be given up, when its third worker died. What a chunk's files were
        answered before its worker died stays answered.
        """
        files, deaths = list(chunk.left.items()), chunk.deaths + 1
        if len(files) == 1 and deaths >= GIVEN_UP:
            return files[0]
        if len(files) == 1 or deaths < HALVED:
            self.give_back(Chunk(files, deaths))
            return None
        half = (len(files) + 1) // 2
        for part in (files[:half], files[half:]):
            self.give_back(Chunk(part, HALVED - 1))
        return None

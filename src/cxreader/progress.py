"""How long work tells what it does: a line of news, and a bar. Silent unless the caller gives something that shows them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Say = Callable[[str], None]
"""Told each step in a line."""
Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None] | None]]
"""Bar(what) as a context gives f(done, total), or None when nothing is shown."""


class Note(str):
    """A line about the images, which trainings on the same ones need not repeat."""

    __slots__ = ()


def notes_once(say: Say) -> Say:
    """`say`, but that each `Note` is told once: for several trainings on the same images."""
    told: set[str] = set()

    def tell(text: str) -> None:
        if isinstance(text, Note) and text in told:
            return
        told.add(text)
        say(text)

    return tell


def silent(text: str) -> None:
    """No news."""


def no_bar(what: str) -> AbstractContextManager[None]:  # noqa: ARG001 - the form of a bar
    """No progress bar."""
    return nullcontext()

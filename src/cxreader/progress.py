"""How long work tells what it does: a line of news, and a bar. Silent unless the caller gives something that shows them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Say = Callable[[str], None]
"""Told each step in a line."""
Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None] | None]]
"""Bar(what) as a context gives f(done, total), or None when nothing is shown."""


def silent(text: str) -> None:
    """No news."""


def no_bar(what: str) -> AbstractContextManager[None]:  # noqa: ARG001 - the form of a bar
    """No progress bar."""
    return nullcontext()

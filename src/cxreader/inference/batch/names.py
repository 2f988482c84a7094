"""File names as the system gives them: any bytes but NUL, newlines included, not always text."""

from __future__ import annotations

import codecs
import os
import unicodedata


def names_in(data: bytes) -> list[str]:
    """The names in `data`, a line each; each ended by NUL where there is one, as `find -print0` writes them.

    Bytes that are no text are kept (surrogateescape), so that the file can be opened. Empty lines, and the mark with which some
    editors begin a UTF-8 text, are passed over.
    """
    if b"\0" in data:
        lines = data.split(b"\0")
    else:
        lines = [line.rstrip(b"\r") for line in data.removeprefix(codecs.BOM_UTF8).split(b"\n")]
    return [os.fsdecode(line) for line in lines if line]


def as_text(name: str | bytes) -> str:
    r"""A name for a table: valid text, in which a byte that is none stands as `\xff`; newlines are kept."""
    try:
        raw = name if isinstance(name, bytes) else os.fsencode(name)
    except UnicodeEncodeError:  # half a surrogate pair, which no file system gives, but a table may hold
        raw = name.encode("utf-8", "backslashreplace") if isinstance(name, str) else name
    return raw.decode("utf-8", "backslashreplace")


def on_one_line(name: str) -> str:
    r"""A name for a terminal: as in a table, with newlines and other control characters as `\n` or `\x1b`."""
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else _escaped(c) for c in as_text(name))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()

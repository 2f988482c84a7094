"""Bytes become rows of text: encoding, separator and quotes of CSV as programs write it (RFC 4180 and beyond)."""

from __future__ import annotations

import codecs
import csv
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

from cxreader.errors import TableError

SEPARATORS = ("\t", ";", "|", ",")
"""The comma last: of two that fit alike it is the one that stands in numbers and sentences too."""
_LOOKED_AT = 50
"""Rows by which the separator is known."""
MOST_TITLES = 5
"""Rows of one cell that may stand above a header."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SAVE = "save it as CSV in UTF-8"
_CONTROL = frozenset(range(32)) - {9, 10, 11, 12, 13, 26}


def decode(data: bytes, where: str | os.PathLike[str]) -> tuple[str, tuple[str, ...]]:
    """The text of a table's bytes, and a note where its encoding had to be guessed.

    A byte order mark decides; without one it is UTF-8, else UTF-16 where every other byte is 0, else Windows-1252 (of which
    Latin-1 is a part but for control characters). Raises TableError for bytes that are no text.
    """
    mark = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), None)
    if mark is not None:
        return _decoded(data[len(mark[0]) :], mark[1], where), ()
    head = data[:4096]
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if head[first::2].count(0) > 0.4 * len(head) and 0 not in head[1 - first :: 2]:
            return _decoded(data, name, where), (f"no byte order mark: read as {name.upper()}",)
    if _CONTROL.intersection(head):
        raise TableError("is no table: it holds bytes that are no text", where=where, mend=_SAVE)
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252"), ("is not UTF-8: read as Windows-1252",)
    except UnicodeDecodeError:
        return data.decode("latin-1"), ("is not UTF-8: read as Latin-1",)


def separator_of(text: str) -> tuple[str, int]:
    """The separator, and where the text of the table begins: a first line such as `sep=;`, as Excel has it, names it.

    Else the one by which most of the first rows have as many cells as the first, and of these the one that makes most cells.
    """
    line, end, _ = text[:16].partition("\n")
    if end and line.strip().lower().startswith("sep=") and len(line.strip("\r")) == 5:
        return line.strip("\r")[4], len(line) + 1
    best, chosen = (-1.0, 0), ","
    for separator in SEPARATORS:
        widths = _widths(text, separator)
        widths = widths[count_titles(widths) :]
        if not widths or widths[0] < 2:
            continue
        score = (round(widths.count(widths[0]) / len(widths), 1), widths[0])
        if score > best:
            best, chosen = score, separator
    return chosen, 0


def count_titles(widths: Sequence[int]) -> int:
    """How many rows of a table, of which `widths` are the cells of those that are not blank, are titles above its header.

    Up to MOST_TITLES rows of one cell before one of several, and another of several after it.
    """
    titles = next((n for n, width in enumerate(widths) if width > 1), 0)
    return titles if titles <= MOST_TITLES and len(widths) > titles + 1 and widths[titles + 1] > 1 else 0


def rows_of(text: str, separator: str, start: int, where: str | os.PathLike[str]) -> Iterator[list[str]]:
    """Every row with its cells, blank ones too, so that counting them from 1 gives what a spreadsheet shows.

    Raises TableError, with its row, where quotes do not fit.
    """
    done = 0
    try:
        for cells in _reader(text, separator, start):
            yield cells
            done += 1
    except csv.Error:
        place = f"{os.fspath(where)}, row {done + 1}"
        what = "is no CSV: its quotes do not fit"
        raise TableError(what, where=place, mend="close its quotes, or save it again as CSV") from None


def _decoded(data: bytes, name: str, where: str | os.PathLike[str]) -> str:
    try:
        return data.decode(name)
    except UnicodeDecodeError as error:
        what = f"is no table in {name.upper()} ({error.reason} at byte {error.start:,})"
        raise TableError(what, where=where, mend=_SAVE) from None


def _widths(text: str, separator: str) -> list[int]:
    """How many cells the first rows have by this separator, blank rows left out."""
    found: list[int] = []
    with suppress(csv.Error):
        found.extend(
            len(cells) for cells in islice(_reader(text, separator), _LOOKED_AT) if any(cell.strip() for cell in cells)
        )
    return found


def _reader(text: str, separator: str, start: int = 0) -> Iterator[list[str]]:
    lines = (match[0] for match in _LINE.finditer(text, start))
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)

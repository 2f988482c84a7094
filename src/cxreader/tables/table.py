"""A table of any of these kinds: its columns by name, its rows by the number that a spreadsheet shows."""

from __future__ import annotations

import gzip
import io
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from itertools import islice
from pathlib import Path

from cxreader.counting import format_count
from cxreader.errors import TableError, nearest
from cxreader.tables.binary import Sheet, excel_sheet, parquet_columns, parquet_rows
from cxreader.tables.cells import clean, column_name, parse_number
from cxreader.tables.text import MOST_TITLES, count_titles, decode, rows_of, separator_of

Body = Callable[[], Iterator[tuple[int, Sequence[str]]]]
_MOST = 1 << 30
"""Bytes that a table may have, unpacked."""
_SHOWN = 12
_NEAR = 0.7
"""Likeness from which a name is taken for a misspelt one, where it has a letter more or less at most: `age` is no `image`."""
_OTHERS = {
    b"\xd0\xcf\x11\xe0": ("is an old Excel file (.xls)", "save it as .xlsx or CSV"),
    b"%PDF": ("is a PDF, no table", "give a CSV"),
    b"\x89PNG": ("is a picture, no table", "give a CSV"),
    b"\xff\xd8\xff": ("is a picture, no table", "give a CSV"),
    b"BZh": ("is packed by bzip2", "unpack it"),
    b"\xfd7zXZ": ("is packed by xz", "unpack it"),
    b"ARROW1": ("is an Arrow file, not Parquet", "write it as Parquet or CSV"),
}


@dataclass(frozen=True, eq=False)
class Table:
    """A table whose header was read; its rows are read, anew each time, by iterating.

    `columns`: names as written, without the blanks around them; a column without a name (an index) is left out. `notes`: what
    a reader of the table must know, such as an encoding that was guessed. `sheet`: which of a workbook's several it is, and
    `unread` what its note says of the others; both empty for any other table.

    A column is asked for by its `column_name` (lower case, one blank between words). Iterating gives (row, cells): the row's
    number as a spreadsheet shows it (the header is row 1, blank rows count and are passed over), and the cells by column
    name, as text without the blanks around them; an empty cell is "". Raises TableError, with the row, for a row with other
    cells than the header has columns (empty cells beyond it do not matter) and for quotes that do not fit.
    """

    path: Path
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    _positions: Mapping[str, int] = field(default_factory=dict, repr=False)
    _written: Mapping[int, str] = field(default_factory=dict, repr=False)
    _body: Body = field(default=lambda: iter(()), repr=False)
    _placed: bool = field(default=False, repr=False)
    sheet: str = ""
    unread: str = ""

    def __contains__(self, name: object) -> bool:
        return name in self._positions

    def __iter__(self) -> Iterator[tuple[int, dict[str, str]]]:
        names, places = list(self._positions), list(self._positions.values())
        width = 1 + max(places, default=-1)
        for row, cells in self._body():
            if len(cells) != width:
                if not any(cell.strip() for cell in cells):
                    continue
                cells = self._fitted(cells, width, row)  # noqa: PLW2901
            texts = [cells[place].strip() for place in places]
            if any(texts):
                yield row, dict(zip(names, map(_unwrapped, texts), strict=True))

    def names(self) -> tuple[str, ...]:
        """Every column by the name it is asked for, in their order."""
        return tuple(self._positions)

    def written(self, name: str) -> str:
        """A column's name as the file has it."""
        return self._written[self._positions[name]]

    def at(self, row: int, column: str | None = None) -> str:
        """The place of a row, or of one of its cells, for a message."""
        return f"{self.where}, row {row}" if column is None else f"{self.where}, row {row}, column {column}"

    @property
    def where(self) -> str:
        """The place of the table, for a message: its file, and of a workbook with several sheets the one that is read."""
        return f"{self.path}, sheet {self.sheet!r}" if self.sheet else str(self.path)

    def require(self, *names: str, or_else: str = "") -> None:
        """Raise TableError for those of the columns that are not there: the nearest to one that is, or all, and `or_else`."""
        missing = [name for name in names if name not in self]
        if not missing:
            return
        alike = [name for name in self.names() if abs(len(name) - len(missing[0])) <= 1]
        close = get_close_matches(missing[0], alike, n=1, cutoff=_NEAR) if len(missing) == 1 else []
        there = ", ".join(self.columns[:_SHOWN])
        rename = "rename one, or add it" if len(missing) == 1 else "rename some, or add them"
        mend = f"its first row names the columns ({there}): {rename}"
        mend = f"did you mean {self.written(close[0])!r}? rename it" if close else mend
        *first, last = map(repr, missing)
        what = f"has no column {', '.join(first)}{' or ' * bool(first)}{last}"
        unread = f"; {self.unread}" if self.unread else ""
        raise TableError(what, where=self.where, mend=f"{mend}{or_else}{unread}")

    def aliased(self, aliases: Mapping[str, Sequence[str]]) -> Table:
        """The table in which a column that is missing is the first of its other names that is there."""
        positions = dict(self._positions)
        for name, others in aliases.items():
            found = next((other for other in others if other in positions), None)
            if name not in positions and found is not None:
                positions = {name if own == found else own: place for own, place in positions.items()}
        return replace(self, _positions=positions)

    def unused(self, used: Iterable[str]) -> tuple[str, ...]:
        """A note that names the columns that are none of `used`, once; empty where all of them are."""
        places = {self._positions[name] for name in used if name in self}
        names = [name for place, name in self._written.items() if name and place not in places]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return (f"columns not used: {', '.join(names[:_SHOWN])}{more}",) if names else ()

    def _fitted(self, cells: Sequence[str], width: int, row: int) -> Sequence[str]:
        """The cells of a row of another width, where only empty ones are too many or their columns are certain."""
        if self._placed or (len(cells) > width and not any(cell.strip() for cell in cells[width:])):
            return [*cells, *[""] * (width - len(cells))]
        what = f"has {len(cells)} cells, the header {width}"
        mend = "complete the row" if len(cells) < width else "quote cells that hold the separator"
        raise TableError(what, where=self.at(row), mend=mend)


def read_table(path: str | os.PathLike[str], *, columns: Mapping[str, str] | None = None) -> Table:
    """The table of a file, told by what it holds and not by its name.

    CSV: comma, semicolon, tab or bar; quoted or not; UTF-8, UTF-16, Windows-1252. Packed by gzip, or alone in a zip. Parquet.
    Excel workbook (the first sheet that holds a table). Titles above the header, rows of one cell, are passed over. Names of
    columns are compared without case.
    `columns`: by the name a column is asked for, its name in the file: `{"probability": "score"}`.
    Raises TableError for a file that cannot be opened or is no table, that has no header, one of whose columns stands twice
    (with another case too), or that lacks one of `columns`; MissingDependencyError for Excel without openpyxl.
    """
    where = Path(path)
    try:
        data = _head(where)
    except OSError as error:
        raise TableError(f"cannot be read ({error.strerror})", where=where, mend="check the path") from None
    if data.startswith(b"PAR1"):
        return _renamed(
            _table(where, parquet_columns(where), partial(_numbered, parquet_rows, where), placed=True), columns
        )
    data = _unpacked(_whole(where), where)
    if data.startswith(b"PK\x03\x04"):
        sheet = excel_sheet(data, where, _MOST)
        made = _of_sheet(where, sheet)
    else:
        text, notes = decode(_refuse_others(data, where), where)
        text = text.rstrip("\x1a\0")
        separator, start = separator_of(text)
        made = _of_rows(where, lambda: rows_of(text, separator, start, where), notes)
    return _renamed(made, columns)


def _numbered(rows: Callable[[Path], Iterator[Sequence[str]]], path: Path) -> Iterator[tuple[int, Sequence[str]]]:
    return enumerate(rows(path), 2)


def _of_sheet(path: Path, sheet: Sheet) -> Table:
    """The table of a workbook's sheet; where several hold anything, its place and a note name the sheets."""
    if not sheet.others:
        return _of_rows(path, lambda: iter(sheet.rows), (), placed=True)
    others = ", ".join(map(repr, sheet.others))
    unread = f"not read: {others}; save what you want as a file of its own"
    note = f"sheet {sheet.name!r} is read; {unread}"
    made = _of_rows(path, lambda: iter(sheet.rows), (note,), placed=True)
    return replace(made, sheet=sheet.name, unread=unread)


def _of_rows(
    path: Path, rows: Callable[[], Iterator[Sequence[str]]], notes: tuple[str, ...], *, placed: bool = False
) -> Table:
    """The table whose header is the first row that is not blank, titles passed over."""
    told = ((n, row) for n, row in enumerate(rows(), 1) if any(cell.strip() for cell in row))
    first = list(islice(told, MOST_TITLES + 2))
    if not first:
        raise TableError("has no header", where=path, mend="its first row names the columns")
    titles = count_titles([sum(bool(cell.strip()) for cell in row) for _, row in first])
    if any(parse_number(cell) is not None for cell in first[titles][1]):
        titles = 0  # no names of columns: the rows below a header of one
    at, header = first[titles]
    if titles:
        notes = (*notes, format_count(titles, "[row|rows] of titles above the header [is|are] not read"))
    names = _with_row_names(header, at, rows)

    def body() -> Iterator[tuple[int, Sequence[str]]]:
        numbered = enumerate(rows(), 1)
        return ((row, cells) for row, cells in numbered if row > at)

    return _table(path, names, body, notes, placed=placed)


def _with_row_names(header: Sequence[str], at: int, rows: Callable[[], Iterator[Sequence[str]]]) -> Sequence[str]:
    """The header; as R writes it, without a name above its numbered row names, with an empty one before."""
    numbered = 0
    for row, cells in enumerate(rows(), 1):
        if row <= at or not any(cells):
            continue
        if len(cells) != len(header) + 1 or cells[0] != str(numbered + 1) or not header[-1].strip():
            return header
        numbered += 1
        if numbered == 20:
            break
    return ["", *header] if numbered > 1 else header


def _table(
    path: Path, header: Sequence[str], body: Body, notes: tuple[str, ...] = (), *, placed: bool = False
) -> Table:
    """The table of a header. `placed`: a cell's column is certain, however many cells its row has."""
    written = [clean(name) for name in header]
    positions: dict[str, int] = {}
    for place, name in enumerate(written):
        if not name:
            continue
        own = column_name(name)
        if own in positions:
            other = written[positions[own]]
            what = (
                f"column {name!r} stands twice"
                if other == name
                else f"columns {other!r} and {name!r} differ by case only"
            )
            raise TableError(what, where=path, mend="keep one of them, or rename one")
        positions[own] = place
    if not positions:
        raise TableError("has no header", where=path, mend="its first row names the columns")
    return Table(
        path, tuple(name for name in written if name), notes, positions, dict(enumerate(written)), body, placed
    )


def _renamed(table: Table, columns: Mapping[str, str] | None) -> Table:
    """The table with columns under the names they are asked for; the user's word goes before a column of that name."""
    positions = dict(table._positions)
    for name, written in (columns or {}).items():
        own = column_name(written)
        if own not in table:
            mend = nearest(own, table.names())
            raise TableError(f"has no column {written!r}", where=table.where, mend=mend)
        positions.pop(own, None)
        positions[column_name(name)] = table._positions[own]
    return replace(table, _positions=positions)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)


def _whole(path: Path) -> bytes:
    size = path.stat().st_size
    if size > _MOST:
        raise TableError(f"has {size:,} bytes, more than a table's {_MOST:,}", where=path, mend="write it as Parquet")
    return path.read_bytes()


def _unpacked(data: bytes, path: Path) -> bytes:
    """The bytes themselves, those that gzip packed, or those of the one file in a zip that is no workbook."""
    try:
        if data.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(_MOST + 1)
        elif data.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
                if not any(name.startswith("xl/") for name in names):
                    if len(names) != 1:
                        what = f"is an archive of {len(names):,} files, no table"
                        raise TableError(what, where=path, mend="unpack it and give the table")
                    with archive.open(names[0]) as member:
                        data = member.read(_MOST + 1)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
        what = f"cannot be unpacked ({type(error).__name__})"
        raise TableError(what, where=path, mend="get the file again, or unpack it") from error
    if len(data) > _MOST:
        raise TableError(f"unpacks to more than {_MOST:,} bytes", where=path, mend="write it as Parquet")
    return data


def _refuse_others(data: bytes, path: Path) -> bytes:
    for magic, (what, mend) in _OTHERS.items():
        if data.startswith(magic):
            raise TableError(what, where=path, mend=mend)
    start = data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<table")):
        raise TableError("is a web page or XML, no table", where=path, mend="get the file itself, or save it as CSV")
    if re.match(rb"\[\s*[\[{]|\{\s*\"", start):
        raise TableError("is JSON, no table", where=path, mend="write it as CSV or Parquet")
    return data


def _unwrapped(text: str) -> str:
    return clean(text) if text.startswith(('="', "\ufeff", "\u200b")) else text

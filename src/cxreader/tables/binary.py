"""Parquet and Excel become the rows of a CSV: a header, then cells as text."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cxreader.errors import MissingDependencyError, TableError
from cxreader.tables.cells import cell_text

_LOOKED_AT = 50
"""Rows by which a sheet is taken for a table."""
_ROWS_AT_ONCE = 16_384
_PLAIN: dict[str, Any] = {"read_only": True, "data_only": True, "keep_links": False}
_INDEX = "__index_level_"
"""How pandas names an index that it stores as a column."""


def parquet_columns(path: str | os.PathLike[str]) -> list[str]:
    """The names of a Parquet file's columns, empty for an index that pandas stored. Raises TableError for another file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(os.fspath(path)).names
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise _damaged(path) from error
    return ["" if name.startswith(_INDEX) else name for name in names]


def parquet_rows(path: str | os.PathLike[str]) -> Iterator[list[str]]:
    """The rows of a Parquet file, read in pieces. Raises TableError where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(os.fspath(path)) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                columns = [c.cast(pa.string()) if pa.types.is_temporal(c.type) else c for c in batch.columns]
                cells = [[cell_text(value) for value in column.to_pylist()] for column in columns]
                yield from map(list, zip(*cells, strict=True))
    except (OSError, ValueError, OverflowError, MemoryError, pa.ArrowException) as error:
        raise _damaged(path) from error


def _damaged(path: str | os.PathLike[str]) -> TableError:
    return TableError("cannot be read as Parquet", where=path, mend="write the file again")


@dataclass(frozen=True, slots=True)
class Sheet:
    """The `rows` of a workbook's sheet, as a spreadsheet numbers them; its `name`, and the names of `others` with cells."""

    rows: list[list[str]]
    name: str
    others: tuple[str, ...]


def excel_sheet(data: bytes, where: str | os.PathLike[str], most: int) -> Sheet:
    """The first sheet with two cells in a row, else the first that holds anything.

    Of a formula the value that Excel stored is taken; a cell such as #N/A is empty. `most`: bytes that the workbook may
    unpack to. Raises MissingDependencyError without openpyxl, TableError for a damaged workbook.
    """
    try:
        from openpyxl import load_workbook
    except ModuleNotFoundError as error:
        mend = "pip install 'cxreader[excel]', or save it as CSV"
        raise MissingDependencyError(f"an Excel table needs {error.name}", mend=mend) from None
    try:
        unpacked = _unpacked_size(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and validations, which no value hangs on
            sheet = None if unpacked > most else _first_table(load_workbook(io.BytesIO(data), **_PLAIN))
    except Exception as error:  # whatever openpyxl's parsers raise
        what = f"cannot be read as an Excel workbook ({type(error).__name__})"
        raise TableError(what, where=where, mend="save it again, or as CSV") from error
    if sheet is None:
        raise TableError(f"unpacks to {unpacked:,} bytes", where=where, mend="save it as CSV")
    return sheet


def _unpacked_size(data: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        return sum(part.file_size for part in parts.infolist())


def _first_table(book: Any) -> Sheet:
    sheets = list(book.worksheets)
    for sheet in sheets:
        sheet.reset_dimensions()  # some programs write them wrong
    widths = [max(map(_width, sheet.iter_rows(max_row=_LOOKED_AT)), default=0) for sheet in sheets]
    if not any(widths):  # what there is stands further down, if anywhere
        widths = [max(map(_width, sheet.iter_rows()), default=0) for sheet in sheets]
    chosen = next((n for least in (2, 1) for n, width in enumerate(widths) if width >= least), None)
    if chosen is None:
        return Sheet([], "", ())
    rows = [list(map(_text, row)) for row in sheets[chosen].iter_rows()]
    others = tuple(sheet.title for n, sheet in enumerate(sheets) if widths[n] and n != chosen)
    return Sheet(rows, sheets[chosen].title, others)


def _width(row: Sequence[Any]) -> int:
    """How many cells of a row hold anything."""
    return sum(bool(_text(cell)) for cell in row)


def _text(cell: Any) -> str:
    return "" if cell.data_type == "e" else cell_text(cell.value)

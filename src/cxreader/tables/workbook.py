"""A table written as an Excel workbook of one sheet: text stays text, numbers stay numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import IO

from cxreader.errors import MissingDependencyError, UsageError

MOST_ROWS = 1_048_576
"""Rows of a sheet, its header among them (Microsoft, Excel specifications and limits)."""
_MOST_CHARACTERS = 32_767  # of a cell (as above)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that no XML 1.0 document may hold (its section 2.2)."""


def refuse_workbook(path: str | os.PathLike[str], rows: int = 0) -> None:
    """Before long work: raises MissingDependencyError without openpyxl, UsageError for more `rows` than a sheet has."""
    try:
        import openpyxl  # noqa: F401
    except ModuleNotFoundError as error:
        mend = "pip install 'cxreader[excel]', or name the file .csv"
        raise MissingDependencyError(f"writing an Excel table needs {error.name}", mend=mend) from None
    if rows + 1 > MOST_ROWS:
        what = f"{rows:,} rows are more than the {MOST_ROWS - 1:,} of an Excel sheet"
        raise UsageError(what, where=path, mend="name the file .csv or .parquet")


def write_workbook(header: Sequence[str], rows: Iterable[Sequence[object]], file: IO[bytes]) -> None:
    r"""Write the header and the rows, held by nobody, into `file`; None is an empty cell, floats are read back exactly.

    No text becomes a formula, a number or a date, whatever it looks like; a character that XML has no place for stands as
    `\x1b`, and a text beyond 32,767 characters, the most of a cell, is cut. Raises as `refuse_workbook` does.
    """
    refuse_workbook("")
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    book = Workbook(write_only=True)
    sheet = book.create_sheet("cxreader")
    sheet.freeze_panes = "A2"

    def cell(value: object) -> object:
        if not isinstance(value, str):
            return value
        made = WriteOnlyCell(sheet)
        made._value, made.data_type = _writable(value), "s"  # as a value it might be taken for a formula or an error
        return made

    for row in chain([header], rows):
        sheet.append([cell(value) for value in row])
    book.save(file)


def _writable(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)[:_MOST_CHARACTERS]

"""Labelled images in a store (`cxreader.remote`): a table that names them, or a tree of `normal/` and `abnormal/`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from cxreader import remote
from cxreader.data.index import Index
from cxreader.data.layouts.boxes import BOXES
from cxreader.data.layouts.folder import open_folder
from cxreader.data.layouts.table import open_table
from cxreader.errors import CxreaderError, DataError
from cxreader.imaging.files import load
from cxreader.tables import is_table_name

TABLE = "labels.csv"


def open_store(address: str, *, table: str | os.PathLike[str] | None = None, name: str | None = None) -> Index:
    """The index of what lies at an address.

    A table (CSV, Parquet, Excel), whose images are named by address, or relative to its folder; a folder with a `labels.csv`,
    or whose table is given, on a disk or by its address; else a tree of folders normal and abnormal. Tables are fetched, images
    are not: that a named file is there is known from the listing of its folder. The public sets are known on a disk alone, and
    headers of DICOM files that a table names are not read.
    Raises DataError where nothing is there, StorageError where the store cannot be reached, and as `open_table` and
    `open_folder`.
    """
    kind = remote.kind_of(address)
    if kind is None:
        raise DataError(
            "nothing is there", where=address, mend="check the address, and which keys the environment holds"
        )
    if kind == "file":
        if not is_table_name(PurePosixPath(address)):
            raise DataError("is not a table", where=address, mend="give a table, or the folder of the images")
        with _fetched(address) as file:
            return replace(open_table(file, images=_folder_of(address), name=name), root=address, tables=None)
    own = f"{address.rstrip('/')}/{TABLE}"
    if table is None and remote.kind_of(own) == "file":
        with _fetched(own) as file:
            return replace(open_table(file, images=address, name=name), tables=None)
    if table is None:
        return open_folder(address, name=name)
    if not remote.is_remote(table):
        return open_table(Path(table), images=address, name=name)
    with _fetched(str(table)) as file:
        return replace(open_table(file, images=address, name=name), tables=str(table))


@contextmanager
def _fetched(address: str) -> Iterator[Path]:
    """A table, and the boxes beside it, on this disk; errors name the address."""
    place = _folder_of(address)
    with tempfile.TemporaryDirectory(prefix="cxreader-") as folder:
        file = Path(folder) / address.rpartition("/")[2]
        file.write_bytes(load(address))
        if remote.kind_of(f"{place}/{BOXES}") == "file":
            (Path(folder) / BOXES).write_bytes(load(f"{place}/{BOXES}"))
        try:
            yield file
        except CxreaderError as error:
            where = None if error.where is None else error.where.replace(folder, place)
            raise type(error)(error.what.replace(folder, place), where=where, mend=error.mend) from None


def _folder_of(address: str) -> str:
    return address.rpartition("/")[0]

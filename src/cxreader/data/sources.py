"""A path becomes an index: which kind of source lies there, and where relative paths are looked for."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from cxreader.config import DataSection, SourceSection
from cxreader.data.index import Index, Kind, is_index
from cxreader.data.layouts.dicom import TABLE, is_dicom_table, open_dicom_folder
from cxreader.data.layouts.folder import is_labelled_tree, open_folder
from cxreader.data.layouts.nih import find_entries, open_nih
from cxreader.data.layouts.table import open_table
from cxreader.errors import DataError, UsageError, nearest
from cxreader.tables import is_table_name

IMAGES_VARIABLE = "CXREADER_IMAGES"
IMAGES_DEFAULT = "../shared/data"
PHANTOM_FILE = "phantom.json"


def open_source(
    path: str | os.PathLike[str],
    *,
    kind: Literal["auto"] | Kind = "auto",
    tables: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> Index:
    """The index of whatever lies at `path` (found as `locate` finds it).

    A release of NIH ChestX-ray14 or of phantoms in its layout, a CSV or Parquet table (or a folder with one
    `labels.csv`), an index saved by `Index.save`, a tree of `normal/` and `abnormal/`, a tree of DICOM files whose
    `labels.csv` names them by UID or file. `tables`: the folder of the NIH tables, or of `labels.csv`, when they lie
    elsewhere (looked for from the source's folder too). `name` is kept as the data set's name.
    Raises UsageError for an unknown kind, DataError when nothing is there or it is none of these, TableError as the
    sources do.
    """
    if kind != "auto" and kind not in get_args(Kind):
        raise UsageError(f"unknown kind of source {kind!r}", mend=nearest(kind, ("auto", *get_args(Kind))))
    root = locate(path)
    table_folder = None if tables is None else locate(tables, beside=root)
    if root.is_file() and kind in ("auto", "table", "dicom"):
        return _open_file(root, kind, name)
    if not root.is_dir():
        raise DataError("is a file, not a folder", where=root, mend="give the folder")
    if kind == "auto":
        kind = detect(root, table_folder)
    if kind == "nih":
        phantom = _phantom_source(find_entries(root, table_folder))
        return open_nih(root, tables=table_folder, name=name or phantom or "nih", source=phantom or "nih")
    if kind == "table":
        return open_table(root / TABLE, name=name)
    if kind == "dicom":
        place = root if table_folder is None else table_folder
        return open_dicom_folder(root, labels=place / TABLE if place.is_dir() else place, name=name)
    return open_folder(root, name=name)


def open_data(data: DataSection) -> Index:
    """The index of a configuration's images: one source, or several together. Raises as `open_source`."""
    if data.sources:
        return open_together(data.sources, name=data.name)
    return open_source(data.root, kind=data.kind, tables=data.tables, name=data.name)


def open_together(sources: Sequence[SourceSection], *, name: str | None = None) -> Index:
    """Several sources as one index: images are named FOLDER/image, and a patient of two NIH folders is one patient.

    Raises UsageError when two of the folders have one name, and as `open_source`.
    """
    places = [Path(source.root).name for source in sources]
    twice = [place for place, count in Counter(places).items() if count > 1]
    if twice:
        raise UsageError(f"two sources lie in folders named {twice[0]!r}", where="data.sources", mend="rename one")
    named = [_reopenable(source, place) for place, source in zip(places, sources, strict=True)]
    opened = [open_source(s.root, kind=s.kind, tables=s.tables, name=s.name) for s in named]
    records = tuple(
        replace(record, image=f"{place}/{record.image}")
        for place, index in zip(places, opened, strict=True)
        for record in index.records
    )
    return Index(
        records,
        name=name or "+".join(index.name for index in opened),
        kind="several",
        root=", ".join(index.root for index in opened),
        rows_without_file=sum(index.rows_without_file for index in opened),
        files_without_row=sum(index.files_without_row for index in opened),
        notes=tuple(f"{place}: {note}" for place, index in zip(places, opened, strict=True) for note in index.notes),
        sources=tuple(source.model_dump() for source in named),
    )


def _reopenable(source: SourceSection, place: str) -> SourceSection:
    """The source as it is opened again from any working folder, under the name it was given here."""
    root = locate(source.root)
    tables = None if source.tables is None else str(locate(source.tables, beside=root))
    return source.model_copy(update={"root": str(root), "tables": tables, "name": source.name or place})


def detect(root: Path, tables: Path | None = None) -> Kind:
    """The kind of source in a folder: tables in it come before its folders' names, and those before tables above it.

    Raises DataError for a folder that is none.
    """
    if tables is not None and is_dicom_table(tables / TABLE if tables.is_dir() else tables):
        return "dicom"
    if tables is not None or find_entries(root, root) is not None:
        return "nih"
    if (root / TABLE).is_file():
        return "dicom" if is_dicom_table(root / TABLE) else "table"
    if is_labelled_tree(root):
        return "folder"
    if find_entries(root) is not None:
        return "nih"
    raise DataError(
        "no labelled images here",
        where=root,
        mend="expected Data_Entry_2017*.csv (or --tables DIR), labels.csv, or folders normal and abnormal",
    )


def locate(path: str | os.PathLike[str], *, beside: Path | None = None) -> Path:
    """The absolute place of `path`.

    A relative one is looked for in the working folder, then in the folder that the environment variable CXREADER_IMAGES
    names (`../shared/data` when it is not set), then `beside` the given folder. Raises DataError listing these places.
    """
    wanted = Path(path).expanduser()
    roots = [Path(), Path(os.environ.get(IMAGES_VARIABLE) or IMAGES_DEFAULT), *([] if beside is None else [beside])]
    places = [wanted] if wanted.is_absolute() else [root / wanted for root in roots]
    for place in places:
        if place.exists():
            return Path(os.path.abspath(place))  # noqa: PTH100 (a link stays the name it was given)
    looked = ", ".join(os.path.abspath(place) for place in places)  # noqa: PTH100
    mend = "check the path" if wanted.is_absolute() else f"check the path, or set {IMAGES_VARIABLE}"
    raise DataError(f"nothing is there (looked at: {looked})", where=wanted, mend=mend)


def _open_file(path: Path, kind: str, name: str | None) -> Index:
    """The index of a file: one that was saved, a table of files, or one of UIDs beside its DICOM files."""
    if is_index(path):
        return Index.load(path)
    table = _as_table(path)
    if kind == "dicom" or (kind == "auto" and is_dicom_table(table)):
        return open_dicom_folder(table.parent, labels=table, name=name)
    return open_table(table, name=name)


def _as_table(path: Path) -> Path:
    if not is_table_name(path):
        raise DataError("is not a table", where=path, mend="give a CSV, a Parquet or Excel file, or a folder")
    return path


def _phantom_source(entries: Path | None) -> str | None:
    """`phantom:SEED`: the same patient number of another seed is another phantom patient."""
    path = None if entries is None else entries.with_name(PHANTOM_FILE)
    if path is None or not path.is_file():
        return None
    try:
        return f"phantom:{int(json.loads(path.read_text())['spec']['seed'])}"
    except (ValueError, KeyError, TypeError):
        raise DataError("has no seed", where=path, mend="write the phantoms again") from None

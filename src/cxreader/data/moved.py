"""A saved index is opened again: its files are looked for anew, where they lay or where they lie now."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from cxreader.counting import format_count
from cxreader.data.index import Index
from cxreader.data.layouts.named_files import find_named
from cxreader.errors import DataError
from cxreader.imaging.containers import is_there
from cxreader.remote import is_remote


def with_files(index: Index, where: Path, *, now: Path | None = None) -> Index:
    """The index whose records have their files; those that have gone are left out and counted as `rows_without_file`.

    Files in a store are not looked for, since that takes a request each: who reads one that has gone tells it.

    `where`: the file it was saved in, for messages. `now`: the folder (or the table in it) that stands where `index.root` lay,
    when that was moved. Records that never had a file stay. Raises DataError when all files have gone.
    """
    if now is not None:
        index = _moved(index, now if now.is_dir() else now.parent)
    paths = {record.image: record.path for record in index.records if record.path is not None}
    gone = {image for image, path in paths.items() if not (is_remote(path) or is_there(path))}
    if not gone:
        return index
    if len(gone) == len(paths):
        files = format_count(len(paths), "[file|files]")
        what = f"none of the {files} of this index is there: looked for {next(iter(paths.values()))} first"
        mend = "give the folder where they lie now by --tables (data.tables), or open the images themselves (data.root)"
        raise DataError(what, where=where, mend=mend)
    told = format_count(len(gone), f"of the {len(paths):,} files of the saved index [has|have] gone: left out")
    return replace(
        index,
        records=tuple(record for record in index.records if record.image not in gone),
        rows_without_file=(index.rows_without_file or 0) + len(gone),
        notes=(*index.notes, told),
    )


def _moved(index: Index, now: Path) -> Index:
    """The index with its files below `now` as they lay below its root, or beside it where that is a file."""
    roots = [str(source["root"]) for source in index.sources] or [index.root]
    old = os.path.commonpath(roots)
    inside = all(record.path is None or record.path.startswith(f"{old}{os.sep}") for record in index.records)
    old = old if inside else os.path.dirname(old)  # noqa: PTH120

    def relative(path: str) -> str:
        return os.path.relpath(path, old).replace(os.sep, "/")

    names = [relative(record.path) for record in index.records if record.path is not None]
    found = find_named(now, names, lambda n: f"image {n + 1} of the index").paths
    paths = iter([path or str(now / name) for path, name in zip(found, names, strict=True)])
    return replace(
        index,
        records=tuple(r if r.path is None else replace(r, path=next(paths)) for r in index.records),
        root=index.root if index.sources else os.path.normpath(now / relative(index.root)),
        sources=tuple({**s, "root": os.path.normpath(now / relative(str(s["root"])))} for s in index.sources),
    )

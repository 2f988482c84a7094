"""A path becomes an index: which kind of source lies there, and where relative paths are looked for."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from cxreader.config import DataSection, Kind, SourceKind, SourceSection, Uncertain
from cxreader.data.index import Index, is_index
from cxreader.data.layouts.dicom import TABLE, is_dicom_table, open_dicom_folder
from cxreader.data.layouts.folder import is_labelled_tree, open_folder
from cxreader.data.layouts.layout import Options
from cxreader.data.layouts.registry import LAYOUTS, nearest_layout, recognise, set_of_table
from cxreader.data.layouts.seen import Seen, look, look_inside
from cxreader.data.layouts.sets.nih import find_entries, open_nih
from cxreader.data.layouts.store import open_store
from cxreader.data.layouts.table import open_table
from cxreader.data.moved import with_files
from cxreader.data.several import each_once, of_one_class, old_enough
from cxreader.errors import DataError, TableError, UsageError, nearest
from cxreader.imaging.containers import is_archive, is_dicomdir, member_names
from cxreader.remote import is_remote
from cxreader.tables import is_table_name

IMAGES_VARIABLE = "CXREADER_IMAGES"
IMAGES_DEFAULT = "../shared/data"
PHANTOM_FILE = "phantom.json"
_SHOWN = 6


def open_source(
    path: str | os.PathLike[str],
    *,
    kind: SourceKind = "auto",
    tables: str | os.PathLike[str] | None = None,
    name: str | None = None,
    uncertain: Uncertain | None = None,
) -> Index:
    """The index of whatever lies at `path` (found as `locate` finds it).

    A public set of `layouts.registry` (phantoms lie as NIH ChestX-ray14 does), a CSV or Parquet table (or a folder with one
    `labels.csv`), an index saved by `Index.save`, a tree of `normal/` and `abnormal/`, a tree of DICOM files whose
    `labels.csv` names them by UID or file; a zip archive or a DICOMDIR with such folders or such a table; the address of a
    table or folder in a store (`layouts.store`). `tables`: the folder
    of the set's tables, or of `labels.csv`, when they lie elsewhere (looked for from the source's folder too); of a saved
    index the folder where its images lie now. `name` is kept as the data set's name. `uncertain`: what an uncertain label of a
    public set becomes, where its own policy (None) is not wanted.
    Raises UsageError for an unknown kind or policy, and for a policy beside a source that knows no uncertain labels; DataError
    when nothing is there or it is none of these, TableError as the sources do.
    """
    _require_known("kind of source", kind, get_args(SourceKind))
    if uncertain is not None:
        _require_known("policy", uncertain, get_args(Uncertain))
    if is_remote(path):
        if kind not in ("auto", "table", "folder"):
            mend = "give a table of its images (--kind table), or copy the set to a disk"
            raise DataError(f"in a store no {kind} is known", where=path, mend=mend)
        table = tables if tables is None or is_remote(tables) else locate(tables)
        return _require_own_policy(open_store(str(path), table=table, name=name), uncertain)
    root = locate(path)
    table_folder = None if tables is None else locate(tables, beside=root)
    if root.is_file() and (is_archive(root) or is_dicomdir(root)):
        return _require_own_policy(_open_container(root, kind, table_folder, name), uncertain)
    if root.is_file() and kind in ("auto", "table", "dicom"):
        return _require_own_policy(_open_file(root, kind, table_folder, name), uncertain)
    if not root.is_dir():
        raise DataError("is a file, not a folder", where=root, mend="give the folder")
    if kind == "auto":
        kind = detect(root, table_folder)
    if kind in LAYOUTS and kind != "nih":
        return LAYOUTS[kind].open(look(root, table_folder), Options(name, table_folder, uncertain))
    return _require_own_policy(_open_own(kind, root, table_folder, name), uncertain)


def _require_known(what: str, word: str, known: Sequence[str]) -> None:
    if word not in known:
        raise UsageError(f"unknown {what} {word!r}", mend=nearest(word, known))


def _require_own_policy(index: Index, uncertain: Uncertain | None) -> Index:
    """The index. Raises UsageError when a policy was asked for that it was not made with."""
    if uncertain not in (None, index.uncertain):
        what = f"labels of {index.root} are none of them uncertain, or are decided already"
        raise UsageError(what, where="uncertain", mend="leave it out")
    return index


def _open_own(kind: str, root: Path, table_folder: Path | None, name: str | None) -> Index:
    """The index of a folder of the NIH's or of phantoms, or of one of people's own ways."""
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
    index = open_source(data.root, kind=data.kind, tables=data.tables, name=data.name, uncertain=data.uncertain)
    return old_enough(index, data.min_age)


def open_together(sources: Sequence[SourceSection], *, name: str | None = None) -> Index:
    """Several sources as one index: images are named FOLDER/image, and a patient of two NIH folders is one patient.

    An image of one patient that stands under one file name in two sources of one `name` is one image: the source that is
    named first has it, with its label, and a note tells of the others. Raises UsageError when two of the folders have one
    name, and as `open_source`.
    """
    places = [Path(source.root).name for source in sources]
    twice = [place for place, count in Counter(places).items() if count > 1]
    if twice:
        raise UsageError(f"two sources lie in folders named {twice[0]!r}", where="data.sources", mend="rename one")
    named = [_reopenable(source, place) for place, source in zip(places, sources, strict=True)]
    opened = [
        old_enough(open_source(s.root, kind=s.kind, tables=s.tables, name=s.name, uncertain=s.uncertain), s.min_age)
        for s in named
    ]
    records, twice_there = each_once(
        [
            [replace(record, image=f"{place}/{record.image}") for record in index.records]
            for place, index in zip(places, opened, strict=True)
        ]
    )
    told = [f"{place}: {note}" for place, index in zip(places, opened, strict=True) for note in index.notes]
    return Index(
        records,
        name=name or "+".join(dict.fromkeys(index.name for index in opened)),
        kind="several",
        root=", ".join(index.root for index in opened),
        rows_without_file=_sum(index.rows_without_file for index in opened),
        files_without_row=_sum(index.files_without_row for index in opened),
        notes=(*told, *twice_there, *of_one_class(places, opened)),
        sources=tuple(source.model_dump() for source in named),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum, None when one of them was not counted."""
    numbers = list(counts)
    return None if None in numbers else sum(number or 0 for number in numbers)


def _reopenable(source: SourceSection, place: str) -> SourceSection:
    """The source as it is opened again from any working folder, under the name it was given here."""
    if is_remote(source.root):
        return source.model_copy(update={"name": source.name or place})
    root = locate(source.root)
    tables = None if source.tables is None else str(locate(source.tables, beside=root))
    return source.model_copy(update={"root": str(root), "tables": tables, "name": source.name or place})


def detect(root: Path, tables: Path | None = None) -> Kind:
    """The kind of source in a folder: tables in it come before its folders' names, and those before tables above it.

    Raises DataError for a folder that is none, with what was seen there.
    """
    if tables is not None and is_dicom_table(tables / TABLE if tables.is_dir() else tables):
        return "dicom"
    if find_entries(root, root if tables is None else tables) is not None:
        return "nih"
    if tables is None and (root / TABLE).is_file():
        return "dicom" if is_dicom_table(root / TABLE) else "table"
    seen = look(root, tables)
    known = recognise(seen)
    if len(known) > 1:
        names = " and ".join(f"{one.title} (--kind {one.name})" for one in known)
        raise DataError(f"several sets lie here: {names}", where=root, mend="give the folder of one, or its kind")
    if known:
        return known[0].name
    if tables is None and is_labelled_tree(root):
        return "folder"
    if tables is None and find_entries(root) is not None:
        return "nih"
    raise DataError(f"no labelled images here: {_told(seen)}", where=root, mend=_wanted(seen))


def _told(seen: Seen) -> str:
    """The tables and folders seen, for a message."""
    tables = [path.name for path in seen.tables if path.parent in seen.folders]
    below = [folder for folder in seen.folders if seen.root in folder.parents]
    folders = [folder.relative_to(seen.root).as_posix() for folder in below]
    return f"{_listing('table', tables)}, {_listing('folder', folders)}"


def _listing(what: str, names: Sequence[str]) -> str:
    if not names:
        return f"no {what}"
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{what}{'s' * (len(names) > 1)} {', '.join(names[:_SHOWN])}{more}"


def _wanted(seen: Seen) -> str:
    """The nearest set and what it lacks, and what else would do."""
    near = nearest_layout(seen)
    own = "labels.csv, or folders normal and abnormal; the public sets: cxreader data layouts"
    if near is None:
        return f"expected Data_Entry_2017*.csv (or --tables DIR), {own}"
    layout, lacking = near
    place = " (elsewhere: --tables DIR)" if any(what.startswith("a table") for what in lacking) else ""
    return (
        f"nearest is {layout.title} (--kind {layout.name}), which lacks {' and '.join(lacking)}{place}; or give {own}"
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
    mend += "; where it was moved, give the new place (data.root, --data)"
    raise DataError(f"nothing is there (looked at: {looked})", where=wanted, mend=mend)


def _open_file(path: Path, kind: str, tables: Path | None, name: str | None) -> Index:
    """The index of a file: one that was saved, a table of files, or one of UIDs beside its DICOM files."""
    if is_index(path):
        return with_files(Index.load(path), path, now=tables)
    table = _as_table(path)
    try:
        if kind == "dicom" or (kind == "auto" and is_dicom_table(table)):
            return open_dicom_folder(table.parent, labels=table, name=name)
        return open_table(table, name=name)
    except TableError:
        if (known := set_of_table(table)) is None:
            raise
        mend = "give the folder of the set, and --tables DIR where its tables lie elsewhere"
        raise DataError(f"is a table of {known.title}, which has no column label", where=table, mend=mend) from None


def _open_container(path: Path, kind: str, tables: Path | None, name: str | None) -> Index:
    """The index of a zip archive or a DICOMDIR: labelled by a table that is given or lies beside it, or by the folders in it."""
    place = path.parent if tables is None else tables
    table = place / TABLE if place.is_dir() else place
    unpack = "unpack it: public sets are known by their folders"
    if is_archive(path) and kind in ("auto", *LAYOUTS) and (known := recognise(look_inside(path, member_names(path)))):
        raise DataError(f"is an archive of {known[0].title}", where=path, mend=unpack)
    if kind == "auto":
        by_folders = not table.is_file() or (tables is None and is_labelled_tree(path))
        of_dicom = is_dicomdir(path) or (not by_folders and is_dicom_table(table, path))
        kind = "folder" if by_folders else "dicom" if of_dicom else "table"
    if kind == "table":
        return open_table(table, images=path, name=name)
    if kind == "dicom":
        return open_dicom_folder(path, labels=table, name=name)
    index = open_folder(path, name=name) if kind == "folder" else None
    if index is None or (index.files_without_row and len(set(index.labels.tolist())) == 1):
        what = "is an archive, of which only folders normal and abnormal, or a table of labels, are understood"
        raise DataError(what, where=path, mend=unpack)
    return index


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

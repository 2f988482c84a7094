"""NIH ChestX-ray14 as people have it: the release's folders and tables, whole or in part.

Wang et al., CVPR 2017. The tables are read as the release spells them, its oddities included: a header whose brackets
hold commas, a trailing empty column, boxes under a header cut in pieces, impossible ages.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cxreader.data.index import Index, refuse_duplicates
from cxreader.data.layouts.table import MAX_AGE, parse_sex
from cxreader.errors import DataError, ImageError, TableError
from cxreader.findings import canonical, parse_findings
from cxreader.imaging import read
from cxreader.records import ABNORMAL, NORMAL, Box, ImageRecord
from cxreader.tables import parse_age, parse_number, read_table

ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
"""The 2020 file corrects the 2017 one, so it is taken when both are there."""
BOXES = "BBox_List_2017.csv"
LISTS = ("train_val_list.txt", "test_list.txt")
BOX_FRAME = 1024.0
"""Boxes are in pixels of the release's 1024 x 1024 images."""
_BOX_COLUMNS = ("image index", "finding label", "bbox [x", "y", "w", "h]")
_IMAGE_NAME = re.compile(r"(\d{8})_\d{3}\.png", re.IGNORECASE)
_COLUMNS = ("Image Index", "Finding Labels", "Patient ID")
"""Without these there is no index; the others may be absent."""
_ALIASES = {
    "patient sex": ("patient gender",),
    "width": ("originalimage[width", "originalimagewidth"),
    "height": ("height]", "originalimageheight"),
    "spacing x": ("originalimagepixelspacing[x", "originalimagepixelspacing_x"),
    "spacing y": ("y]", "originalimagepixelspacing_y"),
}
"""Spellings of the releases, and of the sample on Kaggle; a name with a comma in brackets is two columns."""
_FOLDERS = ("", "images", "images_*", "images_*/images")


def open_nih(
    folder: Path, *, tables: Path | None = None, name: str = "nih", source: str = "nih", require_files: bool = True
) -> Index:
    """The index of a release folder: `images_NNN/images/*.png`, `images/*.png` or the images themselves.

    The tables are looked for in `tables`, else in `folder` and the two folders above it. Boxes are in pixels of the
    file as it lies there; a row without a file (kept only with `require_files=False`) has them in the 1024 frame.
    `source` names whose patients these are. Raises DataError when there is no table or no image, TableError (with its
    row) for a header, finding, age, number or box that cannot be read, and for an image named twice.
    """
    entry = find_entries(folder, tables)
    if entry is None:
        places = ", ".join(map(str, _table_folders(folder, tables)))
        raise DataError(f"no {ENTRIES[1]} or {ENTRIES[0]} in {places}", where=folder, mend="give --tables DIR")
    files = _files(folder)
    rows, n_rows, told = _rows(entry, source, files, require_files=require_files)
    present = sum(r.path is not None for r in rows)
    if require_files and not present:
        what = f"none of the table's {n_rows:,} images lies here ({len(files):,} PNG files seen)"
        raise DataError(what, where=folder, mend="give the folder that holds images_001 or the PNG files themselves")
    listed = entry.parent / BOXES
    records, unreadable = _boxed(rows, read_boxes(listed) if listed.is_file() else {})
    return Index(
        records,
        name=name,
        kind="nih",
        root=str(folder),
        rows_without_file=n_rows - present,
        files_without_row=len(files) - present,
        notes=_notes(n_rows - present, len(files) - present, unreadable, records, told),
        tables=None if tables is None else str(tables),
    )


def find_entries(folder: Path, tables: Path | None = None) -> Path | None:
    """The release's table of images, or None."""
    places = _table_folders(folder, tables)
    return next((place / name for place in places for name in ENTRIES if (place / name).is_file()), None)


def official_lists(tables: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Image names of the official train-and-validation list and of the official test list.

    Raises DataError when one of the two files is missing, TableError when an image stands in both.
    """
    found = []
    for name in LISTS:
        path = tables / name
        if not path.is_file():
            raise DataError(f"no {name} here", where=tables, mend="get it from the release, or give --tables DIR")
        found.append(frozenset(path.read_text(encoding="utf-8-sig").split()))
    if both := found[0] & found[1]:
        raise TableError(f"image {min(both)} stands in both lists", where=tables, mend="get the lists again")
    return found[0], found[1]


def read_boxes(path: Path) -> dict[str, tuple[Box, ...]]:
    """Boxes of a `BBox_List_2017.csv` by image, in the 1024 frame; several of one finding stay several.

    Raises TableError, with its row, for a file that cannot be opened, another header, an unknown finding, and a box
    that is not four numbers.
    """
    table = read_table(path)
    if table.names()[: len(_BOX_COLUMNS)] != _BOX_COLUMNS:
        what = f"the header begins {','.join(table.columns)[:60]!r}, not 'Image Index,Finding Label,Bbox [x,y,w,h]'"
        raise TableError(what, where=path, mend=f"give {BOXES} of the release")
    found: dict[str, tuple[Box, ...]] = {}
    for n, cells in table:
        image, finding, *texts = (cells[name] for name in _BOX_COLUMNS)
        x, y, width, height = (parse_number(text) for text in texts)
        if x is None or y is None or width is None or height is None:
            raise TableError("a box is not four numbers", where=table.at(n), mend="get the list again")
        box = Box(canonical(finding, where=table.at(n)), x, y, width, height)
        found[image] = (*found.get(image, ()), box)
    return found


def patient_of(image: str) -> str:
    """The patient in a file name of the release: `00013118_008.png` shows patient 13118. Raises TableError."""
    match = _IMAGE_NAME.fullmatch(image)
    if match is None:
        raise TableError(f"the file name {image!r} does not tell its patient", mend="names look like 00013118_008.png")
    return str(int(match[1]))


def _table_folders(folder: Path, tables: Path | None) -> tuple[Path, ...]:
    if tables is not None:
        return (tables,)
    absolute = folder.absolute()
    return (folder, *absolute.parents[:2])


def _files(folder: Path) -> dict[str, str]:
    """Path of every PNG of the release's layouts, by file name. Raises TableError when one name lies in two folders."""
    found: dict[str, str] = {}
    for pattern in _FOLDERS:
        for place in sorted(folder.glob(pattern)) if pattern else [folder]:
            if not place.is_dir():
                continue
            with os.scandir(place) as entries:
                names = sorted(entry.name for entry in entries if entry.name.lower().endswith(".png"))
            for name in names:
                path = os.path.join(place, name)  # noqa: PTH118 (112,120 of them)
                if found.setdefault(name, path) != path:
                    raise TableError(f"lies also at {found[name]}", where=path, mend="keep one file an image")
    return found


def _rows(
    entry: Path, source: str, files: dict[str, str], *, require_files: bool
) -> tuple[list[ImageRecord], int, Counter[str]]:
    """Records without boxes of the rows that have a file (of all, when none is required), the number of rows, and notes."""
    table = read_table(entry).aliased(_ALIASES)
    for name in _COLUMNS:
        if name.lower() not in table:
            raise TableError(f"the column {name!r} is missing", where=entry, mend="get the table again")
    whole = list(table)
    refuse_duplicates(((cells["image index"], n) for n, cells in whole), entry)
    findings: dict[str, tuple[str, ...]] = {}
    records, told = [], Counter[str]()
    for n, cells in whole:
        text, path = cells["finding labels"], files.get(cells["image index"])
        if text not in findings:
            findings[text] = parse_findings(text, where=table.at(n))
        if path is not None or not require_files:
            records.append(_record(cells, table.at(n), findings[text], path, source, told))
    return records, len(whole), told


def _record(
    cells: Mapping[str, str], where: str, findings: tuple[str, ...], path: str | None, source: str, told: Counter[str]
) -> ImageRecord:
    """The record of a row. Raises TableError for a number that is none."""
    numbers = ("follow-up #", "patient id", "width", "height", "spacing x", "spacing y")
    follow_up, patient, width, height, dx, dy = (parse_number(cells.get(name, "")) for name in numbers)
    if patient is None or any(cells.get(name) and parse_number(cells[name]) is None for name in numbers):
        what = "follow-up, patient, size or spacing is no number"
        raise TableError(what, where=where, mend="get the table again")
    age = parse_age(cells.get("patient age", ""))
    told["ages are none, and left empty"] += age is None and bool(cells.get("patient age"))
    return ImageRecord(
        image=cells["image index"],
        label=ABNORMAL if findings else NORMAL,
        path=path,
        patient=str(int(patient)),
        source=source,
        findings=findings,
        follow_up=None if follow_up is None else int(follow_up),
        age=age,
        age_plausible=age is None or 0 <= age <= MAX_AGE,
        sex=parse_sex(cells.get("patient sex", "")),
        view=cells.get("view position") or None,
        width=None if width is None else int(width),
        height=None if height is None else int(height),
        spacing=None if dx is None or dy is None else (dx, dy),
    )


def _boxed(rows: list[ImageRecord], boxes: dict[str, tuple[Box, ...]]) -> tuple[tuple[ImageRecord, ...], int]:
    """The records with their boxes in their files' pixels, and how many boxed files could not be opened."""
    records, unreadable = list(rows), 0
    for at, record in enumerate(rows):
        found = boxes.get(record.image)
        if found is None:
            continue
        if record.path is not None:
            try:
                width, height = read.size(record.path)
            except ImageError:  # the cache will tell why; the index must not fail for one image
                unreadable += 1
            else:
                found = tuple(box.scaled(width / BOX_FRAME, height / BOX_FRAME) for box in found)
        records[at] = replace(record, boxes=found)
    return tuple(records), unreadable


def _notes(
    without_file: int, without_row: int, unreadable: int, records: tuple[ImageRecord, ...], told: Mapping[str, int]
) -> tuple[str, ...]:
    odd = sum(not r.age_plausible for r in records)
    counted = {
        "rows of the table have no file here": without_file,
        "files have no row in the table": without_row,
        "impossible ages are kept and flagged": odd,
        "boxed images could not be opened: their boxes stay in the 1024 frame": unreadable,
        **told,
    }
    return tuple(f"{count:,} {text}" for text, count in counted.items() if count)

"""NIH ChestX-ray14 as people have it: the release, its copies on Kaggle (whole, sample, 224 px), or folders named by findings.

Wang et al., CVPR 2017. The tables are read as the release spells them, its oddities included: a header whose brackets
hold commas, a trailing empty column, boxes under a header cut in pieces, impossible ages. Newer copies say Patient Sex, and
OriginalImageWidth; of the columns only Image Index and Finding Labels must be there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxreader.counting import count_notes, format_count
from cxreader.data.index import Index, refuse_duplicates
from cxreader.data.layouts.files import by_stem, find_pictures
from cxreader.data.layouts.framed_boxes import NIH_FRAME
from cxreader.data.layouts.layout import NO_FILE, NO_ROW, Layout, Mark, Options, Part, aged
from cxreader.data.layouts.seen import Seen, look
from cxreader.data.layouts.sets.nih_by_finding import (
    FOLDERS,
    IMAGE_NAME,
    open_by_finding,
    patient_of,
    pictures_by_finding,
)
from cxreader.errors import DataError, ImageError, TableError
from cxreader.findings import FINDINGS, NO_FINDING, canonical, parse_findings, value_or_missing
from cxreader.imaging import read
from cxreader.records import ABNORMAL, NORMAL, Box, ImageRecord
from cxreader.tables import NO_AGE, NO_SEX, parse_age, parse_number, parse_sex, read_table

_NAMES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", "sample_labels.csv")
ENTRIES = tuple(name + packed for name in _NAMES for packed in ("", ".gz"))
"""The 2020 file corrects the 2017 one, so it is taken when both are there."""
BOXES = ("BBox_List_2017.csv", "BBox_List_2017.csv.gz", "BBox_List_2017_Official_NIH.csv")
LISTS = (("train_val_list.txt", "train_val_list_NIH.txt"), ("test_list.txt", "test_list_NIH.txt"))
"""The last name of each is that of the 224-pixel copy."""
BOX_FRAME = NIH_FRAME
_REQUIRED = ("image index", "finding labels")
_ALIASES = {
    "sex": ("patient gender", "patient sex"),
    "width": ("originalimage[width", "originalimagewidth"),
    "height": ("height]", "originalimageheight"),
    "spacing x": ("originalimagepixelspacing[x", "originalimagepixelspacing_x"),
    "spacing y": ("y]", "originalimagepixelspacing_y"),
}
_BOX = ("bbox [x", "y", "w", "h]")


def open_nih(
    folder: Path, *, tables: Path | None = None, name: str = "nih", source: str = "nih", require_files: bool = True
) -> Index:
    """The index of a folder of the release's pictures, however deep they lie, by its table of images.

    The table is looked for in `tables`, else in `folder`, below it, and in the two folders above it; without any, folders named
    by findings label the pictures in them, and one picture in several is one image. Boxes are in pixels of the
    file as it lies there; a row without a file (kept only with `require_files=False`) has them in the 1024 frame.
    `source` names whose patients these are. Raises DataError when there is no table or no image, or two pictures of one name
    differ; TableError (with its row) for a header, finding, age, number or box that cannot be read, and for an image named twice.
    """
    entry = _entries(folder, tables)
    if entry is None and tables is None and (found := pictures_by_finding(folder)).paths:
        return open_by_finding(folder, found, name, source)
    if entry is None:
        places = ", ".join(map(str, _table_folders(folder, tables)))
        raise DataError(f"no {_NAMES[1]} or {_NAMES[0]} in {places}", where=folder, mend="give --tables DIR")
    pictures = find_pictures(folder, by_stem)
    told = Counter[str]()
    rows, n_rows = _rows(entry, source, pictures.paths, told, require_files=require_files)
    present = sum(r.path is not None for r in rows)
    if require_files and not present:
        seen = format_count(len(pictures.paths), "[picture|pictures] seen")
        what = f"none of the table's {format_count(n_rows, '[image|images]')} lies here ({seen})"
        raise DataError(what, where=folder, mend="give the folder that holds images_001 or the PNG files themselves")
    listed = _first(entry.parent, BOXES)
    records, unreadable = _boxed(rows, {} if listed is None else read_boxes(listed))
    without_row = len(pictures.paths) - present
    return Index(
        records,
        name=name,
        kind="nih",
        root=str(folder),
        rows_without_file=n_rows - present,
        files_without_row=without_row,
        notes=_notes(n_rows - present, without_row, unreadable, records, told) + pictures.notes(),
        tables=None if tables is None else str(tables),
    )


def find_entries(folder: Path, tables: Path | None = None) -> Path | None:
    """The release's table of images in `tables`, else in the folder and the two above it; None without one."""
    places = _table_folders(folder, tables)
    return next((found for place in places if (found := _first(place, ENTRIES)) is not None), None)


def official_lists(tables: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Image names of the official train-and-validation list and of the official test list.

    Raises DataError when one of the two files is missing, TableError when an image stands in both.
    """
    found = []
    for names in LISTS:
        path = _first(tables, names)
        if path is None:
            raise DataError(f"no {names[0]} here", where=tables, mend="get it from the release, or give --tables DIR")
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
    table.require("image index", "finding label", *_BOX)
    found: dict[str, tuple[Box, ...]] = {}
    for n, cells in table:
        sides = [parse_number(cells[name]) for name in _BOX]
        if None in sides:
            raise TableError("a box is not four numbers", where=_at(path, n), mend="get the list again")
        x, y, width, height = (side for side in sides if side is not None)
        box = Box(canonical(cells["finding label"], where=_at(path, n)), x, y, width, height)
        found[cells["image index"]] = (*found.get(cells["image index"], ()), box)
    return found


def _entries(folder: Path, tables: Path | None) -> Path | None:
    if tables is not None:
        return find_entries(folder, tables)
    return find_entries(folder, folder) or look(folder).table_with(*_REQUIRED) or find_entries(folder)


def _first(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _table_folders(folder: Path, tables: Path | None) -> tuple[Path, ...]:
    if tables is not None:
        return (tables,)
    absolute = folder.absolute()
    return (folder, *absolute.parents[:2])


def _rows(
    entry: Path, source: str, files: Mapping[str, str], told: Counter[str], *, require_files: bool
) -> tuple[list[ImageRecord], int]:
    """Records without boxes of the rows that have a file (of all, when none is required), and the number of rows."""
    table = read_table(entry).aliased(_ALIASES)
    table.require(*_REQUIRED)
    rows = list(table)
    refuse_duplicates(((cells["image index"], n) for n, cells in rows), entry)
    findings: dict[str, tuple[str, ...]] = {}
    parts, records = _parts(entry.parent), []
    for n, cells in rows:
        image, text = cells["image index"], cells["finding labels"]
        path = files.get(by_stem(image))
        if text not in findings:
            findings[text] = parse_findings(text, where=_at(entry, n))
        if path is not None or not require_files:
            more = {"source": source, "path": path, "published_part": parts.get(image)}
            record = _record(cells, _at(entry, n), findings[text], more)
            told[NO_AGE] += record.age is None and bool(value_or_missing(cells.get("patient age", "")))
            told[NO_SEX] += record.sex is None and bool(value_or_missing(cells.get("sex", "")))
            records.append(record)
    return records, len(rows)


def _record(cells: Mapping[str, str], where: str, findings: tuple[str, ...], more: Mapping[str, Any]) -> ImageRecord:
    visit, width, height = (_whole(cells, name, where) for name in ("follow-up #", "width", "height"))
    x, y = (parse_number(cells.get(f"spacing {axis}", "")) for axis in "xy")
    patient = _whole(cells, "patient id", where)
    return ImageRecord(
        image=cells["image index"],
        label=ABNORMAL if findings else NORMAL,
        patient=patient_of(cells["image index"]) if patient is None else str(patient),
        findings=findings,
        follow_up=visit,
        **aged(parse_age(cells.get("patient age", ""))),
        sex=parse_sex(cells.get("sex", "")),
        view=cells.get("view position", "").upper() or None,
        width=width,
        height=height,
        spacing=None if x is None or y is None else (x, y),
        **more,
    )


def _whole(cells: Mapping[str, str], name: str, where: str) -> int | None:
    """A whole number of a column that may be missing or empty. Raises TableError for anything else."""
    if not (text := cells.get(name, "")):
        return None
    if text.isdecimal():
        return int(text)
    number = parse_number(text)
    if number is None or not number.is_integer():
        raise TableError(f"{name} is no whole number", where=where, mend="get the table again")
    return int(number)


def _at(path: Path, row: int) -> str:
    return f"{path}, row {row}"


def _parts(tables: Path) -> dict[str, Part]:
    """The official list that names each image, where both lists lie beside the table."""
    if any(_first(tables, names) is None for names in LISTS):
        return {}
    train_val, test = official_lists(tables)
    return {**dict.fromkeys(train_val, "train"), **dict.fromkeys(test, "test")}


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
    return count_notes(
        {
            NO_FILE: without_file,
            NO_ROW: without_row,
            "impossible [age is|ages are] kept and marked": odd,
            "boxed [image|images] could not be opened: the boxes stay in the 1024 frame": unreadable,
            **told,
        }
    )


def _open(seen: Seen, options: Options) -> Index:
    return open_nih(seen.root, tables=options.tables, name=options.name or "nih")


def _has_table(seen: Seen) -> bool:
    return seen.table_with(*_REQUIRED) is not None or seen.has_folders(*FOLDERS, least=1)


LAYOUT = Layout(
    name="nih",
    title="NIH ChestX-ray14",
    holds="Data_Entry_2017.csv or Data_Entry_2017_v2020.csv (or Kaggle's sample_labels.csv) and images_001/images/*.png, "
    "whole or part, at any size; or folders named by findings",
    licence="no restriction; link, citation and acknowledgement of the NIH Clinical Center asked",
    url="https://nihcc.app.box.com/v/ChestXray-NIHCC (Kaggle: nih-chest-xrays/data, nih-chest-xrays/sample)",
    labels="text mining of the reports; a list of 984 boxes",
    policy="No Finding is normal, any of the fourteen findings abnormal",
    patients="Patient ID, or the number in the file's name",
    pages=(
        "arXiv:1705.02315",
        "nihcc.app.box.com/v/ChestXray-NIHCC",
        "cloud.google.com/healthcare-api/docs/resources/public-datasets/nih-chest (terms)",
        "torchxrayvision datasets.py (NIH_Dataset)",
    ),
    findings={spelling.lower(): f.name for f in FINDINGS for spelling in (f.name, *f.aliases)}
    | {NO_FINDING.lower(): None},
    marks=(
        Mark("a table with the columns Image Index and Finding Labels, or folders named by findings", _has_table),
        Mark("pictures named as 00000001_000.png", lambda seen: seen.has_names(IMAGE_NAME)),
    ),
    open=_open,
    tables=(_REQUIRED,),
)

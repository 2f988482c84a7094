"""A tree of DICOM files beside a table of labels, keyed by SOP Instance UID or by file.

Of a header the index takes the patient (as a salted hash), sex, age, view, size and spacing. Its texts are never labels nor
features: some files carry their diagnosis in Study Description.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cxreader.counting import count_notes
from cxreader.data.index import Index, patient_notes, refuse_duplicates
from cxreader.data.layouts.boxes import with_boxes
from cxreader.data.layouts.headers import facts, read_headers, refuse_zero_twins
from cxreader.data.layouts.named_files import find_named, portable
from cxreader.data.layouts.table import ALIASES, LATERAL, NO_LABEL, parse_label
from cxreader.errors import DataError, TableError
from cxreader.findings import value_or_missing
from cxreader.imaging.containers import is_dicomdir
from cxreader.imaging.duplicates.copies import copies
from cxreader.imaging.header import DicomHeader
from cxreader.imaging.vocabulary.words import is_lateral
from cxreader.imaging.walk import walk
from cxreader.records import ImageRecord
from cxreader.tables import Table, read_table

TABLE = "labels.csv"
UID, FILE = "sop_instance_uid", "image"
_USED = (UID, FILE, "label", "patient", "findings", "subtype")


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the table, checked; `label` is None where its cell is empty."""

    number: int
    key: str
    label: int | None
    patient: str | None
    findings: tuple[str, ...]
    subtype: str | None


def open_dicom_folder(
    root: Path,
    *,
    labels: Path | None = None,
    name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Index:
    """The index of the DICOM files below `root` that the table `labels` (`labels.csv` in `root`) names.

    `root`: a folder, a zip archive or a DICOMDIR, walked as `imaging.walk` says. Columns: `sop_instance_uid`, or `image` (a
    file, relative to `root`, which may be another image too), and `label` (normal, abnormal, 0 or 1); optional `findings`
    ("|" between them), `patient` (else Patient ID and its issuer, hashed) and `subtype`. Files are known by their
    content; those without a row, rows without a file and rows without a label are counted; of files with the same bytes one
    is taken.
    Boxes around findings come from `boxes.csv` beside the table (`boxes.with_boxes`).
    `progress(done, total)` counts headers read.
    Raises TableError, with the row, for a missing column, a label outside the list, a key twice, an unknown finding or
    findings beside the label normal; DataError when two labelled files have one UID, or no image is left.
    """
    root = Path(os.path.abspath(root))  # noqa: PTH100 (a link stays the name it was given)
    folder = root if root.is_dir() else root.parent
    table = folder / TABLE if labels is None else labels
    column, rows, told = _read(table)
    found = walk(root, known=lambda path: path == str(table))
    headers = read_headers([met.name for met in found.images if met.kind == "DICOM"], progress)
    unreadable = sum(headers.get(met.name, met.kind) is None for met in found.images)
    pictures = {met.name: headers.get(met.name) for met in found.images if headers.get(met.name, met.kind) is not None}
    if column == UID:
        by_uid = _by_uid(headers, {row.key for row in rows})
        chosen = [(row, by_uid[row.key]) for row in rows if row.key in by_uid]
    else:
        place = folder if is_dicomdir(root) else root
        files = find_named(place, [row.key for row in rows], lambda n: f"{table}, row {rows[n].number}")
        chosen, told = _named(rows, files.paths, pictures), (*told, *files.notes)
        refuse_duplicates(((path, row.number) for row, path in chosen), table)
    labelled = [(row, path) for row, path in chosen if row.label is not None]
    copied = _copies(labelled, pictures)
    kept = [(row, path) for row, path in labelled if path not in copied]
    refuse_zero_twins((pictures[path] for row, path in kept if row.patient is None), root)
    records = [_record(row, path, pictures[path], name or "") for row, path in kept]
    frontal = tuple(record for record in records if not is_lateral(record.view or ""))
    frontal, of_boxes = with_boxes(frontal, table.parent, (UID, *ALIASES[FILE]), others=[row.key for row in rows])
    unlabelled = sum(row.label is None for row in rows)
    left = {
        NO_LABEL: unlabelled,
        "[file has|files have] no picture, or no readable header: left out": unreadable,
        "[row names|rows name] a copy of another row's image: each is counted once": len(copied),
        LATERAL: len(records) - len(frontal),
    }
    without_file = len(rows) - unlabelled - len(labelled)
    if not frontal:
        why = "; ".join(count_notes({"[row has|rows have] no file here": without_file, **left}))
        raise DataError(f"no image is left{f' ({why})' * bool(why)}", where=root, mend="check table and files")
    return Index(
        frontal,
        name=name or "",
        kind="dicom",
        root=str(root),
        rows_without_file=without_file,
        files_without_row=len(pictures) - len({path for _, path in chosen}),
        notes=(*patient_notes(frontal), *told, *of_boxes, *count_notes(left), *found.passed_over.notes()),
        tables=None if labels is None or labels == folder / TABLE else str(labels),
    )


def is_dicom_table(table: Path, images: Path | None = None) -> bool:
    """True for a table keyed by SOP Instance UID, or whose first image, or first one named so, is a DICOM file.

    The images lie in the table's folder, or in the folder or archive `images`.
    """
    try:
        read = _opened(table)
        if UID in read or FILE not in read:
            return UID in read
        cells = [cells[FILE] for _, cells in read if cells[FILE]]
        looked = cells[:1] + [cell for cell in cells if cell.lower().endswith((".dcm", ".dicom"))][:1]
        paths = find_named(images or table.parent, looked, lambda _: str(table)).paths
    except TableError:
        return False  # opening it will say what is wrong
    return any(met.kind == "DICOM" for path in paths if path is not None for met in walk(path).images)


def _opened(table: Path) -> Table:
    return read_table(table).aliased({UID: ("sopinstanceuid", "sop instance uid"), **ALIASES})


def _read(table: Path) -> tuple[str, list[_Row], tuple[str, ...]]:
    """The column that names the images, every row, and what must be said of the table."""
    read = _opened(table)
    column = UID if UID in read else FILE
    for needed in (column, "label"):
        if needed not in read:
            what = f"the column {needed!r} is missing"
            raise TableError(what, where=table, mend=f"its first row must name {UID} or {FILE}, and label")
    found = [_row(cells, column, number, read.at(number)) for number, cells in read]
    refuse_duplicates(((row.key, row.number) for row in found), table)
    return column, found, (*read.notes, *read.unused(_USED))


def _row(cells: dict[str, str], column: str, number: int, where: str) -> _Row:
    if not cells[column]:
        raise TableError(f"the {column} is empty", where=where, mend="name the image")
    label, findings = parse_label(cells, where) if value_or_missing(cells["label"]) else (None, ())
    key = cells[column] if column == UID else Path(portable(cells[column])).as_posix()
    patient = value_or_missing(cells.get("patient", ""))
    return _Row(number, key, label, patient or None, findings, cells.get("subtype") or None)


def _named(rows: Sequence[_Row], paths: Sequence[str | None], pictures: Mapping[str, object]) -> list[tuple[_Row, str]]:
    """The rows that name a picture, and the walk's name of it: the row may go by a link."""
    own = {path: path for path in pictures}
    if not own.keys() >= set(paths) - {None}:
        own |= {os.path.realpath(path): path for path in pictures}
    found = (
        (row, own.get(path) or own.get(os.path.realpath(path))) for row, path in zip(rows, paths, strict=True) if path
    )
    return [(row, path) for row, path in found if path is not None]


def _by_uid(headers: Mapping[str, DicomHeader | None], wanted: Collection[str]) -> dict[str, str]:
    """The file of each wanted UID, the first of copies. Raises DataError for two that differ: the table may mean either."""
    files: dict[str, list[str]] = defaultdict(list)
    for path, header in headers.items():
        if header is not None and header.sop_instance_uid in wanted:
            files[str(header.sop_instance_uid)].append(path)
    for paths in files.values():
        _refuse_different(paths)
    return {uid: paths[0] for uid, paths in files.items()}


def _copies(chosen: Sequence[tuple[_Row, str]], pictures: Mapping[str, DicomHeader | None]) -> set[str]:
    """Of files named by rows that have one UID, all but the first. Raises DataError for two that differ, or whose labels do."""
    rows: dict[str, list[tuple[_Row, str]]] = defaultdict(list)
    for row, path in chosen:
        header = pictures[path]
        if header is not None and header.sop_instance_uid is not None:
            rows[header.sop_instance_uid].append((row, path))
    for same in rows.values():
        _refuse_different([path for _, path in same])
        if len({row.label for row, _ in same}) > 1:
            what = f"row {same[1][0].number} names a copy of the image in row {same[0][0].number}, with another label"
            raise DataError(what, where=same[1][1], mend="keep one row an image")
    return {path for same in rows.values() for _, path in same[1:]}


def _refuse_different(paths: Sequence[str]) -> None:
    if len(paths) > 1 and len(same := copies(paths)) < len(paths) - 1:
        raise _twice(paths[0], next(path for path in paths[1:] if path not in same))


def _twice(first: str, second: str) -> DataError:
    what = f"has the same SOP Instance UID as {os.path.basename(first)}"  # noqa: PTH119
    return DataError(what, where=second, mend="one image, one UID: remove a copy, or give it a UID of its own")


def _record(row: _Row, path: str, header: DicomHeader | None, source: str) -> ImageRecord:
    assert row.label is not None  # noqa: S101 - for the type checker
    record = ImageRecord(row.key, row.label, path, source=source, findings=row.findings, subtype=row.subtype)
    record = replace(record, **facts(header))
    return record if row.patient is None else replace(record, patient=row.patient)

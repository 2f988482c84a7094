"""A tree of DICOM files beside a table of labels, keyed by SOP Instance UID or by file.

Of a header the index takes the patient (as a salted hash), sex, age, view, size and spacing. Its texts are never labels nor
features: some files carry their diagnosis in Study Description.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cxreader.data.index import Index, patient_notes, refuse_duplicates, require_images
from cxreader.data.layouts.table import MAX_AGE, column_positions, parse_label, read_rows, rows_by_column
from cxreader.errors import DataError, ImageError, TableError
from cxreader.imaging.files import below, first_bytes
from cxreader.imaging.header import DicomHeader
from cxreader.imaging.limits import HEAD
from cxreader.imaging.read import read_header, sniff
from cxreader.imaging.words import OTHER
from cxreader.records import ImageRecord

TABLE = "labels.csv"
UID, FILE = "sop_instance_uid", "image"
PATIENT_SALT = "cxreader.dicom.v1"
"""The same everywhere: a patient must be known again in another index. It hides nothing from who tries all numbers."""
_READERS = 8
"""Threads: headers often lie on a disk far away."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the table, checked."""

    number: int
    key: str
    label: int
    patient: str | None
    findings: tuple[str, ...]
    subtype: str | None


@dataclass(slots=True)
class _Files:
    """What lies in the tree: headers of pictures by file, in order; files and folders that cannot be used."""

    headers: dict[Path, DicomHeader] = field(default_factory=dict)
    unreadable: int = 0
    closed: int = 0


def open_dicom_folder(
    root: Path,
    *,
    labels: Path | None = None,
    name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Index:
    """The index of the DICOM files below `root` that the table `labels` (`labels.csv` in `root`) names.

    Columns: `sop_instance_uid`, or `image` (a file, relative to `root`), and `label` (normal, abnormal, 0 or 1); optional
    `findings` ("|" between them), `patient` (else Patient ID and its issuer, hashed) and `subtype`. Files are known by their
    content; those without a row, and rows without a file, are counted. `progress(done, total)` counts files looked at.
    Raises TableError, with the row, for a missing column, a label outside the list, a key twice, an unknown finding or
    findings beside the label normal; DataError when two labelled files have one UID, or no image is left.
    """
    table = root / TABLE if labels is None else labels
    column, rows = _read(table)
    found = _survey(root, progress)
    wanted = {row.key for row in rows}
    if column == UID:
        by_key = _by_uid({path: header for path, header in found.headers.items() if header.sop_instance_uid in wanted})
    else:
        by_key = _by_file(found.headers, root)
    chosen = [(row, *by_key[row.key]) for row in rows if row.key in by_key]
    _by_uid({path: header for _, path, header in chosen})  # by file too: one image twice is trained on and judged
    records = tuple(_record(row, path, header, name or "") for row, path, header in chosen)
    unlabelled = len(found.headers) - len(chosen)
    notes = patient_notes(records)
    if found.unreadable:
        notes += (f"{found.unreadable:,} DICOM files have no picture, or no readable header: left out",)
    if found.closed:
        notes += (f"{found.closed:,} folders cannot be opened: left out",)
    index = Index(
        records,
        name=name or "",
        kind="dicom",
        root=str(root),
        rows_without_file=len(rows) - len(chosen),
        files_without_row=unlabelled,
        notes=notes,
        tables=None if labels is None or labels == root / TABLE else str(labels),
    )
    return require_images(index)


def is_dicom_table(table: Path) -> bool:
    """True for a table keyed by SOP Instance UID, or whose first image is a DICOM file."""
    try:
        header, rows = read_rows(table)
    except TableError:
        return False  # opening it will say what is wrong
    columns = [cell.strip().lower() for cell in header]
    if UID in columns or FILE not in columns:
        return UID in columns
    at = columns.index(FILE)
    first = next((row[at].strip() for row in rows if len(row) > at and row[at].strip()), None)
    return first is not None and _is_dicom(table.parent / first)


def _is_dicom(path: Path) -> bool:
    try:
        return sniff(first_bytes(path, HEAD)) == "DICOM"
    except ImageError:
        return False


def _read(table: Path) -> tuple[str, list[_Row]]:
    """The column that names the images, and every row."""
    header, rows = read_rows(table)
    columns = column_positions(header)
    column = UID if UID in columns else FILE
    for needed in (column, "label"):
        if needed not in columns:
            what = f"the column {needed!r} is missing"
            raise TableError(what, where=table, mend=f"its first row must name {UID} or {FILE}, and label")
    found = []
    for number, cells in rows_by_column(table, header, rows):
        found.append(_row(cells, column, number, f"{table}, row {number}"))
    refuse_duplicates(((row.key, row.number) for row in found), table)
    return column, found


def _row(cells: dict[str, str], column: str, number: int, where: str) -> _Row:
    if not cells[column]:
        raise TableError(f"the {column} is empty", where=where, mend="name the image")
    label, findings = parse_label(cells, where)
    key = cells[column] if column == UID else Path(cells[column]).as_posix()
    return _Row(number, key, label, cells.get("patient") or None, findings, cells.get("subtype") or None)


def _survey(root: Path, progress: Callable[[int, int], None] | None) -> _Files:
    """The header of every DICOM picture below `root`, hidden files left out."""
    paths, closed = below(root)
    found = _Files(closed=len(closed))
    with ThreadPoolExecutor(_READERS) as pool:
        for done, (path, header) in enumerate(zip(paths, pool.map(_header, paths), strict=True), 1):
            if isinstance(header, DicomHeader):
                found.headers[path] = header
            elif header == "unreadable":
                found.unreadable += 1
            if progress is not None:
                progress(done, len(paths))
    return found


def _header(path: Path) -> DicomHeader | Literal["other", "unreadable"]:
    if not _is_dicom(path):
        return "other"
    try:
        header = read_header(path, salt=PATIENT_SALT)
    except ImageError:
        return "unreadable"
    return header if header.rows and header.columns else "unreadable"


def _by_uid(headers: dict[Path, DicomHeader]) -> dict[str, tuple[Path, DicomHeader]]:
    """The file of each UID. Raises DataError for two files of one: nobody knows which of them the table means."""
    found: dict[str, tuple[Path, DicomHeader]] = {}
    for path, header in headers.items():
        if header.sop_instance_uid is not None:
            if header.sop_instance_uid in found:
                raise _twice(found[header.sop_instance_uid][0], path)
            found[header.sop_instance_uid] = path, header
    return found


def _by_file(headers: dict[Path, DicomHeader], root: Path) -> dict[str, tuple[Path, DicomHeader]]:
    return {path.relative_to(root).as_posix(): (path, header) for path, header in headers.items()}


def _twice(first: Path, second: Path) -> DataError:
    what = f"has the same SOP Instance UID as {first.name}"
    return DataError(what, where=second, mend="one image, one UID: remove a copy, or give it a UID of its own")


def _record(row: _Row, path: Path, header: DicomHeader, source: str) -> ImageRecord:
    return ImageRecord(
        image=row.key,
        label=row.label,
        path=str(path),
        patient=row.patient or header.patient,
        source=source,
        findings=row.findings,
        age=header.age,
        age_plausible=header.age is None or 0 <= header.age <= MAX_AGE,
        sex=header.sex,
        view=None if header.view == OTHER else header.view,
        width=header.columns,
        height=header.rows,
        spacing=header.spacing,
        subtype=row.subtype,
    )

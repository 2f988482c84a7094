"""Anybody's images as a CSV or Parquet table: `image,label`, and whatever else it tells."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from cxreader.data.index import Index, patient_notes, refuse_duplicates, require_images
from cxreader.errors import TableError
from cxreader.findings import parse_findings, value_or_missing
from cxreader.imaging.header import AGE_UNITS
from cxreader.records import LABELS, NORMAL, ImageRecord

REQUIRED = ("image", "label")
MAX_AGE = 120.0
_AGE = re.compile(r"(-?\d+(?:\.\d+)?)\s*([YMWD]?)", re.IGNORECASE)
_MAY_BE_MISSING = ("patient", "age", "view", "source", "findings")
_SEXES: Mapping[str, Literal["M", "F"]] = {"M": "M", "F": "F", "MALE": "M", "FEMALE": "F"}


def open_table(path: Path, *, name: str | None = None) -> Index:
    """The index of a table.

    Columns: `image` (a file, relative to the table's folder) and `label` (normal, abnormal, 0 or 1); optional `patient,
    age, sex, view, source, findings` ("|" between them) and `subtype`; others are left alone. There
    `nan`, `unknown` and their like (`findings.MISSING`) are as good as empty.
    Raises TableError, with the row (the header is row 1), for a missing column, a label outside the list, an image
    named twice or without its file, an age that is no number, an unknown finding, or findings beside the label normal.
    """
    header, rows = read_rows(path)
    columns = column_positions(header)
    for column in REQUIRED:
        if column not in columns:
            mend = f"rename one of its columns ({', '.join(columns)}) or add it"
            raise TableError(f"the column {column!r} is missing", where=path, mend=mend)
    records: list[tuple[int, ImageRecord]] = []
    for number, cells in rows_by_column(path, header, rows):
        cells |= {column: value_or_missing(cells[column]) for column in _MAY_BE_MISSING if column in cells}
        records.append((number, _record(cells, path, number, name or "")))
    refuse_duplicates(((os.path.normpath(str(r.path)), n) for n, r in records), path)
    _require_files(records, path)
    found = tuple(r for _, r in records)
    return require_images(Index(found, name=name or "", kind="table", root=str(path), notes=patient_notes(found)))


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV (comma, semicolon or tab) or Parquet table, every cell as text. Raises TableError."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return _parquet_rows(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            rows = list(csv.reader(file, delimiter=max(",;\t", key=first.count)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"is no CSV table ({error})", where=path, mend="save it as CSV in UTF-8") from None
    except OSError as error:
        raise TableError(f"cannot be opened ({error.strerror})", where=path, mend="check the path") from None
    if not rows:
        raise TableError("the table is empty", where=path, mend="its first row names the columns")
    return rows[0], rows[1:]


def column_positions(header: Sequence[str]) -> dict[str, int]:
    """Where each column stands, by its name in lower case without the blanks around it."""
    return {column.strip().lower(): position for position, column in enumerate(header)}


def rows_by_column(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]
) -> Iterator[tuple[int, dict[str, str]]]:
    """The number of each row that is not empty (the header is row 1), and its cells by `column_positions`, stripped.

    Raises TableError for a row shorter than the header.
    """
    columns = column_positions(header)
    for number, row in enumerate(rows, 2):
        if not any(row):
            continue
        if len(row) < len(header):
            what = f"{len(row)} cells, the header has {len(header)}"
            raise TableError(what, where=f"{path}, row {number}", mend="complete the row")
        yield number, {column: row[position].strip() for column, position in columns.items()}


def parse_label(cells: Mapping[str, str], where: str) -> tuple[int, tuple[str, ...]]:
    """The label (0 normal, 1 abnormal) and the findings of a row's cells `label` and, where there is one, `findings`.

    Raises TableError for a label outside `records.LABELS`, an unknown finding, and findings beside the label normal.
    """
    label, text = LABELS.get(cells["label"].lower()), cells.get("findings", "")
    if label is None:
        what = f"the label {cells['label']!r} is outside the list"
        raise TableError(what, where=where, mend=f"known: {', '.join(LABELS)}")
    findings = parse_findings(text, where=where) if text else ()
    if findings and label == NORMAL:
        raise TableError("the label is normal but findings stand beside it", where=where, mend="correct one of them")
    return label, findings


def parse_age(text: str, where: str) -> tuple[float | None, bool]:
    """Years of `58`, `058Y`, `009M`, `12D` (DICOM's units), and whether that is a human's age; (None, True) when empty.

    An impossible age such as 411 is kept as it stands and flagged. Raises TableError for what is no age at all.
    """
    if not text:
        return None, True
    match = _AGE.fullmatch(text)
    if match is None:
        raise TableError(f"the age {text!r} is no number", where=where, mend="give years, or leave it empty")
    age = float(match[1]) * AGE_UNITS[match[2].upper()]
    return age, 0 <= age <= MAX_AGE


def parse_sex(text: str) -> Literal["M", "F"] | None:
    """M or F; None for anything else, since tables hold O, U, X and blanks."""
    return _SEXES.get(text.upper())


def _record(cells: dict[str, str], path: Path, number: int, source: str) -> ImageRecord:
    where = f"{path}, row {number}"
    image = cells["image"]
    if not image:
        raise TableError("the image is empty", where=where, mend="name the file")
    label, findings = parse_label(cells, where)
    age, plausible = parse_age(cells.get("age", ""), where)
    return ImageRecord(
        image=image,
        label=label,
        path=str(path.parent / image),
        patient=cells.get("patient") or None,
        source=cells.get("source") or source,
        findings=findings,
        age=age,
        age_plausible=plausible,
        sex=parse_sex(cells.get("sex", "")),
        view=cells.get("view", "").upper() or None,
        subtype=cells.get("subtype") or None,
    )


def _require_files(records: list[tuple[int, ImageRecord]], path: Path) -> None:
    missing = [(number, r) for number, r in records if r.path is not None and not Path(r.path).is_file()]
    if missing:
        number, record = missing[0]
        what = f"no file for image {record.image!r}"
        what += f" (and for {len(missing) - 1:,} more)" if len(missing) > 1 else ""
        raise TableError(what, where=f"{path}, row {number}", mend="image paths are relative to the table's folder")


def _parquet_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"is no Parquet table ({error})", where=path, mend="write it again") from None
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return list(table.column_names), [list(row) for row in zip(*columns, strict=True)]


def _text(value: object) -> str:
    """A cell as a CSV would hold it: 3.0 of a column with gaps is 3, True is 1."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list):
        return "|".join(map(str, value))
    if isinstance(value, bool):
        return str(int(value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

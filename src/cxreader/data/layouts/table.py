"""Anybody's images as a table: `image,label`, and whatever else it tells."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from cxreader.counting import count_notes, format_count
from cxreader.data.index import Index, patient_notes, refuse_duplicates
from cxreader.data.layouts.boxes import BOXES, original_size, with_boxes
from cxreader.data.layouts.framed_boxes import ORIGINAL
from cxreader.data.layouts.named_files import NamedFiles, find_named, unnamed
from cxreader.errors import DataError, TableError
from cxreader.findings import OTHER, read_findings, value_or_missing
from cxreader.imaging.vocabulary.terms import TERMS
from cxreader.imaging.vocabulary.words import is_lateral, view_of
from cxreader.records import LABELS_IN_WORDS, NORMAL, ImageRecord, label_and_findings
from cxreader.tables import NO_AGE, NO_SEX, Table, parse_age, parse_sex, read_table

REQUIRED = ("image", "label")
MAX_AGE = 120.0
ALIASES: Mapping[str, Sequence[str]] = {
    "image": (
        *("file_name", "filename", "file name", "file", "path", "image_path", "image path", "imagepath", "filepath"),
        *(
            "file_path",
            "image_id",
            "imageid",
            "image id",
            "image_name",
            "image name",
            "image_file",
            "image index",
            "img",
        ),
    ),
    "label": ("labels", "class", "target", "ground_truth", "y_true"),
    "patient": ("patient_id", "patientid", "patient id", "subject_id", "subject id", "subject"),
    "age": ("patient_age", "patient age", "patientage"),
    "sex": ("gender", "patient_sex", "patient sex", "patientsex", "patient gender", "patient_gender"),
    "view": ("view_position", "view position", "viewposition", "projection"),
    "follow_up": ("follow-up", "follow-up #", "follow_up_number"),
    "findings": ("finding", "finding_labels", "finding labels"),
}
"""Names that people give to these columns, taken where a table has none of the name itself; the first that is there."""
LATERAL = "lateral [view is|views are] left out"
NO_VISIT = "[image has|images have] a follow-up that is no whole number: not taken"
NO_LABEL = "[image|images] left out: no label"
"""Words of their counts (`counting.format_count`)."""
_USED = (*REQUIRED, "patient", "age", "sex", "view", "follow_up", "source", "findings", "subtype", *ORIGINAL)
_MAY_BE_MISSING = ("patient", "age", "sex", "view", "follow_up", "source", "findings")
_VISIT = re.compile(r"[0-9]{1,6}(\.0+)?")
_RELEASED = re.compile(r"([0-9]{8})_([0-9]{3})")
"""How ChestX-ray14 names its images: the patient, and the number of the visit."""


def open_table(path: Path, *, images: Path | str | None = None, name: str | None = None) -> Index:
    """The index of a table.

    Columns (`ALIASES` names what they are called besides): `image` (a file, relative to the table's folder or to `images`, a
    folder, archive or address in a store; found as `find_named` does) and `label` (`records.label_and_findings`); optional
    `patient, age, sex, view, source, findings` (`findings.read_findings`), `follow_up` (a whole number, 0 for the first visit;
    without such a column, of images named as ChestX-ray14's, the number in the name), `subtype`, and `original_width,
    original_height` (the pictures that the files are copies of, in which boxes were drawn); others are named once in a note.
    There `nan`, `unknown` and their like (`findings.MISSING`) are as good as empty. A finding that is none of the fourteen is
    kept as `findings.OTHER`.
    Counted, told in a note and left out: rows without a label or a file, lateral views (by `words.view_of`), ages and sexes that
    are none. Boxes around findings come from `boxes.csv` beside the table (`boxes.with_boxes`).
    Raises TableError, with the row as a spreadsheet shows it, for a missing column, a label that is none, an image named twice,
    and known findings beside the label normal; where no file is found at all, and DataError where every image was left out.
    """
    table = read_table(path).aliased(ALIASES)
    table.require(*REQUIRED)
    every = list(table)
    for row, cells in every:
        if not cells["image"]:
            raise TableError("the image is empty", where=table.at(row), mend="name the file")
    files = find_named(
        images or path.parent, [cells["image"] for _, cells in every], lambda n: table.at(every[n][0], "image")
    )
    told: Counter[str] = Counter()
    rows = [(row, cells, n) for n, (row, cells) in enumerate(every) if value_or_missing(cells["label"])]
    told[NO_LABEL] = len(every) - len(rows)
    found = [
        (row, _record(cells, table.at(row), files.names[n], files.paths[n], name or "", told)) for row, cells, n in rows
    ]
    refuse_duplicates(((os.path.normpath(r.path or r.image), row) for row, r in found), path)
    _require_files(found, table, told[NO_LABEL])
    kept = tuple(r for _, r in found if r.path is not None and not is_lateral(r.view or ""))
    missing = [r.image for _, r in found if r.path is None]
    if not kept:
        lateral = format_count(len(found) - len(missing), "[is a lateral view|are lateral views]")
        what = f"no image is left: {lateral}, {format_count(len(missing), '[has|have] no file')}"
        raise DataError(what, where=table.where, mend="give frontal views")
    originals = _originals(rows, table, files) if (path.parent / BOXES).is_file() else {}
    kept, of_boxes = with_boxes(kept, path.parent, ALIASES["image"], originals, files.names)
    without_row, left = unnamed(filter(None, files.paths), images or path.parent, path)
    told["[picture|pictures] beside those of the table [has|have] no row in it"] = without_row
    notes = (*_notes(files, missing, told, len(found) - len(missing) - len(kept)), *left.notes(), *patient_notes(kept))
    return Index(
        kept,
        name=name or "",
        kind="table",
        root=str(images or path),
        rows_without_file=len(missing),
        files_without_row=without_row,
        tables=None if images is None else str(path),
        notes=(*table.notes, *notes, *of_boxes, *table.unused(_USED)),
    )


def parse_label(cells: Mapping[str, str], where: str) -> tuple[int, tuple[str, ...]]:
    """The label (0 normal, 1 abnormal) and the findings of a row's cells `label` and, where there is one, `findings`.

    A finding that the label names counts too; `findings.OTHER` stands for texts that name none of the fourteen.
    Raises TableError for a label that `records.label_and_findings` does not know, and for known findings beside normal.
    """
    label, named = label_and_findings(cells["label"])
    if label is None:
        what = f"the label {cells['label']!r} is outside the list"
        raise TableError(what, where=where, mend=f"known: {LABELS_IN_WORDS}")
    known, others = read_findings(cells.get("findings", ""))
    findings = tuple(dict.fromkeys((*named, *known)))
    if findings and label == NORMAL:
        raise TableError("the label is normal but findings stand beside it", where=where, mend="correct one of them")
    return label, (*findings, OTHER) if others else findings


def _record(
    cells: dict[str, str], where: str, image: str, path: str | None, source: str, told: Counter[str]
) -> ImageRecord:
    cells |= {column: value_or_missing(cells[column]) for column in _MAY_BE_MISSING if column in cells}
    label, findings = parse_label(cells, where)
    age = parse_age(cells.get("age", ""))
    sex = parse_sex(cells.get("sex", ""))
    told[NO_AGE] += age is None and bool(cells.get("age"))
    told[NO_SEX] += sex is None and bool(cells.get("sex"))
    view, follow_up = view_of(cells.get("view", "")), _follow_up(cells, image)
    told[NO_VISIT] += follow_up is None and bool(cells.get("follow_up"))
    told["[image has|images have] a view that is no known one: kept as written"] += view not in (None, *TERMS["view"])
    told[f"[image has|images have] findings that are none of the fourteen: kept as {OTHER}"] += OTHER in findings
    return ImageRecord(
        image=image,
        label=label,
        path=path,
        patient=cells.get("patient") or None,
        source=cells.get("source") or source,
        findings=findings,
        age=age,
        age_plausible=age is None or 0 <= age <= MAX_AGE,
        sex=sex,
        view=view,
        follow_up=follow_up,
        subtype=cells.get("subtype") or None,
    )


def _follow_up(cells: Mapping[str, str], image: str) -> int | None:
    """The visit's number by the column; without one by the image's name, where that is the release's and names this patient."""
    if "follow_up" in cells:
        return int(float(cells["follow_up"])) if _VISIT.fullmatch(cells["follow_up"]) else None
    named = _RELEASED.fullmatch(Path(image).stem)
    patient = cells.get("patient", "")
    return int(named[2]) if named and patient.isdecimal() and int(patient) == int(named[1]) else None


def _originals(
    rows: Sequence[tuple[int, dict[str, str], int]], table: Table, files: NamedFiles
) -> dict[str, tuple[float, float] | None]:
    return {files.names[n]: original_size(cells, table.at(row)) for row, cells, n in rows}


def _require_files(found: Sequence[tuple[int, ImageRecord]], table: Table, unlabelled: int) -> None:
    """Raise TableError when no row at all has its file."""
    if found and not any(r.path for _, r in found):
        row, record = found[0]
        what = f"no file for image {record.image!r}"
        what += f" (and for {len(found) - 1:,} more: for none of the rows)" if len(found) > 1 else ""
        raise TableError(what, where=table.at(row), mend="image paths are relative to the table's folder")
    if not found and unlabelled:
        what = f"no image is left: {format_count(unlabelled, '[has|have] no label')}"
        raise TableError(what, where=table.path, mend="give the images labels")
    if not found:
        raise DataError("the table has no row", where=table.where, mend="give one row an image")


def _notes(files: NamedFiles, missing: Sequence[str], told: Mapping[str, int], lateral: int) -> tuple[str, ...]:
    first = f": {missing[0]!r}{' first' if len(missing) > 1 else ''}" if missing else ""
    without_file = (f"{format_count(len(missing), '[row has|rows have] no file here')}{first}",) if missing else ()
    return (*files.notes, *without_file, *count_notes({LATERAL: lateral, **told}))

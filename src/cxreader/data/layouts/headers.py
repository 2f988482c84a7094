"""What an index takes of DICOM headers: patient (as a salted hash), sex, age, view, size and spacing; never a text.

Texts are never labels nor features: some files carry their diagnosis in Study Description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cxreader.counting import format_count
from cxreader.data.layouts.table import MAX_AGE
from cxreader.errors import DataError, ImageError
from cxreader.identity import MEND
from cxreader.imaging.header import DicomHeader
from cxreader.imaging.read import read_header
from cxreader.imaging.vocabulary.words import OTHER

PATIENT_SALT = "cxreader.dicom.v1"
"""The same everywhere: a patient must be known again in another index. It hides nothing from who tries all numbers."""
_READERS = 8
"""Threads: headers often lie on a disk far away."""


def read_headers(
    names: Sequence[str], progress: Callable[[int, int], None] | None = None
) -> dict[str, DicomHeader | None]:
    """The header of each DICOM file or member of an archive; None for one without a readable header, or without a picture.

    `progress(done, total)` counts files.
    """
    found: dict[str, DicomHeader | None] = {}
    with ThreadPoolExecutor(_READERS, "headers") as pool:
        for done, (name, header) in enumerate(zip(names, pool.map(_header, names), strict=True), 1):
            found[name] = header
            if progress is not None:
                progress(done, len(names))
    return found


def facts(header: DicomHeader | None) -> dict[str, Any]:
    """The fields of an `ImageRecord` that a header tells; none without one.

    A view that no place tells is LATERAL where Patient Orientation is that of a lateral view.
    """
    if header is None:
        return {}
    view = None if header.view == OTHER else header.view
    return {
        "patient": header.patient,
        "age": header.age,
        "age_plausible": header.age is None or 0 <= header.age <= MAX_AGE,
        "sex": header.sex,
        "view": "LATERAL" if view is None and header.lateral else view,
        "width": header.columns,
        "height": header.rows,
        "spacing": header.spacing,
    }


def refuse_zero_twins(headers: Iterable[DicomHeader | None], root: Path | str) -> None:
    """Raise DataError for patients whose Patient IDs differ by leading zeros alone."""
    written: dict[str | None, set[str | None]] = {}
    for header in headers:
        if header is not None:
            written.setdefault(header.patient_without_zeros, set()).add(header.patient)
    twins = sum(len(names) - 1 for names in written.values())
    if twins:
        what = format_count(twins, "Patient [ID differs|IDs differ] from another by leading zeros alone")
        raise DataError(what, where=root, mend=f"{MEND}, or give the column patient in the table")


def _header(name: str) -> DicomHeader | None:
    try:
        header = read_header(name, salt=PATIENT_SALT)
    except ImageError:
        return None
    return header if header.rows and header.columns else None

"""Headers of a public set's DICOM pictures: sex, age, view, size; nothing else of them is read."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cxreader.errors import ImageError
from cxreader.imaging.header import OTHER, DicomHeader
from cxreader.imaging.read import read_header, size

PATIENT_SALT = "cxreader.dicom.v1"
"""The same everywhere: a patient must be known again in another index. It hides nothing from who tries all numbers."""
LATERALS = frozenset(("LL", "RL", "LAT", "LATERAL", "XTABLE LATERAL", "RLD", "LLD", "LLO", "RLO", "L"))
"""Words of a view that is no frontal one."""
MAX_AGE = 120.0
_READERS = 8
"""Threads: headers often lie on a disk far away."""


def read_headers(paths: Sequence[str]) -> list[DicomHeader]:
    """The header of each file; an empty one for a picture that is no DICOM, or whose header cannot be read."""
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(_header, paths))


def view_of(header: DicomHeader) -> str | None:
    """The view as the header names it, None where it is silent or its word is not known."""
    return None if header.view == OTHER else header.view


def is_lateral(view: str | None) -> bool:
    """True for a view that is known, and not frontal."""
    return view is not None and view.upper() in LATERALS


def picture_size(path: str) -> tuple[int, int] | None:
    """Width and height in pixels, by the header of the picture; None where it cannot be read."""
    try:
        return size(path)
    except ImageError:
        return None


def _header(path: str) -> DicomHeader:
    try:
        return read_header(path, salt=PATIENT_SALT)
    except ImageError:
        return DicomHeader()

"""What may leave a DICOM header: a closed list of fields, each cut to known terms, numbers and UIDs.

No name, birth date, accession number or free text is on it. A patient is a salted hash, and only when somebody asks.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from cxreader.imaging.dicom import terms
from cxreader.imaging.dicom.elements import Elements
from cxreader.imaging.dicom.parse import Parsed

OTHER = "OTHER"
"""Stands for a value that is no known term: whatever it was, it stays in the file."""

_UID = re.compile(r"[0-9.]{1,64}")
_AGE = re.compile(r"(\d{1,3})([YMWD]?)")
_YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_PROCESSING_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.1.{n}.1" for n in (1, 2, 3))
"""Digital X-ray, mammography and intra-oral images for processing (PS3.4 B.5)."""


@dataclass(frozen=True, slots=True)
class DicomHeader:
    r"""What a DICOM header tells of a picture, and nothing else of it; None where it is silent.

    Codes are terms of `dicom_terms`, upper case; what is no known term is OTHER. `rows` and `columns` as stored, `spacing` of
    the stored pixels in mm (x, y). `age` in years as written. `patient_orientation`: the directions of rows and columns, such
    as `L\F`. `patient`: 16 hex digits, when a salt was given and the file names one.
    """

    modality: str | None = None
    body_part: str | None = None
    view_position: str | None = None
    patient_position: str | None = None
    patient_orientation: str | None = None
    laterality: str | None = None
    sop_class: str | None = None
    sop_instance_uid: str | None = None
    presentation_intent: str | None = None
    photometric: str | None = None
    transfer_syntax: str | None = None
    sex: Literal["M", "F"] | None = None
    age: float | None = None
    rows: int = 0
    columns: int = 0
    spacing: tuple[float, float] | None = None
    patient: str | None = None

    @property
    def view(self) -> str | None:
        """View Position; where it is silent, a view in Patient Position. None when that tells how the patient lay, or nothing.

        OTHER when it tells neither.
        """
        if self.view_position is not None:
            return self.view_position
        if self.patient_position is None or self.patient_position in terms.POSTURES:
            return None
        return self.patient_position if self.patient_position in terms.VIEWS else OTHER

    @property
    def lateral(self) -> bool:
        """True when the rows run from back to front or front to back: Patient Orientation is that of a lateral view."""
        return self.patient_orientation is not None and self.patient_orientation.startswith(("A", "P"))

    @property
    def for_processing(self) -> bool:
        """True for raw detector values, by the presentation intent or by the SOP class."""
        return self.presentation_intent == "FOR PROCESSING" or self.sop_class in _PROCESSING_CLASSES

    @property
    def aspect(self) -> float | None:
        """Height of a stored pixel by its width, by the spacing; None when that is not told."""
        return None if self.spacing is None else self.spacing[1] / self.spacing[0]


def header_of(parsed: Parsed, *, salt: str | None = None) -> DicomHeader:
    """The header of a parsed file; with `salt` its patient as a hash."""
    e = parsed.elements
    sex = (e.text("PatientSex") or "").upper()
    return DicomHeader(
        modality=_term(e.text("Modality"), terms.MODALITIES),
        body_part=_term(e.text("BodyPartExamined"), terms.BODY_PARTS),
        view_position=_term(e.text("ViewPosition"), terms.VIEWS),
        patient_position=_term(e.text("PatientPosition"), terms.POSITIONS),
        patient_orientation=_orientation(e),
        laterality=_term(e.text("ImageLaterality"), terms.LATERALITIES)
        or _term(e.text("Laterality"), terms.LATERALITIES),
        sop_class=_uid(e.text("SOPClassUID")),
        sop_instance_uid=_uid(e.text("SOPInstanceUID")),
        presentation_intent=_term(e.text("PresentationIntentType"), terms.INTENTS),
        photometric=_term(e.text("PhotometricInterpretation"), terms.PHOTOMETRIC),
        transfer_syntax=_uid(parsed.transfer_syntax),
        sex="M" if sex == "M" else "F" if sex == "F" else None,
        age=_age(e.text("PatientAge")),
        rows=e.integer("Rows", 0),
        columns=e.integer("Columns", 0),
        spacing=_spacing(e),
        patient=None if salt is None else _patient(e, salt),
    )


def patient_hash(salt: str, issuer: str, patient: str) -> str:
    """16 hex digits (BLAKE2b) that stand for a patient of an issuer of identifiers."""
    return hashlib.blake2b("\x1f".join((salt, issuer, patient)).encode(), digest_size=8).hexdigest()


def _patient(e: Elements, salt: str) -> str | None:
    patient = e.text("PatientID")
    return None if patient is None else patient_hash(salt, e.text("IssuerOfPatientID") or "", patient)


def _term(value: str | None, known: frozenset[str]) -> str | None:
    if value is None:
        return None
    return value.upper() if value.upper() in known else OTHER


def _orientation(e: Elements) -> str | None:
    told = [value.upper() for value in e.texts("PatientOrientation")]
    if not any(told):
        return None
    return "\\".join(told) if len(told) == 2 and terms.DIRECTIONS.issuperset(told) else OTHER


def _uid(value: str | None) -> str | None:
    return value if value and _UID.fullmatch(value) else None


def _age(text: str | None) -> float | None:
    match = None if text is None else _AGE.fullmatch(text.upper())
    return None if match is None else int(match[1]) * _YEARS[match[2]]


def _spacing(e: Elements) -> tuple[float, float] | None:
    """Mm a pixel, x and y; the header gives rows, so y, first."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        found = e.numbers(keyword)
        if len(found) == 2 and all(0 < v < 1000 for v in found):
            return found[1], found[0]
    return None

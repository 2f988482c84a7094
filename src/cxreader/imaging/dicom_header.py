"""What may leave a DICOM header: a closed list of fields, each cut to codes, numbers and UIDs.

No name, birth date, accession number or free text is on it. A patient is a salted hash, and only when somebody asks.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from cxreader.imaging.dicom_elements import Elements
from cxreader.imaging.dicom_parse import Parsed

OTHER = "OTHER"
"""Stands for a value that is no code: whatever it was, it stays in the file."""

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
_UID = re.compile(r"[0-9.]{1,64}")
_AGE = re.compile(r"(\d{1,3})([YMWD]?)")
_YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber")
_LYING = frozenset(first + lay for first in ("HF", "FF", "LF", "RF", "AF", "PF") for lay in ("P", "S", "DR", "DL"))
"""Patient Position's own terms (PS3.3 C.7.3.1.1.2), such as HFS; files that say PA or AP there mean the view."""
_PLAIN = frozenset(
    (
        "CHEST",
        "THORAX",
        "LUNG",
        "RIB",
        "RIBS",
        "RIBCAGE",
        "HEART",
        "ABDOMEN",
        "PELVIS",
        "SPINE",
        "CSPINE",
        "TSPINE",
        "LSPINE",
        "SKULL",
        "HEAD",
        "NECK",
        "SHOULDER",
        "CLAVICLE",
        "ARM",
        "ELBOW",
        "WRIST",
        "HAND",
        "FINGER",
        "HIP",
        "LEG",
        "KNEE",
        "ANKLE",
        "FOOT",
        "TOE",
        "JAW",
        "BREAST",
        "WHOLEBODY",
        "EXTREMITY",
        "STERNUM",
        "SCAPULA",
    )
)
"""Body parts that stay what they are even where a patient is called so."""


@dataclass(frozen=True, slots=True)
class DicomHeader:
    r"""What a DICOM header tells of a picture, and nothing else of it; None where it is silent.

    Codes are upper case, of letters, digits, spaces and underscores, at most 16; what is no code is OTHER. `rows` and
    `columns` as stored, `spacing` of the stored pixels in mm (x, y). `age` in years as written. `patient_orientation`: the
    directions of rows and columns, such as `L\F`. `patient`: 16 hex digits, when a salt was given and the file names one.
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
        """View Position; where it is silent, what stands in Patient Position, unless that is how the patient lay; else None."""
        if self.view_position is not None:
            return self.view_position
        return None if self.patient_position in _LYING else self.patient_position

    @property
    def aspect(self) -> float | None:
        """Height of a stored pixel by its width, by the spacing; None when that is not told."""
        return None if self.spacing is None else self.spacing[1] / self.spacing[0]


def header_of(parsed: Parsed, *, salt: str | None = None) -> DicomHeader:
    """The header of a parsed file; with `salt` its patient as a hash."""
    e = parsed.elements
    secret = _tokens(e)
    sex = (e.text("PatientSex") or "").upper()
    return DicomHeader(
        modality=_code(e, "Modality", secret),
        body_part=_code(e, "BodyPartExamined", secret),
        view_position=_code(e, "ViewPosition", secret),
        patient_position=_code(e, "PatientPosition", secret),
        patient_orientation=_orientation(e, secret),
        laterality=_code(e, "ImageLaterality", secret) or _code(e, "Laterality", secret),
        sop_class=_uid(e.text("SOPClassUID")),
        sop_instance_uid=_uid(e.text("SOPInstanceUID")),
        presentation_intent=_code(e, "PresentationIntentType", secret),
        photometric=_code(e, "PhotometricInterpretation", secret),
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


def _tokens(e: Elements) -> frozenset[str]:
    """Words of three letters and more by which the file names its patient: a code that holds one of them is none."""
    text = " ".join(value for keyword in _PATIENT for value in e.texts(keyword)).upper()
    return frozenset(word for word in re.split(r"[^A-Z0-9]+", text) if len(word) > 2)


def _code(e: Elements, keyword: str, secret: frozenset[str]) -> str | None:
    value = e.text(keyword)
    return None if value is None else _clean(value, secret)


def _clean(value: str, secret: frozenset[str]) -> str:
    text = value.upper()
    if not _CODE.fullmatch(text):
        return OTHER
    return OTHER if text not in _PLAIN and any(word in text for word in secret) else text


def _orientation(e: Elements, secret: frozenset[str]) -> str | None:
    parts = [_clean(value, secret) for value in e.texts("PatientOrientation")[:2] if value]
    return "\\".join(parts) or None


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

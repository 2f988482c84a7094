"""The elements of a DICOM file become a DicomHeader: known terms, numbers and UIDs, and nothing else of them."""

from __future__ import annotations

import re

from cxreader.identity import patient_name, without_zeros
from cxreader.imaging import terms
from cxreader.imaging.dicom.elements import Elements
from cxreader.imaging.dicom.parse import Parsed
from cxreader.imaging.header import OTHER, DicomHeader, patient_hash
from cxreader.tables import AGE_UNITS

_UID = re.compile(r"[0-9.]{1,64}")
_AGE = re.compile(r"(\d{1,3})([YMWD]?)")


def header_of(parsed: Parsed, *, salt: str | None = None) -> DicomHeader:
    """What may leave the header of a parsed file; its patient as a hash, and only with `salt`."""
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
        **({} if salt is None else _patients(e, salt)),
    )


def _patients(e: Elements, salt: str) -> dict[str, str]:
    """The patient's hash, and that of the number without leading zeros."""
    patient = patient_name(e.text("PatientID") or "")
    issuer = e.text("IssuerOfPatientID") or ""
    names = {"patient": patient, "patient_without_zeros": without_zeros(patient)}
    return {field: patient_hash(salt, issuer, name) for field, name in names.items()} if patient else {}


def _term(value: str | None, known: frozenset[str]) -> str | None:
    if value is None:
        return None
    return value.upper() if value.upper() in known else OTHER


def _orientation(e: Elements) -> str | None:
    directions = [value.upper() for value in e.texts("PatientOrientation")]
    if not any(directions):
        return None
    return "\\".join(directions) if len(directions) == 2 and terms.DIRECTIONS.issuperset(directions) else OTHER


def _uid(value: str | None) -> str | None:
    return value if value and _UID.fullmatch(value) else None


def _age(text: str | None) -> float | None:
    match = None if text is None else _AGE.fullmatch(text.upper())
    return None if match is None else int(match[1]) * AGE_UNITS[match[2]]


def _spacing(e: Elements) -> tuple[float, float] | None:
    """Mm a pixel, x and y (PS3.3 10.7.1.3: the header gives the spacing of rows, so y, first)."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        found = e.numbers(keyword)
        if len(found) == 2 and all(0 < v < 1000 for v in found):
            return found[1], found[0]
    return None

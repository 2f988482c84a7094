"""The elements of a DICOM file become a DicomHeader: known terms, numbers and UIDs, and nothing else of them."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date

from cxreader.identity import patient_name, without_zeros
from cxreader.imaging.dicom.elements import Elements
from cxreader.imaging.dicom.parse import Parsed
from cxreader.imaging.header import DicomHeader, patient_hash
from cxreader.imaging.vocabulary import terms
from cxreader.imaging.vocabulary.site_terms import SiteTerms
from cxreader.imaging.vocabulary.terms import Fact
from cxreader.imaging.vocabulary.words import OTHER, coded_term, term_of
from cxreader.tables import parse_age

_UID = re.compile(r"[0-9.]{1,64}")
_CROSSED_OUT = re.compile(r"\s*[Xx]{2,}\s*")
_DATE = re.compile(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)", re.ASCII)
_DAYS = ("AcquisitionDate", "StudyDate", "SeriesDate", "ContentDate")
"""Where the day of the picture is told, the first first."""
_OLDEST = 110
"""Years from which on a birth date stands for one that is not known, as 1 January 1900 does."""
_CONCEPT = {"CodeValue": 0x00080100, "CodeMeaning": 0x00080104, "LongCodeValue": 0x00080119}
_HOMO_SAPIENS = ("337915000", "L-85B00")
"""By SNOMED CT, and by SNOMED RT before."""
_HUMAN = re.compile(r"uman|homo\b|sapiens|mensch|person|menneske|människa|człowiek|человек|人", re.IGNORECASE)
_NO_SITE = SiteTerms()


def header_of(parsed: Parsed, *, salt: str | None = None, site: SiteTerms | None = None) -> DicomHeader:
    """What may leave the header of a parsed file; its patient as a hash, and only with `salt`. `site`: its own words."""
    e, own = parsed.elements, site or _NO_SITE
    part, position = _told(e, "BodyPartExamined"), _told(e, "PatientPosition")
    in_part = term_of("view", part, own.view)
    sex = (e.text("PatientSex") or "").upper()
    posture = position.upper() if position and position.upper() in terms.POSTURES else None
    told: dict[str, tuple[str | None, str | None]] = {
        "modality": ((text := e.text("Modality")), term_of("modality", text, own.modality)),
        "body_part": (part, term_of("body_part", part, own.body_part)),
        "view_position": ((text := _told(e, "ViewPosition")), term_of("view", text, own.view)),
        "patient_position": (position, posture or term_of("view", position, own.view)),
    }
    return DicomHeader(
        **{field: term for field, (_, term) in told.items()},
        crossed_out=any(term == OTHER and _CROSSED_OUT.fullmatch(text or "") for text, term in told.values()),
        patient_orientation=_orientation(e),
        laterality=_term(e.text("ImageLaterality"), terms.LATERALITIES)
        or _term(e.text("Laterality"), terms.LATERALITIES),
        sop_class=_uid(e.text("SOPClassUID")),
        sop_instance_uid=_uid(e.text("SOPInstanceUID")),
        presentation_intent=_term(e.text("PresentationIntentType"), terms.INTENTS),
        photometric=_term(e.text("PhotometricInterpretation"), terms.PHOTOMETRIC),
        transfer_syntax=_uid(parsed.transfer_syntax),
        sex="M" if sex == "M" else "F" if sex == "F" else None,
        age=_age(e),
        rows=e.integer("Rows", 0),
        columns=e.integer("Columns", 0),
        spacing=_spacing(e),
        view_code=_coded(e, "ViewCodeSequence", "view", own),
        region=_coded(e, "AnatomicRegionSequence", "body_part", own),
        view_in_body_part=None if in_part == OTHER else in_part,
        animal=_is_animal(e),
        **({} if salt is None else _patients(e, salt)),
    )


def _told(e: Elements, keyword: str) -> str | None:
    """All values of a code as one text; None without any."""
    return " ".join(text for text in e.texts(keyword) if text) or None


def _coded(e: Elements, keyword: str, fact: Fact, own: SiteTerms) -> str | None:
    """The term of the first item of a sequence of coded concepts; None where there is none, or it is damaged."""
    concept = _concept(e, keyword)
    return None if concept is None else coded_term(fact, *concept, own.of(fact))


def _concept(e: Elements, keyword: str) -> tuple[str | None, str | None] | None:
    """Code and meaning of the first item of a sequence of coded concepts (PS3.3 8.1); None where none can be read."""
    try:
        items = e.items(keyword, _CONCEPT)
    except Exception:  # noqa: BLE001 - what pydicom raises for a damaged sequence is open-ended; the picture does not need it
        return None
    if not items:
        return None
    return items[0].text("CodeValue") or items[0].text("LongCodeValue"), items[0].text("CodeMeaning")


def _is_animal(e: Elements) -> bool:
    """Whether a species is told (PS3.3 C.7.1.1) that is not man's, by CID 7454's codes of Homo sapiens or in words."""
    code, meaning = _concept(e, "PatientSpeciesCodeSequence") or (None, None)
    told = [text for text in (e.text("PatientSpeciesDescription"), meaning) if text]
    return code not in _HOMO_SAPIENS and bool(told) and not any(_HUMAN.search(text) for text in told)


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


def _age(e: Elements) -> float | None:
    """Patient's Age, else the age at the day of the picture by Patient's Birth Date; years."""
    written = parse_age(e.text("PatientAge") or "")
    if written is not None:
        return written if written >= 0 else None
    born, day = _date(e, "PatientBirthDate"), next((found for name in _DAYS if (found := _date(e, name))), None)
    if born is None or day is None:
        return None
    months = 12 * (day.year - born.year) + day.month - born.month - (day.day < born.day)
    if born >= day or months >= 12 * _OLDEST:  # one day for both is what de-identification leaves
        return None
    return months / 12 if months < 24 else float(months // 12)


def _date(e: Elements, keyword: str) -> date | None:
    """A date (VR DA), in its older form and ISO's too; None for one that is none."""
    match = _DATE.fullmatch(e.text(keyword) or "")
    with suppress(ValueError):
        return None if match is None else date(*map(int, match.groups()))
    return None


def _spacing(e: Elements) -> tuple[float, float] | None:
    """Mm a pixel, x and y (PS3.3 10.7.1.3: the header gives the spacing of rows, so y, first)."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        found = e.numbers(keyword)
        if len(found) == 2 and all(0 < v < 1000 for v in found):
            return found[1], found[0]
    return None

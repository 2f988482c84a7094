"""DICOM JSON (PS3.18 F) of what the database knows, and the answer that carries it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.responses import JSONResponse

from cxreader.serving.store.tables.images import Study
from cxreader.serving.web.dicomweb.holdings import Held

MEDIA = "application/dicom+json"
Element = dict[str, Any]
Json = dict[str, Element]
_TAGS: Mapping[str, tuple[str, str]] = {
    "SpecificCharacterSet": ("00080005", "CS"),
    "SOPClassUID": ("00080016", "UI"),
    "SOPInstanceUID": ("00080018", "UI"),
    "StudyDate": ("00080020", "DA"),
    "StudyTime": ("00080030", "TM"),
    "AccessionNumber": ("00080050", "SH"),
    "InstanceAvailability": ("00080056", "CS"),
    "Modality": ("00080060", "CS"),
    "ModalitiesInStudy": ("00080061", "CS"),
    "ReferringPhysicianName": ("00080090", "PN"),
    "StudyDescription": ("00081030", "LO"),
    "SeriesDescription": ("0008103E", "LO"),
    "ReferencedSOPClassUID": ("00081150", "UI"),
    "ReferencedSOPInstanceUID": ("00081155", "UI"),
    "RetrieveURL": ("00081190", "UR"),
    "FailureReason": ("00081197", "US"),
    "FailedSOPSequence": ("00081198", "SQ"),
    "ReferencedSOPSequence": ("00081199", "SQ"),
    "PatientName": ("00100010", "PN"),
    "PatientID": ("00100020", "LO"),
    "IssuerOfPatientID": ("00100021", "LO"),
    "PatientBirthDate": ("00100030", "DA"),
    "PatientSex": ("00100040", "CS"),
    "StudyInstanceUID": ("0020000D", "UI"),
    "SeriesInstanceUID": ("0020000E", "UI"),
    "StudyID": ("00200010", "SH"),
    "SeriesNumber": ("00200011", "IS"),
    "InstanceNumber": ("00200013", "IS"),
    "NumberOfStudyRelatedSeries": ("00201206", "IS"),
    "NumberOfStudyRelatedInstances": ("00201208", "IS"),
    "NumberOfSeriesRelatedInstances": ("00201209", "IS"),
    "Rows": ("00280010", "US"),
    "Columns": ("00280011", "US"),
}
KEYWORDS: Mapping[str, str] = {tag: keyword for keyword, (tag, _) in _TAGS.items()}
"""Keyword by tag."""


def elements(values: Mapping[str, Any]) -> Json:
    """Elements by keyword as DICOM JSON, in the order of their tags; empty values stand without one (PS3.18 F.2.5)."""
    made = {_TAGS[name][0]: _element(_TAGS[name][1], value) for name, value in values.items()}
    return dict(sorted(made.items()))


def answer(content: Any, status: int = 200) -> JSONResponse:
    """DICOM JSON as a response."""
    return JSONResponse(content, status, media_type=MEDIA)


def in_utf8(made: Json) -> Json:
    """A data set as pydicom tells it, whose character sets say what they are in JSON, in its items too (PS3.18 F.2.2)."""
    for tag, element in made.items():
        if tag == _TAGS["SpecificCharacterSet"][0]:
            element["Value"] = ["ISO_IR 192"]
        elif element.get("vr") == "SQ":
            for item in element.get("Value", []):
                in_utf8(item)
    return made


def of_study(study: Study, holds: Sequence[Held], base: str) -> Json:
    """A study of a search (PS3.18 table 10.6.3-3)."""
    return elements(
        {
            "SpecificCharacterSet": "ISO_IR 192",
            "StudyDate": study.study_date,
            "StudyTime": study.study_time,
            "AccessionNumber": study.accession_number,
            "InstanceAvailability": "ONLINE",
            "ModalitiesInStudy": sorted({one.modality for one in holds if one.modality}),
            "ReferringPhysicianName": study.referring_physician,
            "StudyDescription": study.description,
            "RetrieveURL": f"{base}/studies/{study.study_uid}",
            "PatientName": study.patient_name,
            "PatientID": study.patient_id,
            "IssuerOfPatientID": study.issuer,
            "PatientBirthDate": study.birth_date,
            "PatientSex": study.sex,
            "StudyInstanceUID": study.study_uid,
            "StudyID": study.study_id,
            "NumberOfStudyRelatedSeries": len({one.series_uid for one in holds}),
            "NumberOfStudyRelatedInstances": len(holds),
        }
    )


def of_series(holds: Sequence[Held], base: str) -> Json:
    """A series of a search, of what it holds (PS3.18 table 10.6.3-4)."""
    one = holds[0]
    return elements(
        {
            "SpecificCharacterSet": "ISO_IR 192",
            "Modality": one.modality,
            "SeriesDescription": one.series_description,
            "RetrieveURL": f"{base}/studies/{one.study.study_uid}/series/{one.series_uid}",
            "StudyInstanceUID": one.study.study_uid,
            "SeriesInstanceUID": one.series_uid,
            "SeriesNumber": one.series_number,
            "NumberOfSeriesRelatedInstances": len(holds),
        }
    )


def of_instance(one: Held, base: str) -> Json:
    """An instance of a search (PS3.18 table 10.6.3-5)."""
    return elements(
        {
            "SOPClassUID": one.sop_class,
            "SOPInstanceUID": one.sop_instance_uid,
            "InstanceAvailability": "ONLINE",
            "Modality": one.modality,
            "RetrieveURL": url_of(one, base),
            "StudyInstanceUID": one.study.study_uid,
            "SeriesInstanceUID": one.series_uid,
            "InstanceNumber": one.instance_number,
        }
        | ({"Rows": one.rows, "Columns": one.columns} if one.rows else {})
    )


def url_of(one: Held, base: str) -> str:
    """Where an instance is given."""
    return f"{base}/studies/{one.study.study_uid}/series/{one.series_uid}/instances/{one.sop_instance_uid}"


def _element(vr: str, value: Any) -> Element:
    values = value if isinstance(value, list) else [] if value in ("", None) else [value]
    if vr == "IS":
        values = [int(one) for one in values if _is_integer(str(one))]
    elif vr == "PN":
        groups = ("Alphabetic", "Ideographic", "Phonetic")
        values = [{n: part for n, part in zip(groups, str(one).split("="), strict=False) if part} for one in values]
    return {"vr": vr} | ({"Value": values} if values else {})


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-").removeprefix("+")
    return digits.isascii() and digits.isdigit() and len(digits) < 12

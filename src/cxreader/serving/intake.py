"""What a file is before it is kept: its digest, its kind, and what its header tells of patient and study."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import MutableSequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cxreader.errors import ImageError
from cxreader.imaging.dicom.objects import media_class, other_object
from cxreader.imaging.dicom.parse import DIRECTORY_CLASS, parse_elements
from cxreader.imaging.limits import HEAD, MAX_BYTES
from cxreader.imaging.read import sniff

if TYPE_CHECKING:
    from pydicom import Dataset

_OF_STUDY = {
    "study_uid": "StudyInstanceUID",
    "patient_id": "PatientID",
    "issuer": "IssuerOfPatientID",
    "patient_name": "PatientName",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "age": "PatientAge",
    "accession_number": "AccessionNumber",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "study_id": "StudyID",
    "description": "StudyDescription",
    "referring_physician": "ReferringPhysicianName",
}
_OF_INSTANCE = {
    "sop_instance_uid": "SOPInstanceUID",
    "sop_class": "SOPClassUID",
    "series_uid": "SeriesInstanceUID",
    "series_number": "SeriesNumber",
    "series_description": "SeriesDescription",
    "instance_number": "InstanceNumber",
    "modality": "Modality",
    "view": "ViewPosition",
    "body_part": "BodyPartExamined",
    "patient_orientation": "PatientOrientation",
}
_OTHERS = (
    "SpecificCharacterSet",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
    "Rows",
    "Columns",
)
_UIDS = frozenset({"study_uid", "sop_instance_uid", "series_uid", "sop_class"})
_LONGEST_UID = 64


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that came: its `data`, their `sha256` (hex), and the columns of `Study` and `Instance` that its header gives.

    A picture without a DICOM header, or whose header lacks a UID, has UIDs derived from its digest: the same file has the same.
    """

    data: bytes
    sha256: str
    kind: str
    study: dict[str, Any]
    instance: dict[str, Any]


def arrived(data: bytes) -> Arrived:
    """What came in these bytes. Nothing is decoded: a picture that cannot be read is kept, and its reading says why.

    Raises ImageError, without a word of what the file holds, for what is no DICOM image, PNG or JPEG, for a damaged DICOM
    header, and for more than MAX_BYTES.
    """
    if len(data) > MAX_BYTES:
        raise ImageError(
            f"the file has {len(data) / 2**20:,.0f} MiB", mend=f"at most {MAX_BYTES // 2**20} MiB are kept"
        )
    kind = sniff(data[:HEAD])
    if kind is None:
        mend = "give the radiograph as DICOM, PNG or JPEG"
        raise ImageError("not a DICOM, PNG or JPEG image (by its content)" if data else "the file is empty", mend=mend)
    digest = hashlib.sha256(data).hexdigest()
    study, instance = _told(*_header(data)) if kind == "DICOM" else ({}, {})
    for uid in ("study_uid", "series_uid", "sop_instance_uid"):
        of = instance if uid in _OF_INSTANCE else study
        of[uid] = of.get(uid) or derived_uid(digest, uid)
    blank = dict.fromkeys((*_OF_INSTANCE, "transfer_syntax", "acquired"), "") | {"rows": 0, "columns": 0}
    return Arrived(data, digest, kind.lower(), dict.fromkeys(_OF_STUDY, "") | study, blank | instance)


def derived_uid(digest: str, what: str) -> str:
    """A UID (PS3.5 B.2) that is always the same for the same digest and purpose."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{digest} {what}').int}"


def _header(data: bytes) -> tuple[Dataset, str]:
    from pydicom.datadict import tag_for_keyword

    head = data[:HEAD]
    other = "a DICOMDIR" if media_class(head) == DIRECTORY_CLASS else other_object(head)
    if other:
        raise ImageError(f"is no image but another DICOM object ({other})", mend="send images alone")
    tags = [tag_for_keyword(word) or 0 for word in (*_OF_STUDY.values(), *_OF_INSTANCE.values(), *_OTHERS)]
    try:
        return parse_elements(data, tags)
    except ImageError:
        raise
    except Exception:  # noqa: BLE001 - what pydicom raises for a damaged file is open-ended, and quotes it
        raise ImageError(
            "cannot be read as DICOM: its header is damaged", mend="send it again from its source"
        ) from None


def _told(header: Dataset, syntax: str) -> tuple[dict[str, Any], dict[str, Any]]:
    study: dict[str, Any] = {name: _text(header, keyword) for name, keyword in _OF_STUDY.items()}
    instance: dict[str, Any] = {name: _text(header, keyword) for name, keyword in _OF_INSTANCE.items()}
    for name in _UIDS:
        of = instance if name in instance else study
        of[name] = of[name] if is_uid(of[name]) else ""
    instance["transfer_syntax"] = printable(syntax)
    dated = [f"{_text(header, f'{w}Date')}{_text(header, f'{w}Time')}" for w in ("Acquisition", "Content")]
    instance["acquired"] = next((text for text in dated if text), f"{study['study_date']}{study['study_time']}")
    instance["rows"], instance["columns"] = _number(header, "Rows"), _number(header, "Columns")
    return study, instance


def _text(header: Dataset, keyword: str) -> str:
    """The value as text, several as the file has them; empty where it is missing or cannot be read."""
    try:
        value = header.get(keyword)
        text = "\\".join(map(str, value)) if isinstance(value, MutableSequence) else str(value)
        return "" if value is None else printable(text).strip()[:1024]
    except Exception:  # noqa: BLE001 - as above
        return ""


def printable(text: str) -> str:
    """Text that every database keeps: without NUL, and with a question mark for each byte of a file's name that is no text."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _number(header: Dataset, keyword: str) -> int:
    text = _text(header, keyword)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def is_uid(text: str) -> bool:
    """Whether it has the form of a DICOM UID (PS3.5 9.1)."""
    return 0 < len(text) <= _LONGEST_UID and all(part.isascii() and part.isdigit() for part in text.split("."))

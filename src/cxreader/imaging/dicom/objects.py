"""DICOM objects of a study that are no images: reports, presentation states, key object selections, documents, segmentations."""

from __future__ import annotations

import io

from cxreader.imaging.dicom.parse import parse_header

_STORAGE = "1.2.840.10008.5.1.4.1.1."
"""The root of most storage SOP classes (PS3.4 B.5)."""
_BY_CLASS = {
    "88.59": "KO",
    "88": "SR",
    "11": "PR",
    "104.1": "PDF",
    "104": "document",
    "66.4": "SEG",
    "66.5": "SEG",
    "66.7": "SEG",
    "66": "raw data or registration",
    "67": "value mapping",
    "68": "surface scan",
    "9": "waveform",
    "481.1": "",  # RT Image: a picture
    "481.2": "RTDOSE",
    "481.3": "RTSTRUCT",
    "481.5": "RTPLAN",
    "481": "RT",
    "200": "protocol",
    "201": "protocol",
    "90": "assessment",
    "8": "overlay",
    "10": "LUT",
}
"""Storage SOP classes without a picture of their own, by the arcs behind the root; the longest that fits counts."""
_BY_MODALITY = frozenset(
    (
        "SR",
        "PR",
        "KO",
        "SEG",
        "REG",
        "FID",
        "RTSTRUCT",
        "RTPLAN",
        "RTDOSE",
        "RTRECORD",
        "DOC",
        "ECG",
        "EPS",
        "HD",
        "AU",
        "RWV",
    )
)
"""Modalities (PS3.3 C.7.3.1.1.1) that no picture has; asked where the SOP class is missing or private."""
_MEDIA_CLASS, _MEDIA_INSTANCE = b"\x02\x00\x02\x00UI", b"\x02\x00\x03\x00UI"


def media_class(head: bytes) -> str:
    """The Media Storage SOP Class UID in the first bytes (HEAD) of a DICOM file; empty where there is none."""
    return _meta_uid(head, _MEDIA_CLASS)


def media_instance(head: bytes) -> str:
    """The Media Storage SOP Instance UID, as `media_class`."""
    return _meta_uid(head, _MEDIA_INSTANCE)


def _meta_uid(head: bytes, element: bytes) -> str:
    at = head.find(element, 132) if head[128:132] == b"DICM" else -1
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    return "" if at < 0 else head[at + 8 : at + 8 + length].decode("ascii", "replace").strip("\0 ")


def other_object(head: bytes) -> str | None:
    """What a DICOM file is that is no image, by its first bytes (HEAD): SR, PR, KO, PDF, SEG, ...; None for an image.

    By the SOP class; where that is missing or not of the standard, by the Modality. A file that cannot be told is an image,
    so that reading it says what it lacks.
    """
    found = media_class(head)
    if found.startswith(_STORAGE):
        return _of_class(found)
    try:
        elements = parse_header(io.BytesIO(head), "").elements
        found = elements.text("SOPClassUID") or ""
        modality = (elements.text("Modality") or "").upper()
    except Exception:  # noqa: BLE001 - a file cut short by us, or damaged: reading it says so
        return None
    if found.startswith(_STORAGE):
        return _of_class(found)
    return modality if modality in _BY_MODALITY else None


def _of_class(uid: str) -> str | None:
    arcs = uid.removeprefix(_STORAGE).split(".")
    fits = (".".join(arcs[:n]) for n in range(len(arcs), 0, -1))
    return next((_BY_CLASS[found] for found in fits if found in _BY_CLASS), "") or None

"""Phantoms laid out as a hospital exports: a tree of DICOM files without suffixes, and `labels.csv` beside them."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cxreader.data.phantoms.image import VERSION, Phantom, PhantomSpec, boxes_of, note_of
from cxreader.data.phantoms.patients import Patient
from cxreader.records import Box

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

DX = "1.2.840.10008.5.1.4.1.1.1.1"
"""Digital X-Ray Image Storage - For Presentation (PS3.4, B.5)."""
BITS = 12
VIEWS = {"AP": ("399348003", "antero-posterior"), "PA": ("272479007", "postero-anterior")}
"""SNOMED CT codes (PS3.16, CID 4010)."""
CHEST = ("816094009", "Chest")


def place(index: int, patient: int, visit: int) -> Path:  # noqa: ARG001
    """As `phantom.Layout`."""
    return Path(f"P{patient:05d}", f"IM{visit:04d}")


def encode(phantom: Phantom, spec: PhantomSpec) -> bytes:
    """As `phantom.Layout`: a DX image for presentation of 12 bits, of which a window shows all, 255 grey values as 4095."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = DX, uid(spec, phantom.patient, phantom.follow_up)
    made.StudyInstanceUID = uid(spec, phantom.patient, phantom.follow_up, "study")
    made.SeriesInstanceUID = uid(spec, phantom.patient, phantom.follow_up, "series")
    for keyword, value in (_patient(phantom, spec) | _picture(phantom)).items():
        setattr(made, keyword, value)
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def kept_boxes(path: Path, spec: PhantomSpec) -> tuple[Box, ...] | None:
    """As `phantom.Layout`."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        found = dcmread(path)
        whole = (found.Rows, found.Columns, len(found.PixelData)) == (spec.size, spec.size, 2 * spec.size**2)
        return boxes_of(found.ImageComments) if whole else None
    except (OSError, EOFError, InvalidDicomError, ValueError, KeyError, AttributeError, TypeError):
        return None


def tables(spec: PhantomSpec, patients: list[Patient], boxes: dict[str, tuple[Box, ...]]) -> dict[str, list[str]]:  # noqa: ARG001
    """As `phantom.Layout`: `labels.csv`, by UID. Sex, age, view and spacing stand in the headers."""
    rows = ["sop_instance_uid,label,findings"]
    for who in patients:
        for k, visit in enumerate(who.visits):
            label = "abnormal" if visit.findings else "normal"
            rows.append(f"{uid(spec, who.number, k)},{label},{'|'.join(visit.findings)}")
    return {"labels.csv": rows}


def uid(spec: PhantomSpec, patient: int, visit: int, what: str = "image") -> str:
    """The same for the same image, another for any other; how many patients there are does not matter."""
    from pydicom.uid import generate_uid

    drawn = {name: value for name, value in asdict(spec).items() if name != "patients"}
    return str(generate_uid(entropy_srcs=[f"cxreader phantom {VERSION} {drawn} {patient} {visit} {what}"]))


def _patient(phantom: Phantom, spec: PhantomSpec) -> dict[str, object]:
    return {
        "PatientName": f"Phantom^{phantom.patient}",
        "PatientID": str(phantom.patient),
        "IssuerOfPatientID": f"phantom:{spec.seed}",
        "PatientBirthDate": "",
        "PatientSex": phantom.sex,
        "PatientAge": f"{phantom.age:03d}Y",
        "StudyID": "",
        "StudyDate": "",
        "StudyTime": "",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
    }


def _picture(phantom: Phantom) -> dict[str, object]:
    height, width = phantom.pixels.shape
    stored = np.rint(phantom.pixels * ((2**BITS - 1) / 255)).astype("<u2")
    spacing = round(phantom.spacing * max(phantom.width, phantom.height) / max(height, width), 4)
    return {
        "Manufacturer": "cxreader",
        "ManufacturerModelName": "phantom: drawn by a program, not a patient",
        "ImageType": ["DERIVED", "PRIMARY", ""],
        "ImageComments": note_of(phantom),
        "Modality": "DX",
        "BodyPartExamined": "CHEST",
        "AnatomicRegionSequence": [_code(*CHEST)],
        "ImageLaterality": "U",
        "AcquisitionContextSequence": [],
        "DetectorType": "",
        "PositionerType": "",
        "ViewPosition": phantom.view,
        "ViewCodeSequence": [_code(*VIEWS[phantom.view])],
        "PatientOrientation": ["L", "F"],
        "PresentationIntentType": "FOR PRESENTATION",
        "PresentationLUTShape": "IDENTITY",
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "RescaleType": "US",
        "LossyImageCompression": "00",
        "BurnedInAnnotation": "NO",
        "ImagerPixelSpacing": [spacing, spacing],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": height,
        "Columns": width,
        "BitsAllocated": 16,
        "BitsStored": BITS,
        "HighBit": BITS - 1,
        "PixelRepresentation": 0,
        "WindowCenter": 2 ** (BITS - 1),
        "WindowWidth": 2**BITS,
        "PixelData": stored.tobytes(),
    }


def _code(value: str, meaning: str) -> Dataset:
    """An item of SNOMED CT (PS3.16)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item

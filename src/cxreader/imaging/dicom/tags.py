"""The elements of a DICOM file that are looked at; all others stay unread (PS3.6)."""

from __future__ import annotations

from cxreader.imaging.dicom import shutter

_DIRECTORY = 0x00041220

WANTED = {
    "MediaStorageSOPClassUID": 0x00020002,
    "DirectoryRecordSequence": _DIRECTORY,
    "SOPClassUID": 0x00080016,
    "SOPInstanceUID": 0x00080018,
    "Modality": 0x00080060,
    "PresentationIntentType": 0x00080068,
    "AnatomicRegionSequence": 0x00082218,
    "PatientID": 0x00100020,
    "IssuerOfPatientID": 0x00100021,
    "PatientSex": 0x00100040,
    "PatientAge": 0x00101010,
    "BodyPartExamined": 0x00180015,
    "ImagerPixelSpacing": 0x00181164,
    "ViewPosition": 0x00185101,
    "PatientPosition": 0x00185100,
    "PatientOrientation": 0x00200020,
    "Laterality": 0x00200060,
    "ImageLaterality": 0x00200062,
    "SamplesPerPixel": 0x00280002,
    "PhotometricInterpretation": 0x00280004,
    "PlanarConfiguration": 0x00280006,
    "NumberOfFrames": 0x00280008,
    "Rows": 0x00280010,
    "Columns": 0x00280011,
    "PixelSpacing": 0x00280030,
    "PixelAspectRatio": 0x00280034,
    "BitsAllocated": 0x00280100,
    "BitsStored": 0x00280101,
    "HighBit": 0x00280102,
    "PixelRepresentation": 0x00280103,
    "PixelPaddingValue": 0x00280120,
    "PixelPaddingRangeLimit": 0x00280121,
    "WindowCenter": 0x00281050,
    "WindowWidth": 0x00281051,
    "RescaleIntercept": 0x00281052,
    "RescaleSlope": 0x00281053,
    "VOILUTFunction": 0x00281056,
    "RedPaletteColorLookupTableDescriptor": 0x00281101,
    "GreenPaletteColorLookupTableDescriptor": 0x00281102,
    "BluePaletteColorLookupTableDescriptor": 0x00281103,
    "RedPaletteColorLookupTableData": 0x00281201,
    "GreenPaletteColorLookupTableData": 0x00281202,
    "BluePaletteColorLookupTableData": 0x00281203,
    "ModalityLUTSequence": 0x00283000,
    "VOILUTSequence": 0x00283010,
    "ViewCodeSequence": 0x00540220,
    "PresentationLUTShape": 0x20500020,
    **shutter.TAGS,
}
"""Keywords and tags (PS3.6) that are looked at. The identifier of a patient is hashed, and never leaves (`header_of`)."""

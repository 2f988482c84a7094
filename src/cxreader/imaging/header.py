"""What may leave a DICOM header: a closed list of fields, each cut to known terms, numbers and UIDs.

No name, birth date, accession number or free text is on it. A patient is a salted hash, and only when somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cxreader.imaging import terms

OTHER = "OTHER"
"""Stands for a value that is no known term: whatever it was, it stays in the file."""
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

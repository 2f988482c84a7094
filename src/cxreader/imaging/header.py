"""What may leave a DICOM header: a closed list of fields, each cut to known terms, numbers and UIDs.

No name, birth date, accession number or free text is on it. A patient is a salted hash, and only when somebody asks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from cxreader.imaging import terms

OTHER = "OTHER"
"""Stands for a value that is no known term, and may be anything, a name too."""
_PROCESSING_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.1.{n}.1" for n in (1, 2, 3))
"""Digital X-ray, mammography and intra-oral images for processing (PS3.4 B.5)."""


@dataclass(frozen=True, slots=True)
class DicomHeader:
    r"""What is known of a picture from its DICOM header; a field is None when the header lacks it or its value is unreadable.

    Codes are terms of `imaging.terms`, upper case, or OTHER. `rows`, `columns`: as stored, 0 when missing. `spacing`: mm a stored
    pixel (x, y), by Pixel Spacing, else by Imager Pixel Spacing. `age`: years, as written. `patient_orientation`: directions
    of the rows and of the columns (PS3.3 C.7.6.1.1.1), such as `L\F`. `laterality`: that of the image, else of the series.
    `patient`: `patient_hash` of the issuer and Patient ID (`identity.patient_name`), only when a salt was given, and
    `patient_without_zeros` the same of a number without its leading zeros: patients of whom it alone is equal are one or two.
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
    patient_without_zeros: str | None = None

    @property
    def view(self) -> str | None:
        """The view of View Position, or, where that is missing, one in Patient Position, where some devices write it.

        None when both are missing, and when Patient Position is a posture; OTHER when it is neither a posture nor a view.
        """
        if self.view_position is not None:
            return self.view_position
        if self.patient_position is None or self.patient_position in terms.POSTURES:
            return None
        return self.patient_position if self.patient_position in terms.VIEWS else OTHER

    @property
    def lateral(self) -> bool:
        """True when the rows run between front and back of the patient: Patient Orientation is that of a lateral view."""
        return self.patient_orientation is not None and self.patient_orientation.startswith(("A", "P"))

    @property
    def for_processing(self) -> bool:
        """True for raw detector values, by Presentation Intent Type or by the SOP class."""
        return self.presentation_intent == "FOR PROCESSING" or self.sop_class in _PROCESSING_CLASSES

    @property
    def aspect(self) -> float | None:
        """Height of a stored pixel divided by its width, by `spacing`."""
        return None if self.spacing is None else self.spacing[1] / self.spacing[0]


def patient_hash(salt: str, source: str, patient: str) -> str:
    """16 hex digits (BLAKE2b) by which a patient is recognised without being named.

    `source`: who gave the identifier `patient`: the issuer of a DICOM header, the source of a data set.
    """
    return hashlib.blake2b("\x1f".join((salt, source, patient)).encode(), digest_size=8).hexdigest()

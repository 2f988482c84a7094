"""What may leave a DICOM header: a closed list of fields, each cut to known terms, numbers and UIDs.

No name, birth date, accession number or free text is on it. A patient is a salted hash, and only when somebody asks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from cxreader.imaging.vocabulary import terms
from cxreader.imaging.vocabulary.words import OTHER

_PROCESSING_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.1.{n}.1" for n in (1, 2, 3))
"""Digital X-ray, mammography and intra-oral images for processing (PS3.4 B.5)."""


@dataclass(frozen=True, slots=True)
class DicomHeader:
    r"""What is known of a picture from its DICOM header; a field is None when the header lacks it or its value is unreadable.

    Codes are terms of `vocabulary.terms`, upper case, or OTHER. `rows`, `columns`: as stored, 0 when missing. `spacing`: mm a
    stored pixel (x, y), by Pixel Spacing, else by Imager Pixel Spacing. `age`: years, as written; where none is, those between
    birth date and picture, in whole years, of the youngest in whole months. `patient_orientation`: directions of the rows and
    of the columns (PS3.3 C.7.6.1.1.1), such as `L\F`. `laterality`: that of the image, else of the series. `patient`:
    `patient_hash` of the issuer and Patient ID (`identity.patient_name`), only when a salt was given, and
    `patient_without_zeros` the same of a number without its leading zeros: patients of whom it alone is equal are one or two.
    `view_code`: the view of View Code Sequence (C.8.11.5), `region`: the body part of Anatomic Region Sequence (C.8.11.2),
    `view_in_body_part`: a view that Body Part Examined names beside the part. `crossed_out`: modality, part or view are
    told by X's alone, as whoever makes a header invalid writes them. `animal`: Patient Species Description, or its code, names
    another species than man (C.7.1.1).
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
    view_code: str | None = None
    region: str | None = None
    view_in_body_part: str | None = None
    crossed_out: bool = False
    animal: bool = False

    @property
    def views(self) -> tuple[str, ...]:
        """What each place of the header tells of the view, OTHER for words that are no known one.

        View Position first, View Code Sequence, Patient Position, where some devices write it, and Body Part Examined.
        """
        posture = self.patient_position in terms.POSTURES
        told = (self.view_position, self.view_code, None if posture else self.patient_position, self.view_in_body_part)
        return tuple(view for view in told if view is not None)

    @property
    def view(self) -> str | None:
        """The first known one of `views`; OTHER when there are only unknown ones, None when there is none."""
        return _first_known(self.views)

    @property
    def parts(self) -> tuple[str, ...]:
        """What Body Part Examined and Anatomic Region Sequence tell, OTHER for words that are no known part."""
        return tuple(part for part in (self.body_part, self.region) if part is not None)

    @property
    def lateral(self) -> bool:
        """True when rows or columns run between front and back of the patient: Patient Orientation is that of a lateral view."""
        told = "" if self.patient_orientation in (None, OTHER) else str(self.patient_orientation)
        return any(direction.startswith(("A", "P")) for direction in told.split("\\"))

    @property
    def for_processing(self) -> bool:
        """True for raw detector values, by Presentation Intent Type or by the SOP class."""
        return self.presentation_intent == "FOR PROCESSING" or self.sop_class in _PROCESSING_CLASSES

    @property
    def aspect(self) -> float | None:
        """Height of a stored pixel divided by its width, by `spacing`."""
        return None if self.spacing is None else self.spacing[1] / self.spacing[0]


def _first_known(told: tuple[str, ...]) -> str | None:
    return next((term for term in told if term != OTHER), OTHER if told else None)


def patient_hash(salt: str, source: str, patient: str) -> str:
    """16 hex digits (BLAKE2b) by which a patient is recognised without being named.

    `source`: who gave the identifier `patient`: the issuer of a DICOM header, the source of a data set.
    """
    return hashlib.blake2b("\x1f".join((salt, source, patient)).encode(), digest_size=8).hexdigest()

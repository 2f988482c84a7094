"""What a DICOM header says of an image: whether it is a frontal chest radiograph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxreader.imaging.header import OTHER
from cxreader.records import Acceptance

if TYPE_CHECKING:
    from cxreader.imaging.header import DicomHeader

MODALITIES = frozenset({"CR", "DX", "RG", "RF"})
"""Computed, digital and film radiography, and fluoroscopy's still images (PS3.3 C.7.3.1.1.1)."""
BODY_PARTS = frozenset({"CHEST", "THORAX", "LUNG", "PORT CHEST"})
"""Defined terms of Body Part Examined (PS3.16 Annex L), and the one that mobile units write."""
FRONTAL = frozenset({"PA", "AP"})


def judge_header(header: DicomHeader | None) -> Acceptance:
    """What a DICOM header says: refused for another modality, body part or view; a warning for what it does not tell.

    The SOP class is not asked what the picture shows: chests come as CR, DX and secondary captures. A file without a header
    (PNG, JPEG) is accepted here. `view` is View Position, else a view in Patient Position. Only known terms are quoted.
    """
    if header is None:
        return Acceptance()
    found = Acceptance()
    for what, value, right in (
        ("modality", header.modality, MODALITIES),
        ("body part", header.body_part, BODY_PARTS),
        ("view", header.view, FRONTAL),
    ):
        if value is None:
            found += Acceptance("warning", (f"the header tells no {what}",))
        elif value not in right:
            said = f"the header's {what} is no known term" if value == OTHER else f"the header says {what} {value}"
            found += Acceptance("refused", (f"{said}: only {', '.join(sorted(right))} are read",))
    found += _judge_orientation(header)
    if header.for_processing:
        found += Acceptance(
            "warning", ("for processing, not for presentation: the picture may look unlike a finished one",)
        )
    return found


def _judge_orientation(header: DicomHeader) -> Acceptance:
    """A lateral's orientation decides where no view is told; beside a frontal view the header contradicts itself."""
    if header.lateral and header.view is None:
        return Acceptance("refused", ("the header's patient orientation is that of a lateral view",))
    if header.lateral and header.view in FRONTAL:
        reason = f"the header says view {header.view}, but its patient orientation is that of a lateral view"
        return Acceptance("warning", (reason,))
    return Acceptance()

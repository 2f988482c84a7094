"""What a DICOM header says of an image: whether it is a frontal chest radiograph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxreader.imaging.vocabulary.terms import RIGHT, Fact
from cxreader.imaging.vocabulary.words import OTHER
from cxreader.records import Acceptance

if TYPE_CHECKING:
    from cxreader.imaging.header import DicomHeader

_READ: dict[Fact, str] = {"modality": "CR, DX, RF, RG", "body_part": "CHEST, LUNG, THORAX", "view": "AP, PA"}
"""How messages name what is read: the standard's terms, of `imaging.vocabulary.terms.RIGHT`."""


_MIRRORED = "the header's patient orientation is that of a mirrored picture, the patient's right on its right"


def judge_header(header: DicomHeader | None) -> Acceptance:
    """What a DICOM header says: refused for another modality, body part or view; a warning for what it does not tell.

    Each fact is asked in all its places; one place that tells another modality, part or view is enough to refuse. A word that is
    no known term contradicts nothing: where no place tells more, it is as if the header did not tell. The SOP class is not
    asked what the picture shows: chests come as CR, DX and secondary captures. A file without a header (PNG, JPEG) is accepted
    here. Only known terms are quoted.
    """
    if header is None:
        return Acceptance()
    if header.crossed_out:
        return Acceptance(
            "refused", ("the header's modality, body part or view is crossed out: X's stand in its place",)
        )
    if header.animal:
        return Acceptance("refused", ("the header names another species than man",))
    modality = () if header.modality is None else (header.modality,)
    found = _judge_fact("modality", modality) + _judge_fact("body_part", header.parts)
    found += _judge_fact("view", header.views) + _judge_orientation(header)
    if header.for_processing:
        found += Acceptance(
            "warning", ("for processing, not for presentation: the picture may look unlike a finished one",)
        )
    return found


def _judge_fact(fact: Fact, told: tuple[str, ...]) -> Acceptance:
    """One fact by what the places of the header tell of it."""
    name = fact.replace("_", " ")
    known = [term for term in told if term != OTHER]
    wrong = next((term for term in known if term not in RIGHT[fact]), None)
    if wrong is not None:
        return Acceptance("refused", (f"the header says {name} {wrong}: only {_READ[fact]} are read",))
    if known:
        return Acceptance()
    return Acceptance("warning", (f"the header's {name} is no known term" if told else f"the header tells no {name}",))


def _judge_orientation(header: DicomHeader) -> Acceptance:
    r"""A lateral's orientation decides where no view is told; beside a frontal view the header contradicts itself.

    A chest that stands upright as it is looked at has L\F (PS3.3 C.7.6.1.1.1); R\F is a mirrored one.
    """
    known = [view for view in header.views if view != OTHER]
    if header.lateral and not known:
        return Acceptance("refused", ("the header's patient orientation is that of a lateral view",))
    if header.lateral and all(view in RIGHT["view"] for view in known):
        reason = f"the header says view {known[0]}, but its patient orientation is that of a lateral view"
        return Acceptance("warning", (reason,))
    told = header.patient_orientation
    if header.lateral or told is None or told == OTHER:
        return Acceptance()
    along_rows, along_columns = (directions[:1] for directions in told.split("\\"))
    if along_columns != "F" or along_rows not in ("L", "R"):
        return Acceptance("warning", (rf"the header's patient orientation is {told}: an upright chest has L\F",))
    return Acceptance(notes=() if along_rows == "L" else (f"{_MIRRORED} ({told})",))

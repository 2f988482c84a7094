"""A study as an ImagingStudy (https://hl7.org/fhir/R4/imagingstudy.html), with the images whose files are here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from cxreader.serving.fhir.coded import ABSENT, DCM, URI, Json, day, filled, oid, resource_id, subject
from cxreader.serving.store.tables.images import Instance, Study

_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_UNKNOWN: Json = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}


def imaging_study(study: Study, images: Sequence[Instance]) -> Json:
    """The resource. An image that did not come as DICOM has no SOP class: the element says so.

    Files that were deleted are left out, and so are other bytes that came under a UID which stands there already.
    """
    there = {one.sop_instance_uid: one for one in sorted(images, key=_order) if one.purged_at is None}
    ordered = sorted(there.values(), key=lambda one: (one.series_uid, one.id))
    series = [_series(uid, list(of)) for uid, of in groupby(ordered, key=lambda one: one.series_uid)]
    accession = {"type": {"coding": [{"system": _TYPES, "code": "ACSN"}]}, "value": study.accession_number}
    modalities = sorted({one.modality for one in ordered if one.modality})
    return filled(
        {
            "resourceType": "ImagingStudy",
            "id": resource_id(study.key),
            "identifier": [
                {"system": "urn:dicom:uid", "value": oid(study.study_uid)},
                *([accession] if study.accession_number else []),
            ],
            "status": "available" if ordered else "registered",
            "modality": [{"system": DCM, "code": one} for one in modalities],
            "subject": subject(study),
            "started": day(study.study_date),
            "numberOfSeries": len(series),
            "numberOfInstances": len(ordered),
            "description": study.description,
            "series": series,
        }
    )


def _order(image: Instance) -> int:
    """The latest that came under a UID last, so that it stands in the end (`images.current`)."""
    return image.version


def _series(uid: str, images: Sequence[Instance]) -> Json:
    first = images[0]
    return filled(
        {
            "uid": uid,
            "number": _number(first.series_number),
            "modality": {"system": DCM, "code": first.modality} if first.modality else _UNKNOWN,
            "description": first.series_description,
            "numberOfInstances": len(images),
            "instance": [_instance(one) for one in images],
        }
    )


def _instance(image: Instance) -> Json:
    known = {"system": URI, "code": oid(image.sop_class)}
    return filled(
        {
            "uid": image.sop_instance_uid,
            "sopClass": known if image.sop_class else _UNKNOWN,
            "number": _number(image.instance_number),
        }
    )


def _number(text: str) -> int | None:
    """An unsignedInt, None for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

"""STOW-RS (PS3.18 10.5): images come in as the parts of multipart/related."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from cxreader.errors import ImageError
from cxreader.imaging.files import first_bytes, load
from cxreader.imaging.limits import HEAD
from cxreader.imaging.read import sniff
from cxreader.serving.intake import arrived
from cxreader.serving.store.reading.receiving import Receipt
from cxreader.serving.web.allowed import Key, Uploader
from cxreader.serving.web.dicomweb.dicom_json import MEDIA, Json, answer, elements
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.problems import responses
from cxreader.serving.web.spooled import Spooled, spooled

router = APIRouter(prefix="/dicomweb/studies", tags=["DICOMweb"])
CANNOT_UNDERSTAND, OTHER_STUDY = 0xC000, 0xC409
"""Failure reasons: cannot understand (PS3.4 table B.2-1), and an instance of another study than the one named."""
_TOLD: dict[str, Any] = {
    "response_class": JSONResponse,
    "responses": {
        200: {"description": "All are kept.", "content": {MEDIA: {"schema": {"type": "object"}}}},
        202: {"description": "Some are kept."},
        409: {"description": "None is kept."},
    }
    | responses(400, 408, 413, 429),
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                'multipart/related; type="application/dicom"': {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
}


@router.post("", **_TOLD)
async def store(request: Request, door: TheDoor, principal: Uploader) -> JSONResponse:
    """Send instances."""
    return await _stored(request, door, principal, "")


@router.post("/{study}", **_TOLD)
async def store_in(request: Request, door: TheDoor, principal: Uploader, study: Key) -> JSONResponse:
    """Send instances of one study; others are refused."""
    return await _stored(request, door, principal, study)


async def _stored(request: Request, door: Door, principal: Uploader, study: Key) -> JSONResponse:
    door.uploads.take(principal.user.key)
    async with spooled(request, door) as files:
        kept, failed = await run_in_threadpool(_receive, door, files, study, principal.user.name)
    status = 200 if not failed else 202 if kept else 409
    told: dict[str, Any] = {"ReferencedSOPSequence": [_kept(one) for one in kept]}
    if failed:
        told["FailedSOPSequence"] = [elements({"FailureReason": reason}) for reason in failed]
    return answer(elements(told), status)


def _receive(door: Door, files: Sequence[Spooled], study: str, sender: str) -> tuple[list[Receipt], list[int]]:
    """Receipts of what is kept, and why the rest is not."""
    kept, failed = [], []
    for file in files:
        try:
            if sniff(first_bytes(file.path, HEAD)) != "DICOM":
                failed.append(CANNOT_UNDERSTAND)
                continue
            with door.service.room.taken(file.path.stat().st_size):
                data = load(file.path)
                if study and arrived(data).study["study_uid"] != study:
                    failed.append(OTHER_STUDY)
                    continue
                kept.append(door.service.receive(data, door="http", sender=sender, name=file.name))
        except ImageError:
            failed.append(CANNOT_UNDERSTAND)
    return kept, failed


def _kept(one: Receipt) -> Json:
    return elements({"ReferencedSOPClassUID": one.sop_class, "ReferencedSOPInstanceUID": one.sop_instance_uid})

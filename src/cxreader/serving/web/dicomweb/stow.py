"""STOW-RS (PS3.18 10.5): images come in as the parts of multipart/related."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from cxreader.errors import ImageError
from cxreader.imaging.files import first_bytes, load
from cxreader.imaging.limits import HEAD
from cxreader.imaging.read import sniff
from cxreader.serving.intake import arrived, is_uid
from cxreader.serving.web.allowed import Key, Uploader
from cxreader.serving.web.dicomweb.dicom_json import MEDIA, answer, elements
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
    base = f"{door.settings.web.origin}/dicomweb"
    studies = {one.study for one in kept}
    told: dict[str, Any] = {"RetrieveURL": f"{base}/studies/{studies.pop()}"} if len(studies) == 1 else {}
    told["ReferencedSOPSequence"] = [elements(_named(one) | {"RetrieveURL": _url(one, base)}) for one in kept]
    if failed:
        told["FailedSOPSequence"] = [elements(_named(one) | {"FailureReason": reason}) for one, reason in failed]
    return answer(elements(told), status)


@dataclass(frozen=True, slots=True)
class _Sent:
    """What an instance is by its UIDs; empty ones are not known."""

    sop_class: str = ""
    sop_instance: str = ""
    study: str = ""
    series: str = ""


def _receive(
    door: Door, files: Sequence[Spooled], study: str, sender: str
) -> tuple[list[_Sent], list[tuple[_Sent, int]]]:
    """What is kept, and what is not, with why."""
    kept, failed = list[_Sent](), list[tuple[_Sent, int]]()
    for file in files:
        try:
            if sniff(first_bytes(file.path, HEAD)) != "DICOM":
                failed.append((_Sent(), CANNOT_UNDERSTAND))
                continue
            with door.service.room.taken(file.path.stat().st_size):
                data = load(file.path)
                came = arrived(data)
                image = came.instance
                sent = _Sent(
                    image["sop_class"], image["sop_instance_uid"], came.study["study_uid"], image["series_uid"]
                )
                if study not in ("", sent.study):
                    failed.append((sent, OTHER_STUDY))
                    continue
                door.service.receive(data, door="http", sender=sender, name=file.name)
                kept.append(sent)
        except ImageError:
            failed.append((_by_meta(file), CANNOT_UNDERSTAND))
    return kept, failed


def _by_meta(file: Spooled) -> _Sent:
    """What the meta information of a file that is not kept says that it is."""
    from pydicom.filereader import read_file_meta_info

    try:
        meta = read_file_meta_info(file.path)
        return _Sent(str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID))
    except Exception:  # noqa: BLE001 - what pydicom raises for a damaged file is open-ended
        return _Sent()


def _named(one: _Sent) -> dict[str, str]:
    named = {"ReferencedSOPClassUID": one.sop_class, "ReferencedSOPInstanceUID": one.sop_instance}
    return {keyword: uid for keyword, uid in named.items() if is_uid(uid)}


def _url(one: _Sent, base: str) -> str:
    return f"{base}/studies/{one.study}/series/{one.series}/instances/{one.sop_instance}"

"""WADO-RS (PS3.18 10.4): studies, series and instances as DICOM files, in the transfer syntax they came in, and metadata."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse, Response, StreamingResponse

from cxreader.errors import AbsentError, ImageError, StorageError
from cxreader.imaging.dicom.parse import parse_elements
from cxreader.serving.access.principals import Principal
from cxreader.serving.web.allowed import Reader
from cxreader.serving.web.dicomweb.dicom_json import MEDIA, answer, in_utf8
from cxreader.serving.web.dicomweb.holdings import Held, by_uid
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.problems import responses
from cxreader.serving.web.withholding import reader_of

router = APIRouter(prefix="/dicomweb/studies/{study}", tags=["DICOMweb"])
DICOM = "application/dicom"
_FILES: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {'multipart/related; type="application/dicom"': {}, DICOM: {}}}} | responses(404),
}
_METADATA: dict[str, Any] = {
    "response_class": JSONResponse,
    "responses": {200: {"content": {MEDIA: {"schema": {"type": "array", "items": {"type": "object"}}}}}}
    | responses(404),
}
Accept = Annotated[str, Header()]


@router.get("", **_FILES)
@router.get("/series/{series}", **_FILES)
@router.get("/series/{series}/instances/{instance}", **_FILES)
def retrieve(
    door: TheDoor, principal: Reader, study: str, series: str = "", instance: str = "", accept: Accept = "*/*"
) -> Response:
    """The files of a study, a series or an instance, one a part; one instance alone where `application/dicom` is asked for."""
    found = found_there(door, principal, study, series, instance)
    if instance and accept.strip().lower().startswith(DICOM):
        return Response(door.service.objects.get(found[0].sha256), media_type=DICOM)
    boundary = secrets.token_hex(16)
    media = f'multipart/related; type="{DICOM}"; boundary={boundary}'
    first = door.service.objects.get(found[0].sha256)  # an error is answered, before anything is sent
    return StreamingResponse(_parts(door, found, first, boundary), media_type=media)


@router.get("/metadata", **_METADATA)
@router.get("/series/{series}/metadata", **_METADATA)
@router.get("/series/{series}/instances/{instance}/metadata", **_METADATA)
def metadata(door: TheDoor, principal: Reader, study: str, series: str = "", instance: str = "") -> JSONResponse:
    """All elements but the pixels, as DICOM JSON."""
    found = found_there(door, principal, study, series, instance)
    return answer([in_utf8(_header(door.service.objects.get(one.sha256))) for one in found])


def found_there(door: Door, principal: Principal, study: str, series: str, instance: str) -> Sequence[Held]:
    """What is held of these UIDs, noted as shown; empty ones stand for any. Raises AbsentError."""
    allowed: Any = {"regions": door.settings.show_regions, "reader": reader_of(principal)}
    held = door.read(lambda session, _: by_uid(session, study, **allowed))
    found = [one for one in held if series in ("", one.series_uid) and instance in ("", one.sop_instance_uid)]
    if not found:
        raise AbsentError("nothing of this UID is held", mend="search for it")
    for key in {one.study.key for one in found}:
        door.shown(principal, "study", key)
    return found


def _parts(door: Door, held: Sequence[Held], first: bytes, boundary: str) -> Iterator[bytes]:
    """The body of multipart/related (RFC 2387), one file in memory at a time."""
    for number, one in enumerate(held):
        try:
            data = first if number == 0 else door.service.objects.get(one.sha256)
        except StorageError:
            return  # the body ends without its last boundary: whoever reads it knows that it is not whole
        yield f"--{boundary}\r\nContent-Type: {DICOM}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        yield data
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _header(data: bytes) -> dict[str, Any]:
    try:
        made = parse_elements(data)[0].to_json_dict(suppress_invalid_tags=True)
    except ImageError:
        raise
    except Exception:  # noqa: BLE001 - what pydicom raises for a damaged file is open-ended, and quotes it
        raise ImageError("the header cannot be told as JSON", mend="retrieve the file itself") from None
    return dict(made)

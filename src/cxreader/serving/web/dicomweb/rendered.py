"""WADO-RS of pictures (PS3.18 10.4.1.1.3 and 10.4.1.1.4): received images as JPEG or PNG, and one that stands for them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from cxreader.errors import AbsentError, CxreaderError
from cxreader.serving.access.principals import Principal
from cxreader.serving.web.allowed import Reader
from cxreader.serving.web.dicomweb.dicom_json import url_of
from cxreader.serving.web.dicomweb.drawn import JPEG, PNG, Viewport, Wanted, drawn
from cxreader.serving.web.dicomweb.holdings import Held
from cxreader.serving.web.dicomweb.wado import Accept, found_there
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/dicomweb/studies/{study}", tags=["DICOMweb"])
_RELATED = "multipart/related"
_SMALL = "128,128"
_PICTURES: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {JPEG: {}, PNG: {}, f'{_RELATED}; type="{JPEG}"': {}}}} | responses(400, 404, 406),
}
_PICTURE: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {JPEG: {}, PNG: {}}}} | responses(400, 404, 406),
}
_FITS = Query(max_length=100, description="Columns,rows that it must fit; or columns,rows,left,top,width,height.")
Fits = Annotated[str, _FITS]
Windowed = Annotated[str, Query(max_length=100, description="center,width,function; linear, linear-exact or sigmoid.")]
Quality = Annotated[str, Query(max_length=10, description="Of a JPEG, 1 to 100.")]


@router.get("/rendered", **_PICTURES)
@router.get("/series/{series}/rendered", **_PICTURES)
@router.get("/series/{series}/instances/{instance}/rendered", **_PICTURES)
@router.get("/series/{series}/instances/{instance}/frames/{frame}/rendered", **_PICTURES)
def rendered(
    door: TheDoor,
    principal: Reader,
    study: str,
    series: str = "",
    instance: str = "",
    frame: str = "1",
    accept: Accept = "*/*",
    viewport: Fits = "",
    window: Windowed = "",
    quality: Quality = "",
) -> Response:
    """Pictures of the received images, 8 bits, square pixels, by the header's window unless another is asked for.

    One image comes alone, several as multipart/related; JPEG, or PNG if asked for.
    """
    found = _images(door, principal, (study, series, instance), frame)
    kind, parts = _chosen(accept, len(found))
    wanted = Wanted.of(viewport, window, quality)
    first = _drawn(door, found[0], kind, wanted)  # an error is answered, before anything is sent
    if not parts:
        return Response(first, media_type=kind)
    boundary = secrets.token_hex(16)
    body = _parts(door, found, first, (kind, wanted, boundary))
    return StreamingResponse(body, media_type=f'{_RELATED}; type="{kind}"; boundary={boundary}')


@router.get("/thumbnail", **_PICTURE)
@router.get("/series/{series}/thumbnail", **_PICTURE)
@router.get("/series/{series}/instances/{instance}/thumbnail", **_PICTURE)
@router.get("/series/{series}/instances/{instance}/frames/{frame}/thumbnail", **_PICTURE)
def thumbnail(
    door: TheDoor,
    principal: Reader,
    study: str,
    series: str = "",
    instance: str = "",
    frame: str = "1",
    accept: Accept = "*/*",
    viewport: Fits = _SMALL,
) -> Response:
    """A small picture that stands for what is asked for: of the image that came first."""
    found = _images(door, principal, (study, series, instance), frame)
    kind, _ = _chosen(accept, 1, alone=True)
    return Response(_drawn(door, found[0], kind, Wanted(Viewport.of(viewport))), media_type=kind)


def _images(door: Door, principal: Principal, uids: tuple[str, str, str], frame: str) -> Sequence[Held]:
    """The received images of these UIDs; empty ones stand for any.

    Raises AbsentError for any frame but the first, HTTPException where there are only objects that were made here.
    """
    found = [one for one in found_there(door, principal, *uids) if one.image]
    if frame != "1":
        raise AbsentError("only the first frame is given", mend="ask for frames/1")
    if not found:
        raise HTTPException(406)
    return found


def _chosen(accept: str, count: int, *, alone: bool = False) -> tuple[str, bool]:
    """The media type of each picture, and whether they come as parts.

    The first that is asked for and can be given counts (RFC 9110 12.5.1, without weights): several pictures only as parts, and
    none as parts where one must come `alone`. Raises HTTPException 406.
    """
    for one in accept.lower().split(","):
        asked, *parameters = (part.strip() for part in one.split(";"))
        if asked == "*/*":
            return JPEG, count > 1
        if asked == _RELATED and not alone:
            within = next((p[5:].strip('"') for p in parameters if p.startswith("type=")), JPEG)
            if within in (JPEG, PNG):
                return within, True
        elif asked in (JPEG, PNG, "image/*") and count == 1:
            return JPEG if asked == "image/*" else asked, False
    raise HTTPException(406)


def _parts(door: Door, images: Sequence[Held], first: bytes, how: tuple[str, Wanted, str]) -> Iterator[bytes]:
    """The body of multipart/related (RFC 2387), one picture in memory at a time."""
    kind, wanted, boundary = how
    for number, one in enumerate(images):
        try:
            data = _drawn(door, one, kind, wanted) if number else first
        except CxreaderError:
            return  # the body ends without its last boundary: whoever reads it knows that it is not whole
        where = f"{url_of(one, f'{door.settings.web.origin}/dicomweb')}/rendered"
        head = f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\nContent-Location: {where}"
        yield f"--{boundary}\r\n{head}\r\n\r\n".encode() + data + b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _drawn(door: Door, image: Held, kind: str, wanted: Wanted) -> bytes:
    kept = door.service.pixels(image.image)
    return drawn(door.service.objects.get(kept.sha256), kept.about, kind, wanted)

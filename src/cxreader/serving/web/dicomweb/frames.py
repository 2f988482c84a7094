"""WADO-RS of pixels (PS3.18 10.4.1.1.6 and 10.4.1.1.3): the frame of a received image, uncompressed, and pictures of it."""

from __future__ import annotations

import io
import secrets
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from cxreader.errors import AbsentError, UsageError
from cxreader.serving.access.principals import Principal
from cxreader.serving.store.files.pixels import values_and_greys
from cxreader.serving.web.allowed import Reader
from cxreader.serving.web.dicomweb.holdings import Held
from cxreader.serving.web.dicomweb.wado import Accept, found_there
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.problems import responses
from cxreader.serving.worker.decoded import cells

router = APIRouter(prefix="/dicomweb/studies/{study}/series/{series}/instances/{instance}", tags=["DICOMweb"])
OCTETS, JPEG, PNG = "application/octet-stream", "image/jpeg", "image/png"
LARGEST = 4096
"""Pixels a side of a picture that is asked for, at most."""
_FRAME: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {f'multipart/related; type="{OCTETS}"': {}, OCTETS: {}}}} | responses(404, 406),
}
_PICTURE: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {JPEG: {}, PNG: {}}}} | responses(400, 404, 406),
}
Viewport = Annotated[str, Query(pattern=r"^$|^[0-9]{1,5},[0-9]{1,5}$", description="Columns,rows that it must fit.")]
Quality = Annotated[int, Query(ge=1, le=100, description="Of a JPEG.")]


@router.get("/frames/{frame}", **_FRAME)
def one_frame(
    door: TheDoor, principal: Reader, study: str, series: str, instance: str, frame: str, accept: Accept = "*/*"
) -> Response:
    """The one frame of an image: its pixel cells, row by row, little endian, uncompressed (Explicit VR Little Endian)."""
    found = _image(door, principal, (study, series, instance), frame)
    kind = _wanted(accept, ("multipart/related", OCTETS))
    data = cells(door.service.objects.get(found.sha256), found.image)
    octets = data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes()
    if kind == OCTETS:
        return Response(octets, media_type=OCTETS)
    boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Type: {OCTETS}\r\nContent-Length: {len(octets)}\r\n\r\n".encode()
    body = head + octets + f"\r\n--{boundary}--\r\n".encode()
    return Response(body, media_type=f'multipart/related; type="{OCTETS}"; boundary={boundary}')


@router.get("/rendered", **_PICTURE)
@router.get("/frames/{frame}/rendered", **_PICTURE)
def rendered(
    door: TheDoor,
    principal: Reader,
    study: str,
    series: str,
    instance: str,
    frame: str = "1",
    accept: Accept = "*/*",
    viewport: Viewport = "",
    quality: Quality = 90,
) -> Response:
    """A picture of an image as the reader sees it: by the header's window, 8 bits, square pixels; JPEG, or PNG if asked for."""
    found = _image(door, principal, (study, series, instance), frame)
    kind = _wanted(accept, (JPEG, PNG))
    return Response(_drawn(door, found, kind, viewport, quality), media_type=kind)


def _image(door: Door, principal: Principal, uids: tuple[str, str, str], frame: str) -> Held:
    """The image of these UIDs. Raises AbsentError for any frame but the first, HTTPException for what was made here."""
    (found, *_) = found_there(door, principal, *uids)
    if frame != "1":
        raise AbsentError("only the first frame is given", mend="ask for frames/1")
    if not found.image:
        raise HTTPException(406)
    return found


def _wanted(accept: str, offered: tuple[str, ...]) -> str:
    """The first of the media types asked for that is offered (RFC 9110 12.5.1, without weights). Raises HTTPException 406."""
    for one in accept.lower().split(","):
        asked = one.partition(";")[0].strip()
        type_ = asked.partition("/")[0]
        for kind in offered:
            if asked in ("*/*", kind) or (asked == f"{type_}/*" and kind.startswith(f"{type_}/")):
                return kind
    raise HTTPException(406)


def _drawn(door: Door, found: Held, kind: str, viewport: str, quality: int) -> bytes:
    from PIL import Image

    kept = door.service.pixels(found.image)
    about = dict(kept.about)
    values, greys = values_and_greys(door.service.objects.get(kept.sha256), about)
    picture = Image.fromarray(np.take(greys, values))
    size = _fitted((about["width"], about["height"]), viewport)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG" if kind == PNG else "JPEG", quality=quality)
    return buffer.getvalue()


def _fitted(size: tuple[int, int], viewport: str) -> tuple[int, int]:
    """The size of a picture that fits into the viewport, which is empty for none. Raises UsageError for one without room."""
    if not viewport:
        return size
    columns, rows = (int(one) for one in viewport.split(","))
    if not (0 < columns <= LARGEST and 0 < rows <= LARGEST):
        raise UsageError("a viewport of no size", where="viewport", mend=f"give 1 to {LARGEST} columns and rows")
    scale = min(columns / size[0], rows / size[1])
    return max(1, round(scale * size[0])), max(1, round(scale * size[1]))

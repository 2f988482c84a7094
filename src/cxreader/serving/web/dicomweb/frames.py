"""WADO-RS of pixels (PS3.18 10.4.1.1.6): the frame of a received image, uncompressed."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from cxreader.errors import AbsentError
from cxreader.serving.access.principals import Principal
from cxreader.serving.web.allowed import Reader
from cxreader.serving.web.dicomweb.holdings import Held
from cxreader.serving.web.dicomweb.wado import Accept, found_there
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.problems import responses
from cxreader.serving.worker.decoded import cells

router = APIRouter(prefix="/dicomweb/studies/{study}/series/{series}/instances/{instance}", tags=["DICOMweb"])
OCTETS = "application/octet-stream"
_FRAME: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {f'multipart/related; type="{OCTETS}"': {}, OCTETS: {}}}} | responses(404, 406),
}


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

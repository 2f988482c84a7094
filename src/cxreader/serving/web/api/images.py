"""One image: how to show it, its decoded pixels, its bytes as they came, and the maps of an answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from cxreader.serving.store.files import pixels as stored
from cxreader.serving.store.reading.results import frame, map_values
from cxreader.serving.store.reading.views import by_key
from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.readings import Result
from cxreader.serving.web.allowed import Key, Reader
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["images"])
_ONE_YEAR = "private, max-age=31536000, immutable"
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "You have it."},
}
_HALF = 3
"""Decimals of a map: it is kept in half precision, which has no more."""


class Picture(BaseModel):
    """How to show decoded pixels: `rows` x `columns` little-endian values of 16 bits, then a table of greys of 2 ** `bits` bytes.

    `width` and `height` are in square pixels, `spacing` mm a square pixel at the detector (x, y), None where it is unknown.
    """

    sha256: str
    bytes: int = Field(description="Unpacked.")
    rows: int
    columns: int
    bits: int
    slope: float
    intercept: float
    windows: list[dict[str, Any]]
    inverted: bool
    aspect: float
    width: int
    height: int
    spacing: list[float] | None


class Map(BaseModel):
    """A map: `heat`, where the score is sensitive, no segmentation; or `region`, where the region head sees a finding.

    `values` row by row, rounded; they cover `frame` (left, top, width, height) of the picture, in its square pixels.
    """

    model: str
    kind: str = Field(examples=["heat"])
    finding: str
    frame: tuple[float, float, float, float]
    values: list[list[float]]


class Maps(BaseModel):
    """The maps of an answer; none where `why` says so."""

    maps: list[Map]
    why: str


@router.get("/images/{key}/picture", responses=responses(404))
def picture(door: TheDoor, _: Reader, key: Key) -> Picture:
    """How to show the pixels of an image."""
    kept = door.service.pixels(key)
    return Picture(**dict(kept.about) | {"sha256": kept.sha256})


@router.get("/images/{key}/pixels", response_class=Response, responses=_BYTES | responses(404))
def pixels(
    door: TheDoor,
    principal: Reader,
    key: Key,
    accept_encoding: Annotated[str, Header()] = "",
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """The decoded pixels of an image, as `picture` describes them; in Zstandard where that is accepted."""
    kept = door.service.pixels(key)
    door.shown(principal, "image", key)
    headers = {"ETag": f'"{kept.sha256}"', "Cache-Control": _ONE_YEAR, "Vary": "Accept-Encoding"}
    if f'"{kept.sha256}"' in if_none_match:
        return Response(status_code=304, headers=headers)
    data = door.service.objects.get(kept.sha256)
    if stored.CODEC in accept_encoding:
        headers["Content-Encoding"] = stored.CODEC
    else:
        data = stored.raw(data, dict(kept.about))
    return Response(data, headers=headers, media_type="application/octet-stream")


@router.get("/images/{key}/original", response_class=Response, responses=_BYTES | responses(404))
def original(door: TheDoor, principal: Reader, key: Key) -> Response:
    """The bytes of an image as they came, with all that its header says of the patient."""
    found, data = door.service.original(key)
    door.shown(principal, "file", found.key)
    named = f'attachment; filename="{found.key}.{"dcm" if found.kind == "dicom" else found.kind}"'
    return Response(data, headers={"Content-Disposition": named}, media_type="application/octet-stream")


@router.get("/results/{key}/maps", responses=responses(404))
def maps(door: TheDoor, _: Reader, key: Key) -> Maps:
    """The maps of an answer. None below the operating point, nor of what was refused, nor where the site silenced regions."""
    found = door.service.maps(key)
    if not found:
        return Maps(maps=[], why=door.read(lambda session, _: _why(session, key, shown=door.settings.show_regions)))
    image = door.read(lambda session, _: session.get_one(Instance, by_key(session, Result, key).instance_id).key)
    about = door.service.pixels(image).about
    made = [
        Map(
            model=one.model,
            kind=one.kind,
            finding=one.finding,
            frame=frame(one.fit, about["width"], about["height"]),
            values=[[round(float(value), _HALF) for value in row] for row in map_values(one)],
        )
        for one in found
    ]
    return Maps(maps=made, why="")


def _why(session: Session, key: str, *, shown: bool) -> str:
    result = by_key(session, Result, key)
    if not shown:
        return "this site shows no regions"
    return result.no_map or "there is a map only above the operating point"

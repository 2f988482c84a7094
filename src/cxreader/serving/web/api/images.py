"""One image: how to show it, its decoded pixels, its bytes as they came, and the maps of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from cxreader.errors import AbsentError
from cxreader.serving.access.principals import Principal
from cxreader.serving.results.regions import Permission, permission, place, regions, strongest
from cxreader.serving.settings import Settings
from cxreader.serving.store.files import pixels as stored
from cxreader.serving.store.reading.results import frame, map_values
from cxreader.serving.store.reading.views import by_key
from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.readings import HeatMap, Result
from cxreader.serving.web.allowed import Key, Reader
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses
from cxreader.serving.web.withholding import refuse_before_verdict
from cxreader.serving.worker.models import known_artifacts

router = APIRouter(prefix="/api/v1", tags=["images"])
_ASKED_AGAIN = "private, no-cache"
"""A browser asks before it shows what it keeps (RFC 9111 5.2.2.4): whoever signed in last may not be who saw it first."""
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
    strongest: str = Field(
        description="Where it is highest, in words; empty for a flat map. Sides are the patient's where the header says which "
        "way up the image is, else the picture's. In the padding it is a sign of a shortcut.",
        examples=["left lower zone", "lower right of the picture"],
    )


class Region(BaseModel):
    """A box by a map of a model, in square pixels of the picture; `peak` is the map's highest value there."""

    model: str
    source: str = Field(examples=["the region head"])
    x: float
    y: float
    width: float
    height: float
    peak: float
    place: str = Field(examples=["left lower zone"])


class Maps(BaseModel):
    """The maps of an answer, none where `why` says so; the regions that may be shown, and `about_regions` in words."""

    maps: list[Map]
    why: str
    regions: list[Region]
    about_regions: str


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
    headers = {"ETag": f'"{kept.sha256}"', "Cache-Control": _ASKED_AGAIN, "Vary": "Accept-Encoding"}
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
def maps(door: TheDoor, principal: Reader, key: Key) -> Maps:
    """The maps of an answer; 403 while it waits for this reader's own verdict.

    None below the operating point, nor of what was refused, nor where the site silenced regions.
    """
    door.read(lambda session, _: _refuse_before_verdict(session, principal, key))
    found = door.service.maps(key)
    if not found:
        why = door.read(lambda session, _: _why(session, key, shown=door.settings.show_regions))
        return Maps(maps=[], why=why, regions=[], about_regions=why)
    image = door.read(lambda session, _: session.get_one(Instance, by_key(session, Result, key).instance_id))
    about = door.service.pixels(image.key).about
    seen = _Seen((about["width"], about["height"]), image.patient_orientation)
    boxes, why = _regions(door.settings, found, seen)
    return Maps(maps=[_map(one, seen) for one in found], why="", regions=boxes, about_regions=why)


@router.get("/images/{key}/input/{model}", response_class=Response, responses=_BYTES | responses(404))
def network_input(door: TheDoor, principal: Reader, key: Key, model: Key) -> Response:
    """What a model of this service is shown of an image: a grey PNG of 8 bits, of its input's size."""
    found = known_artifacts(door.settings).get(model)
    if found is None:
        raise AbsentError("there is no such model", mend="take one that reads here")
    door.shown(principal, "image", key)
    return Response(door.service.network_input(key, found.spec), media_type="image/png")


def _refuse_before_verdict(session: Session, principal: Principal, key: str) -> None:
    image = session.get_one(Instance, by_key(session, Result, key).instance_id)
    refuse_before_verdict(session, principal, image.study_id)


class _Seen(NamedTuple):
    """A picture: its width and height in square pixels, and which way up it is."""

    size: tuple[int, int]
    orientation: str


def _map(one: HeatMap, seen: _Seen) -> Map:
    values = map_values(one)
    return Map(
        model=one.model,
        kind=one.kind,
        finding=one.finding,
        frame=frame(one.fit, *seen.size),
        values=[[round(float(value), _HALF) for value in row] for row in values],
        strongest=strongest(values, one.fit, *seen),
    )


def _regions(settings: Settings, maps: Sequence[HeatMap], seen: _Seen) -> tuple[list[Region], str]:
    """The regions of those models whose evaluation lets them be shown, and why, or why not."""
    known = known_artifacts(settings)
    rule = settings.results.regions
    absent = Permission(False, "no regions: its model is not here")
    allowed = {one.model: permission(known[one.model], rule) if one.model in known else absent for one in maps}
    shown = regions([one for one in maps if allowed[one.model].shown], seen.size, seen.size)
    made = []
    for one in shown:
        box = {name: round(getattr(one.box, name), 1) for name in ("x", "y", "width", "height")}
        told = {
            "model": one.model,
            "source": one.source,
            "peak": round(one.peak, _HALF),
            "place": place(one.box, *seen),
        }
        made.append(Region(**told, **box))
    return made, "; ".join(dict.fromkeys(each.reason for each in allowed.values()))


def _why(session: Session, key: str, *, shown: bool) -> str:
    result = by_key(session, Result, key)
    if not shown:
        return "this site shows no regions"
    return result.no_map or "there is a map only above the operating point"

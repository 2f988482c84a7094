"""The models: which are on this machine, which read, which did; sending one, activating, reading again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from cxreader.errors import AbsentError, UsageError
from cxreader.imaging.files import load
from cxreader.serving.administration import models
from cxreader.serving.administration.models import Here, Reads
from cxreader.serving.store.reading.models import active
from cxreader.serving.web.allowed import Administrator, ConfirmedAdministrator, Key
from cxreader.serving.web.api.shapes import Point, moment
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses
from cxreader.serving.web.spooled import spooled

router = APIRouter(prefix="/api/v1", tags=["administration"])
uploads = APIRouter(prefix="/api/v1", tags=["administration"])
_ID = "ad0b6befbd04"


class Model(BaseModel):
    """An artifact on this machine. `active`: whether it reads now; `evaluation`: on its own test part, or None."""

    id: str = Field(examples=[_ID])
    network: str = Field(examples=["densenet121"])
    active: bool
    operating_points: list[Point]
    has_card: bool
    evaluation: dict[str, Any] | None

    @classmethod
    def of(cls, found: Here, reading: frozenset[str]) -> Model:
        """A model of this machine; `reading`: the ids of those that read now."""
        one = found.artifact
        points = [
            Point(**{name: getattr(point, name) for name in Point.model_fields}) for point in one.operating_points
        ]
        return cls(
            id=one.id,
            network=one.model,
            active=one.id in reading,
            operating_points=points,
            has_card=found.card is not None,
            evaluation=one.evaluation,
        )


class Set(BaseModel):
    """Models that read together, now or before: their answers stay as they are."""

    models: list[str] = Field(examples=[[_ID]])
    operating_point: str = Field(examples=["youden"])
    active: bool
    answers: int
    first_answer_at: str | None
    last_answer_at: str | None

    @classmethod
    def of(cls, one: Reads) -> Set:
        """A set of the store."""
        first, last = (None if at is None else moment(at) for at in (one.first, one.last))
        told = {"operating_point": str(one.models.rule.get("operating_point", "")), "active": one.models.active}
        names = one.models.names.split("+")
        return cls(models=names, answers=one.answers, first_answer_at=first, last_answer_at=last, **told)


class Models(BaseModel):
    """The models of this machine, and every set that reads or did."""

    here: list[Model]
    sets: list[Set]


class Wanted(BaseModel):
    """The models that are to read together."""

    model_config = ConfigDict(extra="forbid")

    models: list[Annotated[str, Field(pattern="^[0-9a-f]{12}$")]] = Field(min_length=1, max_length=8, examples=[[_ID]])


class Queued(BaseModel):
    """How many images wait to be read again."""

    images: int


@router.get("/models", responses=responses())
def list_models(door: TheDoor, _: Administrator) -> Models:
    """The models of this machine, and which read."""
    found = door.read(lambda session, _: models.sets(session))
    reading = frozenset(name for one in found if one.models.active for name in one.models.names.split("+"))
    here = [Model.of(one, reading) for one in models.here(door.settings)]
    return Models(here=here, sets=[Set.of(one) for one in found])


@router.get("/models/{key}/card", response_class=PlainTextResponse, responses=responses(404))
def card(door: TheDoor, _: Administrator, key: Key) -> Response:
    """The model card in Markdown."""
    found = models.one(door.settings, key).card
    if found is None:
        raise AbsentError("there is no card beside the artifact", mend="put model_card.md into its folder")
    return Response(load(found), media_type="text/markdown; charset=utf-8")


@router.put("/models/active", responses=responses(400, 404))
def activate(door: TheDoor, principal: ConfirmedAdministrator, wanted: Wanted) -> Set:
    """Let these models read together from now on, what waits too; answers of others stay as they are."""
    found = models.activate(door.service, principal.user.name, wanted.models)
    return Set.of(next(one for one in door.read(lambda s, _: models.sets(s)) if one.models.id == found.id))


@router.post("/models/reread", responses=responses(400))
def reread(door: TheDoor, principal: Administrator) -> Queued:
    """Queue every image that the active models have not read: their answers are added, as revisions."""
    if door.read(lambda session, _: active(session)) is None:
        raise UsageError("no models are active", mend="activate one")
    return Queued(images=door.service.reread(principal.user.name))


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@uploads.post("/models", status_code=201, openapi_extra=_BODY, responses=responses(400, 413, 429))
async def send(request: Request, door: TheDoor, principal: Administrator) -> Model:
    """Send an artifact, its folder as a zip archive; every byte is checked. It reads once it is activated."""
    door.uploads.take(principal.user.key)
    async with spooled(request, door) as files:
        made = await run_in_threadpool(models.send, door.service, principal.user.name, files[0].path)
    return Model.of(models.one(door.settings, made.id), frozenset())

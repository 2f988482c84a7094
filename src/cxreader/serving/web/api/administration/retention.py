"""How long things are kept: what a deletion would find, deleting, legal hold."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from cxreader.serving.retaining import rows
from cxreader.serving.retaining.retention import Retention
from cxreader.serving.web.allowed import Administrator, ConfirmedAdministrator, Key
from cxreader.serving.web.api.administration.fields import Days, Line
from cxreader.serving.web.api.shapes import KEY, moment
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["administration"])
AT_ONCE = 200
"""Studies that one request deletes."""


class Found(BaseModel):
    """What is older than so many days. Of the `studies`, `held` stay, by legal hold; `images` and `bytes`: of the others."""

    studies: int
    held: int
    images: int
    bytes: int
    decoded: int = Field(description="Objects of decoded pixels, which are made again when somebody looks.")
    decoded_bytes: int
    sent: int = Field(description="Entries of the outbox that were sent or given up.")


class Deletion(BaseModel):
    """What to delete of everything older than so many days; `outbox` and `cache` touch no study."""

    model_config = ConfigDict(extra="forbid")

    what: Literal["study", "images", "derived", "cache", "outbox"]
    older_than_days: Days = Field(examples=[365])


class Done(BaseModel):
    """What was deleted: `studies` gone through, of which `held` were left, and `objects` or entries."""

    studies: int
    held: int
    objects: int
    left: int = Field(description="Ask again until it is 0.")


class Hold(BaseModel):
    """Why a study is under legal hold; no patient's name."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[Line, Field(examples=["case 12 of the legal department"])]


class Held(Hold):
    """A study under legal hold."""

    study: str = Field(examples=[KEY])
    received_at: str


@router.get("/retention", responses=responses())
def would_delete(door: TheDoor, principal: Administrator, older_than_days: Annotated[Days, Query()] = 365) -> Found:
    """What a deletion of everything older than so many days would find now. Nothing is deleted by itself."""
    found = Retention(door.service, principal.user.name).would_delete(older_than_days)
    own = {name: getattr(found, name) for name in ("studies", "held", "images", "decoded", "sent")}
    return Found(**own, bytes=found.size, decoded_bytes=found.decoded_size)


@router.post("/retention/deletions", responses=responses(400))
def delete(door: TheDoor, principal: ConfirmedAdministrator, wanted: Deletion) -> Done:
    """Delete; of studies the earliest 200 at a time. Those under legal hold stay whole."""
    return deleted(Retention(door.service, principal.user.name), wanted)


@router.get("/holds", responses=responses())
def list_holds(door: TheDoor, _: Administrator) -> list[Held]:
    """The studies under legal hold, the earliest received first."""
    return door.read(
        lambda s, _: [Held(study=one.key, reason=one.hold, received_at=moment(one.received_at)) for one in rows.held(s)]
    )


@router.put("/studies/{key}/hold", status_code=204, responses=responses(404))
def hold(door: TheDoor, principal: ConfirmedAdministrator, key: Key, wanted: Hold) -> None:
    """Put a study under legal hold: nothing of it is deleted until it is lifted."""
    Retention(door.service, principal.user.name).hold(key, wanted.reason)


@router.delete("/studies/{key}/hold", status_code=204, responses=responses(404))
def lift(door: TheDoor, principal: ConfirmedAdministrator, key: Key) -> None:
    """Lift a legal hold."""
    Retention(door.service, principal.user.name).hold(key, "")


def deleted(retention: Retention, wanted: Deletion) -> Done:
    """What a deletion did."""
    days = wanted.older_than_days
    if wanted.what == "cache":
        return Done(studies=0, held=0, objects=retention.clear_cache(days), left=0)
    if wanted.what == "outbox":
        return Done(studies=0, held=0, objects=retention.clear_outbox(days), left=0)
    done, left = retention.delete_older(wanted.what, days, most=AT_ONCE)
    return Done(studies=done.studies, held=done.held, objects=done.objects, left=left)

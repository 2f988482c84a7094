"""The worklist: pages by key, of one moment; and the next study to read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cxreader.serving.store.reading.listing import MOST, Sort, States
from cxreader.serving.web.allowed import Judge, Reader
from cxreader.serving.web.api.asked import Asked
from cxreader.serving.web.api.shapes import KEY, Listed, moment
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses
from cxreader.serving.web.withholding import READ_FIRST, withheld_from

router = APIRouter(prefix="/api/v1", tags=["worklist"])


class WorklistPage(BaseModel):
    """A page, as of one moment; `cursor` gives the next one, None at the end."""

    studies: list[Listed]
    cursor: str | None
    as_of: str = Field(examples=["2026-11-30T09:15:00.000Z"])


@router.get("/worklist", responses=responses(400))
def worklist(
    door: TheDoor,
    principal: Reader,
    filters: Asked,
    state: States = "open",
    sort: Sort = "urgency",
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    size: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> WorklistPage:
    """The studies in a state, the most urgent first, or by when they came: so are those that are done, or in any state."""
    door.shown(principal, "worklist")
    page = door.service.worklist(state=state, cursor=cursor, size=size, filters=filters, sort=sort)
    waits = door.read(lambda s, _: withheld_from(s, principal, [one.study.id for one in page.entries]))
    told = [Listed.of(one, READ_FIRST if one.study.id in waits else "") for one in page.entries]
    return WorklistPage(studies=told, cursor=page.cursor, as_of=moment(page.as_of))


class Next(BaseModel):
    """The study that is yours now, None where nothing is left for you."""

    study: str | None = Field(examples=[KEY])


@router.post("/worklist/next", responses=responses())
def take_next(
    door: TheDoor, principal: Judge, filters: Asked, after: Annotated[str, Query(max_length=64)] = ""
) -> Next:
    """Take the most urgent open study that nobody else has in hand; not the one of the key `after`."""
    return Next(study=door.service.next_study(principal.user, filters, after=after))

"""The worklist: pages by key, of one moment."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cxreader.serving.store.reading.listing import MOST, State
from cxreader.serving.web.allowed import Reader
from cxreader.serving.web.api.shapes import Listed, moment
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

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
    state: State = "open",
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    size: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> WorklistPage:
    """The studies in a state, the most urgent first; those that are done by when they came."""
    door.shown(principal, "worklist")
    page = door.service.worklist(state=state, cursor=cursor, size=size)
    return WorklistPage(studies=[Listed.of(one) for one in page.entries], cursor=page.cursor, as_of=moment(page.as_of))

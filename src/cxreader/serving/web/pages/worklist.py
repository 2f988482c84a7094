"""The worklist."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from cxreader.serving.web.allowed import Anybody, person_of
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/")
def worklist(request: Request, door: TheDoor, principal: Anybody) -> HTMLResponse:
    """The studies that wait, the most urgent first."""
    return page(request, "worklist/page.html.jinja", person=person_of(door, principal), here="worklist")

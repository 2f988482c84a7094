"""Retention: what would be deleted, deleting it, legal hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response

from cxreader.serving.access.principals import Principal
from cxreader.serving.retaining import rows
from cxreader.serving.retaining.retention import Retention
from cxreader.serving.web.allowed import Administrator, ConfirmedForm
from cxreader.serving.web.api.administration.retention import AT_ONCE, Deletion, Done, deleted
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.pages.administration.room import attempted, done, shown

router = APIRouter(prefix="/administration/retention", include_in_schema=False)
AT = "/administration/retention"
What = Literal["study", "images", "derived", "cache", "outbox"]
WORDS = {
    "study": "Studies whole: patient, images, answers, verdicts",
    "images": "Images alone, files and pixels, once they are read; answers and verdicts stay",
    "derived": "Maps, and DICOM objects made of answers; answers stay",
    "cache": "Decoded pixels; they are made again when somebody looks",
    "outbox": "Entries of the outbox that were sent or given up",
}
"""What may be deleted."""
Days = Annotated[float, Query(ge=0, le=36_600, allow_inf_nan=False)]


@router.get("")
def show(request: Request, door: TheDoor, principal: Administrator, days: Days = 365) -> Response:
    """What a deletion of everything older than so many days would find."""
    return _page(request, door, principal, days)


@router.post("/delete")
def delete(
    request: Request,
    door: TheDoor,
    principal: ConfirmedForm,
    what: Annotated[What, Form()],
    days: Annotated[float, Form(ge=0, le=36_600, allow_inf_nan=False)],
    sure: Annotated[bool, Form()] = False,
) -> Response:
    """Delete it, where the person said to be sure."""
    if not sure:
        return _page(request, door, principal, days, "Nothing was deleted: tick that it cannot be undone.")
    found = deleted(Retention(door.service, principal.user.name), Deletion(what=what, older_than_days=days))
    return _page(request, door, principal, days, ran=found, what=what)


@router.post("/hold")
def hold(
    request: Request,
    door: TheDoor,
    principal: ConfirmedForm,
    study: Annotated[str, Form(max_length=64, pattern="^[A-Za-z0-9_-]*$")] = "",
    reason: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Put a study under legal hold."""
    if not reason.strip() or not study:
        return _page(request, door, principal, 365, "A legal hold needs the study's key and the reason.")
    problem = attempted(lambda: Retention(door.service, principal.user.name).hold(study, reason.strip()))
    return _page(request, door, principal, 365, problem) if problem else done(AT, "held")


@router.post("/lift")
def lift(
    door: TheDoor,
    principal: ConfirmedForm,
    study: Annotated[str, Form(max_length=64, pattern="^[A-Za-z0-9_-]+$")],
) -> Response:
    """Lift a legal hold."""
    Retention(door.service, principal.user.name).hold(study, "")
    return done(AT, "lifted")


def _page(
    request: Request,
    door: Door,
    principal: Principal,
    days: float,
    problem: str = "",
    *,
    ran: Done | None = None,
    what: str = "",
) -> Response:
    found = Retention(door.service, principal.user.name).would_delete(days)
    told: dict[str, Any] = {"days": days, "found": found, "words": WORDS, "ran": ran, "what": what, "most": AT_ONCE}
    held = door.read(lambda session, _: rows.held(session))
    return shown(request, door, principal, "retention", problem=problem, held=held, **told)

"""Models: which read, which did, their cards and evaluations; sending one, activating others."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from cxreader.counting import format_count
from cxreader.imaging.files import load
from cxreader.reporting.evaluation.model_facts import FACTS, facts_of
from cxreader.serving.access.principals import Principal
from cxreader.serving.administration import models
from cxreader.serving.web.allowed import Administrator, AdministratorForm, ConfirmedForm, Key
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.pages.administration.evaluation import rows_of
from cxreader.serving.web.pages.administration.markdown import html_of
from cxreader.serving.web.pages.administration.room import attempted, done, shown
from cxreader.serving.web.spooled import spooled

router = APIRouter(prefix="/administration/models", include_in_schema=False)
uploads = APIRouter(prefix="/administration/models", include_in_schema=False)
AT = "/administration/models"


@router.get("")
def list_models(request: Request, door: TheDoor, principal: Administrator) -> Response:
    """The models of this machine, and every set that reads or did."""
    return _page(request, door, principal)


@router.post("/active")
def activate(
    request: Request,
    door: TheDoor,
    principal: ConfirmedForm,
    chosen: Annotated[list[str] | None, Form(max_length=8)] = None,
) -> Response:
    """Let the ticked ones read together."""
    problem = attempted(lambda: models.activate(door.service, principal.user.name, chosen or ()))
    return _page(request, door, principal, problem) if problem else done(AT, "activated")


@router.post("/reread")
def reread(request: Request, door: TheDoor, principal: AdministratorForm) -> Response:
    """Queue what the active models have not read."""
    count = door.service.reread(principal.user.name)
    told = f"{format_count(count, '[image waits|images wait]')} to be read by the active models; earlier answers stay."
    return _page(request, door, principal, message=told)


@uploads.post("/send")
async def send(request: Request, door: TheDoor, principal: Administrator) -> Response:
    """Keep an artifact that was sent as a zip archive. The page's script sends it, and goes where the answer says."""
    door.uploads.take(principal.user.key)
    async with spooled(request, door) as files:
        await run_in_threadpool(models.send, door.service, principal.user.name, files[0].path)
    return Response(status_code=204, headers={"HX-Redirect": f"{AT}?said=sent"})


@router.get("/{key}")
def show(request: Request, door: TheDoor, principal: Administrator, key: Key) -> Response:
    """One model: what it is, how it did, its card."""
    found = models.one(door.settings, key)
    facts = facts_of(found.artifact)
    sections = {title: {name: facts[name] for name in names if name in facts} for title, names in FACTS.items()}
    card = None if found.card is None else html_of(load(found.card).decode("utf-8", "replace"))
    told: dict[str, Any] = {
        "artifact": found.artifact,
        "sections": sections,
        "evaluation": rows_of(found.artifact),
        "card": card,
    }
    return shown(request, door, principal, "model", **told)


def _page(request: Request, door: Door, principal: Principal, problem: str = "", *, message: str = "") -> Response:
    def work(session: Session, _: float) -> dict[str, Any]:
        sets = models.sets(session)
        active = [name for one in sets if one.models.active for name in one.models.names.split("+")]
        return {"sets": sets, "active": active, "unread": models.unread(session)}

    found = models.here(door.settings)
    told: dict[str, Any] = {"installed": found, "known": {one.artifact.id for one in found}, "message": message}
    return shown(request, door, principal, "models", problem=problem, **door.read(work), **told)

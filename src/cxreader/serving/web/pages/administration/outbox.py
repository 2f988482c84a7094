"""One destination: whether it answers, its objects one by one, dead letters with their reason, sending again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from cxreader.serving.access.principals import Principal
from cxreader.serving.administration import sending
from cxreader.serving.sending import addresses
from cxreader.serving.store import destinations
from cxreader.serving.store.work import outbox
from cxreader.serving.web.allowed import Administrator, AdministratorForm
from cxreader.serving.web.api.administration.fields import Place
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.pages.administration.destinations import OBJECTS
from cxreader.serving.web.pages.administration.room import attempted, done, shown

router = APIRouter(prefix="/administration/destinations/{name}", include_in_schema=False)
State = Literal["waiting", "sent", "none", "dead"]
SIZE = 50


@router.get("")
def show(
    request: Request,
    door: TheDoor,
    principal: Administrator,
    name: Place,
    state: State | None = None,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Response:
    """Its objects, the latest first."""
    return _page(request, door, principal, name, state=state, before=before)


@router.post("/echo")
def echo(request: Request, door: TheDoor, principal: AdministratorForm, name: Place) -> Response:
    """Ask whether it answers."""
    found = addresses.echo(door.settings, door.read(lambda session, _: destinations.by_name(session, name)))
    return _page(request, door, principal, name, echoed={"why": found})


@router.post("/again")
def revive(door: TheDoor, principal: AdministratorForm, name: Place) -> Response:
    """Send its dead letters again."""
    door.write(lambda s, now: sending.revive(s, now, principal.user.name, name))
    return done(f"/administration/destinations/{name}", "resent")


@router.post("/entries")
def resend(
    request: Request,
    door: TheDoor,
    principal: AdministratorForm,
    name: Place,
    entry: Annotated[int, Form(ge=1, le=2**31 - 1)],
) -> Response:
    """Send one object again."""
    problem = attempted(lambda: door.write(lambda s, now: sending.resend(s, now, principal.user.name, entry)))
    to = f"/administration/destinations/{name}"
    return _page(request, door, principal, name, problem) if problem else done(to, "resent")


def _page(
    request: Request,
    door: Door,
    principal: Principal,
    name: str,
    problem: str = "",
    *,
    state: State | None = None,
    before: int | None = None,
    echoed: dict[str, str] | None = None,
) -> Response:
    def work(session: Session, _: float) -> dict[str, Any]:
        row = destinations.by_name(session, name)
        found = outbox.page(session, row.id, state=state, before=before, size=SIZE + 1)
        more = found[SIZE - 1][0].id if len(found) > SIZE else None
        counts = destinations.counts(session).get(row.id, {})
        return {"row": row, "address": addresses.place(row), "counts": counts, "entries": found[:SIZE], "more": more}

    told = {"objects": OBJECTS, "state": state, "first": before is None, "echoed": echoed}
    return shown(request, door, principal, "destination", problem=problem, **door.read(work), **told)

"""People: who may enter, in which role."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from cxreader.serving.access import people, sessions
from cxreader.serving.access.principals import Principal
from cxreader.serving.roles import Role
from cxreader.serving.web.allowed import Administrator, ConfirmedForm
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.pages.administration.room import attempted, shown

router = APIRouter(prefix="/administration", include_in_schema=False)
ROLES = {
    "reader": "reads: the worklist, the viewer, verdicts",
    "admin": "reads too, and administers",
    "auditor": "sees who did what, and no patient",
}


@router.get("/people")
def list_people(request: Request, door: TheDoor, principal: Administrator) -> Response:
    """Everybody, and the form for another one."""
    return _page(request, door, principal)


@router.post("/people")
def add(
    request: Request,
    door: TheDoor,
    principal: ConfirmedForm,
    name: Annotated[str, Form(max_length=200)] = "",
    role: Annotated[str, Form(max_length=20)] = "reader",
    password: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Add somebody; a password that was made up is shown on the page that follows, and nowhere again."""
    given: dict[str, Any] = {"name": name.strip(), "role": role, "password": password or people.new_password()}
    problem = attempted(lambda: door.write(lambda s, now: people.add(s, now, principal.user.name, **given)))
    made = None if problem or password else {"name": given["name"], "text": given["password"]}
    return _page(request, door, principal, problem, made=made, entered={} if not problem else {"name": name})


def _page(
    request: Request,
    door: Door,
    principal: Principal,
    problem: str = "",
    *,
    made: dict[str, str] | None = None,
    entered: dict[str, str] | None = None,
) -> Response:
    def work(session: Session, now: float) -> list[dict[str, Any]]:
        open_ = sessions.open_ones(session, now, door.lasting)
        return [
            {"user": one, "open": open_.get(one.id, (0, None)), "rests": (one.locked_until or 0) > now}
            for one in people.everybody(session)
        ]

    told = {"made": made, "entered": entered or {}, "roles": {role: ROLES[role] for role in get_args(Role)}}
    return shown(request, door, principal, "people", problem=problem, people=door.read(work), **told)

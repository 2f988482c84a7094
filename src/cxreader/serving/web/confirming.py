"""Proving again who sits at a session, before something that matters is changed: by the password, or at the provider."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from cxreader.serving.access import passwords
from cxreader.serving.access.principals import Principal
from cxreader.serving.access.refusals import SignInError, TooManyError
from cxreader.serving.web.allowed import Anybody, AnybodyForm, person_of
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.identity import client_address
from cxreader.serving.web.problem_pages import local
from cxreader.serving.web.rendering import is_page, page

router = APIRouter(include_in_schema=False)


@router.get("/confirm")
def confirm_page(request: Request, door: TheDoor, principal: Anybody, to: str = "/") -> Response:
    """The form. `to`: the page that asked for it."""
    return _form(request, door, principal, to=to)


@router.post("/confirm")
def confirm(
    request: Request,
    door: TheDoor,
    principal: AnybodyForm,
    password: Annotated[str, Form(max_length=1000)] = "",
    to: Annotated[str, Form()] = "/",
) -> Response:
    """Confirm by the password: to the page that asked for it; a page's own script is told that it may go on."""
    try:
        door.sign_ins.take(client_address(door.settings.web, request))
        passwords.confirm(door.service.database, principal.user, principal.token or "", password)
    except (TooManyError, SignInError) as error:
        if not is_page(request):
            raise
        status = 429 if isinstance(error, TooManyError) else 401
        return _form(request, door, principal, str(error), status=status, to=to)
    return RedirectResponse(local(to), 303) if is_page(request) else Response(status_code=204)


def _form(
    request: Request, door: Door, principal: Principal, problem: str = "", *, status: int = 200, to: str = "/"
) -> HTMLResponse:
    person = person_of(door, principal)
    return page(request, "confirm.html.jinja", status=status, person=person, problem=problem, to=local(to))

"""Who may come in, as the routes' dependencies: `Reader`, `Uploader` and the others refuse everybody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Form, Path, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer

from cxreader.serving.access.principals import Principal
from cxreader.serving.access.secrets import form_token
from cxreader.serving.roles import SHOWING, Scope
from cxreader.serving.web import identity
from cxreader.serving.web.door import Door, door_of
from cxreader.serving.web.rendering import Person

_BEARER = HTTPBearer(auto_error=False, description="An API token.", scheme_name="token")
_COOKIE = APIKeyCookie(
    name="cxreader",
    auto_error=False,
    description="A browser's session; whatever changes something also needs the header X-CSRF-Token.",
    scheme_name="session",
)


def who(
    request: Request,
    bearer: Annotated[Any, Security(_BEARER)],  # noqa: ARG001 - what OpenAPI tells of signing in
    cookie: Annotated[Any, Security(_COOKIE)],  # noqa: ARG001
) -> Principal:
    """Who asks. Raises SignInError for nobody, ForbiddenError for a form of another site."""
    found = identity.principal(door_of(request), request)
    request.state.user = found.user.key
    return found


def who_by_form(request: Request, csrf: Annotated[str, Form()] = "") -> Principal:
    """Who sends a form, which holds the CSRF token itself, since it works without a script."""
    found = identity.principal(door_of(request), request, form=csrf)
    request.state.user = found.user.key
    return found


def person_of(door: Door, principal: Principal) -> Person:
    """Who is signed in, for the frame of a page."""
    user = principal.user
    csrf = form_token(door.secret, principal.token or "")
    return Person(user.name, user.role, principal.scopes, csrf, principal.confirmed_for, bool(user.issuer))


def _allowed(scope: Scope, by: Callable[..., Principal] = who, *, confirmed: bool = False) -> Any:
    asked: Any = Depends(by)

    def check(request: Request, principal: Principal = asked) -> Principal:
        principal.require(scope)
        if confirmed:
            principal.require_confirmed()
        if scope in SHOWING:
            door_of(request).service.refuse_silent()
        return principal

    return Depends(check)


Key = Annotated[str, Path(pattern="^[A-Za-z0-9_.-]{1,64}$")]
"""A key, a resource's id or a UID in a path."""
Anybody = Annotated[Principal, Depends(who)]
"""Whoever is signed in."""
AnybodyForm = Annotated[Principal, Depends(who_by_form)]
"""The same by a form of a page."""
Uploader = Annotated[Principal, _allowed("upload")]
Reader = Annotated[Principal, _allowed("read")]
Judge = Annotated[Principal, _allowed("verdict")]
Exporter = Annotated[Principal, _allowed("export")]
Auditor = Annotated[Principal, _allowed("audit")]
Administrator = Annotated[Principal, _allowed("admin")]
AdministratorForm = Annotated[Principal, _allowed("admin", who_by_form)]
"""The same by a form of a page."""
ConfirmedAdministrator = Annotated[Principal, _allowed("admin", confirmed=True)]
"""Who changes what matters: people, tokens, destinations, which models read, what is deleted. Raises ConfirmationError."""
ConfirmedForm = Annotated[Principal, _allowed("admin", who_by_form, confirmed=True)]
"""The same by a form of a page."""
Watcher = Annotated[Principal, _allowed("metrics")]

"""Signing in and out with a browser: a password, an OpenID Connect provider, or a trusted proxy's word."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from cxreader.errors import AbsentError
from cxreader.serving.access import passwords, proxies, sessions
from cxreader.serving.access.oidc import Person, Provider, Started
from cxreader.serving.access.refusals import ForbiddenError, SignInError, TooManyError
from cxreader.serving.access.secrets import form_token
from cxreader.serving.web.allowed import Anybody
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.identity import client_address, cookie_name, principal, proxy_user, refuse_other_sites
from cxreader.serving.web.problem_pages import CLEARED, local
from cxreader.serving.web.rendering import page

router = APIRouter(include_in_schema=False)
_STATE = "cxreader-oidc"
_STATE_SECONDS = 600


@router.get("/login")
def login_page(request: Request, door: TheDoor, to: str = "/") -> Response:
    """The form; who comes through a proxy that names them is signed in at once. `to`: the page that was asked for."""
    named = proxy_user(door.settings.web, request)
    if not named:
        return _form(request, door, to=to)
    lasting = door.lasting
    return _welcome(door, door.write(lambda session, now: proxies.sign_in(session, now, named, lasting)), to)


@router.post("/login")
def login(
    request: Request,
    door: TheDoor,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    to: Annotated[str, Form()] = "/",
) -> Response:
    """Sign in by a password: to the page that was asked for, or back to the form with what is wrong."""
    refuse_other_sites(door.settings.web, request)
    try:
        door.sign_ins.take(client_address(door.settings.web, request))
        _, token = passwords.sign_in(door.service.database, name, password, door.lasting)
    except TooManyError as error:
        return _form(request, door, str(error), status=429, to=to)
    except SignInError as error:
        return _form(request, door, str(error), status=401, to=to)
    return _welcome(door, token, to)


@router.get("/login/oidc")
def oidc_start(request: Request, door: TheDoor) -> Response:
    """To the provider; what its answer must fit stands in a cookie of ours for ten minutes."""
    door.sign_ins.take(client_address(door.settings.web, request))
    return _to_provider(door, _provider(door).start(door.secret))


@router.get("/confirm/oidc")
def oidc_confirm(request: Request, door: TheDoor, asking: Anybody, to: str = "/") -> Response:
    """To the provider, which is to ask anew who is there."""
    door.sign_ins.take(client_address(door.settings.web, request))
    since = int(door.read(lambda _, now: now))
    if not asking.user.issuer:
        raise AbsentError("this user signs in here", mend="give the password")
    return _to_provider(door, _provider(door).start(door.secret, since=since, to=local(to)))


@router.get("/login/oidc/answer")
def oidc_answer(request: Request, door: TheDoor, code: str = "", state: str = "") -> Response:
    """Back from the provider."""
    door.sign_ins.take(client_address(door.settings.web, request))
    provider, now = _provider(door), door.read(lambda _, now: now)
    try:
        started = Started.opened(request.cookies.get(_STATE, ""), door.secret)
        person = provider.person(code, state, started, now)
        if started.since:
            return _confirmed(request, door, person, started)
        token = door.write(lambda session, now: provider.sign_in(session, now, person, door.lasting))
    except SignInError as error:
        return _form(request, door, str(error), status=401)
    made = _welcome(door, token)
    made.delete_cookie(_STATE)
    return made


@router.post("/logout")
def logout(request: Request, door: TheDoor, csrf: Annotated[str, Form()] = "") -> Response:
    """End the session; its form holds the CSRF token itself, since it works without a script."""
    refuse_other_sites(door.settings.web, request)
    token = request.cookies.get(cookie_name(door.settings.web), "")
    if not hmac.compare_digest(csrf.encode(), form_token(door.secret, token).encode()):
        raise ForbiddenError("the CSRF token is missing or wrong", mend="load the page anew")
    door.write(lambda session, now: sessions.end(session, now, token))
    made = RedirectResponse("/login", 303, CLEARED)
    made.delete_cookie(cookie_name(door.settings.web), secure=door.settings.web.secure, httponly=True, samesite="lax")
    return made


def _form(request: Request, door: Door, problem: str = "", *, status: int = 200, to: str = "/") -> HTMLResponse:
    oidc = door.settings.web.oidc is not None
    return page(request, "login.html.jinja", status=status, problem=problem, to=local(to), oidc=oidc)


def _welcome(door: Door, token: str, to: str = "/") -> RedirectResponse:
    web = door.settings.web
    made = RedirectResponse(local(to), 303)
    seconds = int(60 * web.longest)
    made.set_cookie(cookie_name(web), token, seconds, secure=web.secure, httponly=True, samesite="lax")
    return made


def _to_provider(door: Door, started: Started) -> RedirectResponse:
    made = RedirectResponse(started.url, 303)
    made.set_cookie(
        _STATE, started.sealed, _STATE_SECONDS, secure=door.settings.web.secure, httponly=True, samesite="lax"
    )
    return made


def _confirmed(request: Request, door: Door, person: Person, started: Started) -> Response:
    """Back to the page that asked for it, in the same session. Raises SignInError."""
    found = principal(door, request)
    who, provider = (found.user, found.token or ""), _provider(door)
    door.write(lambda session, now: provider.confirm(session, now, person, started, who))
    made = RedirectResponse(local(started.to), 303)
    made.delete_cookie(_STATE)
    return made


def _provider(door: Door) -> Provider:
    oidc = door.settings.web.oidc
    if oidc is None:
        raise AbsentError("no provider is set up", mend="sign in by a password")
    return Provider(oidc, f"{door.settings.web.origin}/login/oidc/answer")

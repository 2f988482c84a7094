"""Who makes a request: by an API token, or by the session of a browser, whose forms must be our own."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import replace

from fastapi import Request
from sqlalchemy.orm import Session

from cxreader.serving.access import sessions, tokens
from cxreader.serving.access.principals import Principal
from cxreader.serving.access.refusals import ForbiddenError, SignInError
from cxreader.serving.access.secrets import form_token
from cxreader.serving.roles import SCOPES
from cxreader.serving.web.door import Door
from cxreader.serving.web_settings import WebSection

CSRF = "x-csrf-token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
BY_ITSELF = frozenset(
    {
        ("GET", "/api/v1/events"),
        ("GET", "/api/v1/session"),
        ("GET", "/studies/{key}/panel"),
        ("GET", "/worklist/news"),
        ("PUT", "/api/v1/studies/{key}/lock"),
    }
)
"""Routes that an open page asks for without anybody's doing: they do not keep a session from ending when idle."""
_MEND = "sign in, or give an API token as `Authorization: Bearer ...`"


def cookie_name(web: WebSection) -> str:
    """`__Host-` binds it to this host and to TLS (RFC 6265bis 4.1.3.2), which plain HTTP on this machine cannot have."""
    return "__Host-cxreader" if web.secure else "cxreader"


def principal(door: Door, request: Request, *, form: str = "") -> Principal:
    """Who makes the request; `form`: the CSRF token that a form without a script holds.

    Raises SignInError, and ForbiddenError where a form is not our own.
    """
    given = request.headers.get("authorization")
    if given is not None:
        kind, _, text = given.partition(" ")
        return _by_token(door, text.strip() if kind.lower() == "bearer" else "")
    token = request.cookies.get(cookie_name(door.settings.web))
    if token is None:
        raise SignInError("nobody is signed in", mend=_MEND)
    found = _by_session(door, token, is_use=_route(request) not in BY_ITSELF)
    named = proxy_user(door.settings.web, request)
    if named not in (None, found.user.name):
        raise SignInError("the proxy names another user than the session", mend="sign in again")
    if named is not None:  # the proxy vouches for every request, and asks anew as it is set up to
        found = replace(found, confirmed_for=sessions.CONFIRMED)
    if request.method not in SAFE:
        refuse_other_sites(door.settings.web, request)
        if not hmac.compare_digest(_csrf(request) or form.encode(), form_token(door.secret, token).encode()):
            raise ForbiddenError("the CSRF token is missing or wrong", mend="load the page anew")
    return found


def refuse_other_sites(web: WebSection, request: Request) -> None:
    """Raise ForbiddenError for a request that a browser says another site made (Fetch Metadata; RFC 6454 for the others)."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site not in (None, "same-origin", "none") or (site is None and origin not in (None, web.origin)):
        raise ForbiddenError("the request came from another site", mend="use this service's own pages")


def proxy_user(web: WebSection, request: Request) -> str | None:
    """The user whom a trusted proxy names, "" where it names none; None from anywhere else, whatever it names."""
    if web.user_header is None or request.client is None or not is_proxy(web, request.client.host):
        return None
    return request.headers.get(web.user_header, "")


def client_address(web: WebSection, request: Request) -> str:
    """Where the request comes from: of the addresses that trusted proxies forwarded, the last that is not a proxy's."""
    address = "" if request.client is None else request.client.host
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    while is_proxy(web, address) and forwarded and forwarded[-1].strip():
        address = forwarded.pop().strip()
    return address


def is_proxy(web: WebSection, address: str) -> bool:
    """Whether this address is one of the trusted proxies'."""
    try:
        return any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in web.proxies)
    except ValueError:
        return False


def _route(request: Request) -> tuple[str, str]:
    """Method and template of what is asked for."""
    return request.method, getattr(request.scope.get("route"), "path", "")


def _csrf(request: Request) -> bytes:
    return (request.headers.get(CSRF) or "").encode("utf-8", "replace")


def _by_token(door: Door, text: str) -> Principal:
    found = door.read(lambda session, now: tokens.find(session, now, text))
    if found is None:
        raise SignInError("the API token is unknown, over or revoked", mend=_MEND)
    row, who = found
    if door.read(lambda _, now: tokens.is_stale(row, now)):
        door.write(lambda session, now: tokens.touch(session, now, row))
    return who


def _by_session(door: Door, token: str, *, is_use: bool) -> Principal:
    def look(session: Session, now: float) -> tuple[Principal, bool] | None:
        found = sessions.find(session, now, token, door.lasting)
        if found is None:
            return None
        row, user = found
        known = Principal(user, SCOPES[user.role], token, sessions.confirmed_for(row, now))
        return known, now - row.seen_at > sessions.TOUCH

    seen = door.read(look)
    if seen is None:
        raise SignInError("the session is over", mend=_MEND)
    who, stale = seen
    if stale and is_use:
        door.write(lambda session, now: sessions.touch(session, now, token))
    return who

"""API tokens of everybody: adding, with the text shown once, and revoking."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from cxreader.serving.access import people, tokens
from cxreader.serving.access.principals import Principal
from cxreader.serving.access.refusals import ForbiddenError
from cxreader.serving.access.tokens import Made
from cxreader.serving.roles import SCOPES
from cxreader.serving.web.allowed import Administrator, ConfirmedForm, Key
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.pages.administration.room import attempted, done, shown

router = APIRouter(prefix="/administration/tokens", include_in_schema=False)
DOES = {
    "upload": "send images",
    "read": "worklist, studies, pixels, results",
    "verdict": "verdicts, locks, states",
    "export": "the table of answers and verdicts",
    "metrics": "Prometheus metrics",
    "admin": "administration",
    "audit": "the audit log",
}


@router.get("")
def list_tokens(request: Request, door: TheDoor, principal: Administrator) -> Response:
    """All tokens, and the form for another one."""
    return _page(request, door, principal)


@router.post("")
def add(
    request: Request,
    door: TheDoor,
    principal: ConfirmedForm,
    user: Annotated[str, Form(max_length=64)] = "",
    name: Annotated[str, Form(max_length=100)] = "",
    scopes: Annotated[list[str] | None, Form(max_length=20)] = None,
    days: Annotated[float, Form(allow_inf_nan=False)] = 90,
) -> Response:
    """Add a token; its text is shown on the page that follows, and nowhere again."""
    if principal.token is None:
        raise ForbiddenError("a token makes no tokens", mend="sign in with a browser")
    given: dict[str, Any] = {"name": name.strip(), "scopes": scopes or [], "days": days, "actor": principal.user.name}
    made: list[Made] = []

    def work(session: Session, now: float) -> None:
        made.append(tokens.add(session, now, people.by_key(session, user), **given))

    problem = attempted(lambda: door.write(work))
    entered = {"user": user, "name": name, "scopes": scopes or [], "days": days} if problem else {}
    return _page(request, door, principal, problem, made=made[-1] if made and not problem else None, entered=entered)


@router.post("/{user}/{key}/revoke")
def revoke(door: TheDoor, principal: ConfirmedForm, user: Key, key: Key) -> Response:
    """End a token."""
    name = principal.user.name
    door.write(lambda s, now: tokens.revoke(s, now, people.by_key(s, user), key, actor=name))
    return done("/administration/tokens", "revoked")


def _page(
    request: Request,
    door: Door,
    principal: Principal,
    problem: str = "",
    *,
    made: Made | None = None,
    entered: dict[str, Any] | None = None,
) -> Response:
    def work(session: Session, now: float) -> dict[str, Any]:
        rows = [(one, user, _state(one.revoked_at, one.ends_at, now)) for one, user in tokens.every(session)]
        able = [one for one in people.everybody(session) if one.disabled_at is None]
        return {"tokens": rows, "people": [(one, sorted(SCOPES[one.role])) for one in able]}

    told = {"made": made, "entered": entered or {}, "does": DOES, "longest": tokens.LONGEST}
    return shown(request, door, principal, "tokens", problem=problem, **door.read(work), **told)


def _state(revoked: float | None, ends: float, now: float) -> str:
    return "revoked" if revoked is not None else "over" if ends <= now else "works"

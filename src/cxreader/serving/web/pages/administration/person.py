"""One person: role, password, sessions, access."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from cxreader.serving.access import people, sessions, tokens
from cxreader.serving.access.principals import Principal
from cxreader.serving.roles import Role
from cxreader.serving.store.tables.people import User
from cxreader.serving.web.allowed import Administrator, AdministratorForm, ConfirmedForm, Key
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.pages.administration.people import ROLES
from cxreader.serving.web.pages.administration.room import attempted, done, shown

router = APIRouter(prefix="/administration/people/{key}", include_in_schema=False)


@router.get("")
def show(request: Request, door: TheDoor, principal: Administrator, key: Key) -> Response:
    """What there is to know and to change."""
    return _page(request, door, principal, key)


@router.post("/role")
def set_role(
    request: Request,
    door: TheDoor,
    principal: ConfirmedForm,
    key: Key,
    role: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Another role."""
    held: Any = role
    problem = _changed(door, key, lambda s, now, user: people.set_role(s, now, principal.user.name, user, held))
    return _page(request, door, principal, key, problem) if problem else done(_at(key), "access")


@router.post("/access")
def set_access(
    request: Request, door: TheDoor, principal: ConfirmedForm, key: Key, enabled: Annotated[bool, Form()] = False
) -> Response:
    """Enter no more, or again."""
    actor = principal.user.name
    problem = _changed(door, key, lambda s, now, user: people.set_disabled(s, now, actor, user, disabled=not enabled))
    return _page(request, door, principal, key, problem) if problem else done(_at(key), "access")


@router.post("/sessions")
def end_sessions(door: TheDoor, principal: AdministratorForm, key: Key) -> Response:
    """Sign out everywhere."""
    _changed(door, key, lambda s, now, user: people.end_sessions(s, now, principal.user.name, user))
    return done(_at(key), "ended")


@router.post("/password")
def set_password(
    request: Request,
    door: TheDoor,
    principal: ConfirmedForm,
    key: Key,
    password: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Another password; one that was made up is shown on the page that follows, and nowhere again."""
    given = password or people.new_password()
    actor = principal.user.name
    problem = _changed(door, key, lambda s, now, user: people.set_password(s, now, actor, user, given))
    made = None if problem or password else given
    said = "" if problem else "The password is set; the sessions of this person ended."
    return _page(request, door, principal, key, problem, made=made, message=said)


def _changed(door: Door, key: str, change: Callable[[Session, float, User], None]) -> str:
    return attempted(lambda: door.write(lambda s, now: change(s, now, people.by_key(s, key))))


def _at(key: str) -> str:
    return f"/administration/people/{key}"


def _page(
    request: Request,
    door: Door,
    principal: Principal,
    key: str,
    problem: str = "",
    *,
    made: str | None = None,
    message: str = "",
) -> Response:
    def work(session: Session, now: float) -> dict[str, Any]:
        user = people.by_key(session, key)
        open_ = sessions.open_ones(session, now, door.lasting).get(user.id, (0, None))
        lasting = sum(one.revoked_at is None and one.ends_at > now for one in tokens.of_user(session, user))
        return {"user": user, "open": open_, "tokens": lasting, "rests": (user.locked_until or 0) > now}

    told = {"made": made, "message": message, "roles": {role: ROLES[role] for role in get_args(Role)}}
    return shown(request, door, principal, "person", problem=problem, **door.read(work), **told)

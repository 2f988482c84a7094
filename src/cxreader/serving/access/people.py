"""Keeping people: adding, disabling, new passwords and roles. Whoever is changed is signed out everywhere."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.errors import AbsentError, UsageError
from cxreader.serving.access import tokens
from cxreader.serving.access.sessions import end_all
from cxreader.serving.roles import Role
from cxreader.serving.store import audit, users
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.tables.people import User

_PASSWORD_BYTES = 15


def everybody(session: Session) -> Sequence[User]:
    """All users by name."""
    return session.scalars(select(User).order_by(User.name)).all()


def by_key(session: Session, key: str) -> User:
    """The user of this key. Raises AbsentError."""
    user = session.scalar(select(User).where(User.key == key))
    if user is None:
        raise AbsentError("there is no such user", mend="list them")
    return user


def named(session: Session, name: str) -> User:
    """The user of this name. Raises AbsentError."""
    user = session.scalar(select(User).where(User.name == name))
    if user is None:
        raise AbsentError(f"there is no user {name!r}", mend="cxreader serve user list")
    return user


def add(session: Session, now: float, actor: str, *, name: str, role: Role, password: str) -> User:
    """A new user. Raises as `store.users.add`."""
    user = users.add(session, now, name=name, role=role, password=password)
    audit.note(session, now, [Noted("user added", actor, user.key, {"role": role})])
    return user


def set_password(session: Session, now: float, actor: str, user: User, password: str) -> None:
    """A new password, which also ends the rest after wrong attempts, and tokens. Raises UsageError for one that is too short."""
    user.password, user.failed_logins, user.locked_until = users.hashed(password), 0, None
    tokens.revoke_all(session, now, user, actor=actor)
    _changed(session, now, actor, user, "password set")


def set_role(session: Session, now: float, actor: str, user: User, role: Role) -> None:
    """Another role. Raises UsageError for one that is none, and where nobody would administer the service any more."""
    if role not in get_args(Role):
        raise UsageError(f"no role is called {role!r}", mend=f"known: {', '.join(get_args(Role))}")
    if role != "admin":
        _refuse_the_last(session, user)
    user.role = role
    _changed(session, now, actor, user, f"role set to {role}")


def set_disabled(session: Session, now: float, actor: str, user: User, *, disabled: bool) -> None:
    """Nobody can enter as this user any more, or again; tokens end for good, verdicts stay.

    Raises UsageError where nobody would administer the service any more.
    """
    if disabled:
        _refuse_the_last(session, user)
    user.disabled_at = now if disabled else None
    tokens.revoke_all(session, now, user, actor=actor)
    _changed(session, now, actor, user, "user disabled" if disabled else "user enabled")


def end_sessions(session: Session, now: float, actor: str, user: User) -> None:
    """Sign a user out everywhere; API tokens stay."""
    _changed(session, now, actor, user, "sessions ended")


def new_password() -> str:
    """A password that was made up, to be shown once: 120 random bits."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def _refuse_the_last(session: Session, user: User) -> None:
    """Who cannot administer any more cannot mend it either, but by the command line."""
    able = (User.role == "admin", User.disabled_at.is_(None))
    others = session.scalar(select(User.id).where(*able, User.id != user.id).limit(1))
    if user.role == "admin" and user.disabled_at is None and others is None:
        raise UsageError("nobody else is an administrator", where="role", mend="make another user one first")


def _changed(session: Session, now: float, actor: str, user: User, event: str) -> None:
    session.flush()
    end_all(session, user)
    audit.note(session, now, [Noted(event, actor, user.key)])

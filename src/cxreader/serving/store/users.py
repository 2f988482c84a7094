"""People who use the service, with passwords as argon2id hashes."""

from __future__ import annotations

from typing import get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.roles import Role
from cxreader.serving.store.tables.people import User

SHORTEST = 12
"""Characters of a password (NIST SP 800-63B asks for at least eight)."""


def any_there(session: Session) -> bool:
    """Whether there is a user at all."""
    return session.scalar(select(User.id).limit(1)) is not None


def add(session: Session, now: float, *, name: str, role: Role, password: str) -> User:
    """A new user. Raises UsageError for a name that is taken or empty, an unknown role, and a password that is too short."""
    if not name.strip() or not name.isprintable():
        raise UsageError("a user needs a name", mend="give one that can be printed")
    if role not in get_args(Role):
        raise UsageError(f"no role is called {role!r}", mend=f"known: {', '.join(get_args(Role))}")
    if session.scalar(select(User.id).where(User.name == name)) is not None:
        raise UsageError("a user of this name is there already", mend="choose another name")
    user = User(name=name, role=role, password=hashed(password), created_at=now)
    user.issuer = user.subject = ""
    session.add(user)
    session.flush()
    return user


def hashed(password: str) -> str:
    """The argon2id hash of a password (RFC 9106), with its own salt. Raises UsageError for one that is too short."""
    from argon2 import PasswordHasher

    if len(password) < SHORTEST:
        raise UsageError("the password is too short", mend=f"give at least {SHORTEST} characters")
    return PasswordHasher().hash(password)

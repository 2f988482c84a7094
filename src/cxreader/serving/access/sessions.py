"""Sessions of browsers: they end when not used for a while, after a fixed time, and when their user changes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from cxreader.serving.access.secrets import digest, new_token
from cxreader.serving.store import audit
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.tables.people import LoginSession, User

TOUCH = 60.0
"""Seconds for which a session's use is not written down again."""
CONFIRMED = 600.0
"""Seconds for which its user counts as there after a password, or a provider's word, was given."""
PASSWORD = "password"  # noqa: S105 - a way of signing in


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long sessions last, in seconds: `idle` without a request, `longest` in any case."""

    idle: float
    longest: float


def start(session: Session, now: float, user: User, lasting: Lasting, *, how: str) -> str:
    """Begin a session and return its token, which is kept nowhere. `how` the user signed in goes to the audit log.

    A password is a confirmation; a provider or a proxy may speak for somebody who signed in there long ago.
    """
    token = new_token()
    session.execute(delete(LoginSession).where(LoginSession.ends_at <= now))
    made = LoginSession(
        token=digest(token), user_id=user.id, created_at=now, seen_at=now, ends_at=now + lasting.longest
    )
    made.confirmed_at = now if how == PASSWORD else None
    session.add(made)
    session.flush()
    audit.note(session, now, [Noted("signed in", user.name, user.key, {"how": how})])
    return token


def find(session: Session, now: float, token: str, lasting: Lasting) -> tuple[LoginSession, User] | None:
    """The session of a token and its user; None for one that ended, and for a user who is disabled."""
    found = session.execute(
        select(LoginSession, User)
        .join(User, User.id == LoginSession.user_id)
        .where(
            LoginSession.token == digest(token),
            LoginSession.ends_at > now,
            LoginSession.seen_at > now - lasting.idle,
            User.disabled_at.is_(None),
        )
    ).first()
    return None if found is None else (found[0], found[1])


def touch(session: Session, now: float, token: str) -> None:
    """Write down that it is used."""
    session.execute(update(LoginSession).where(LoginSession.token == digest(token)).values(seen_at=now))


def confirm(session: Session, now: float, token: str, user: User, *, how: str) -> None:
    """Write down that its user proved to be there, and `how`."""
    session.execute(update(LoginSession).where(LoginSession.token == digest(token)).values(confirmed_at=now))
    audit.note(session, now, [Noted("confirmed", user.name, user.key, {"how": how})])


def confirmed_for(row: LoginSession, now: float) -> float:
    """Seconds for which the last confirmation still holds; 0 for none."""
    return 0.0 if row.confirmed_at is None else max(0.0, row.confirmed_at + CONFIRMED - now)


def end(session: Session, now: float, token: str) -> None:
    """End this session; nothing happens where it is over."""
    user = session.scalar(select(User).join(LoginSession).where(LoginSession.token == digest(token)))
    if user is not None:
        session.execute(delete(LoginSession).where(LoginSession.token == digest(token)))
        audit.note(session, now, [Noted("signed out", user.name, user.key)])


def open_ones(session: Session, now: float, lasting: Lasting) -> dict[int, tuple[int, float]]:
    """By user, how many sessions are open, and when one of them was last used."""
    open_ = LoginSession.ends_at > now, LoginSession.seen_at > now - lasting.idle
    found = select(LoginSession.user_id, func.count(), func.max(LoginSession.seen_at)).where(*open_)
    return {user: (count, seen) for user, count, seen in session.execute(found.group_by(LoginSession.user_id))}


def end_all(session: Session, user: User) -> None:
    """End every session of a user."""
    session.execute(delete(LoginSession).where(LoginSession.user_id == user.id))

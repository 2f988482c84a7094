"""Signing in by the word of a trusted proxy: it names one of our users."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.serving.access import sessions
from cxreader.serving.access.refusals import SignInError
from cxreader.serving.access.sessions import Lasting
from cxreader.serving.store.tables.people import User


def sign_in(session: Session, now: float, name: str, lasting: Lasting) -> str:
    """The token of a new session. Raises SignInError for a name that is no user's who may enter."""
    user = session.scalar(select(User).where(User.name == name, User.disabled_at.is_(None)))
    if user is None:
        raise SignInError("the proxy names nobody who may enter", mend="ask an administrator")
    return sessions.start(session, now, user, lasting, how="proxy")

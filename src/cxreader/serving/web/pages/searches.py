"""What a person looked for: it stays in the session, under a random name that addresses may show."""

from __future__ import annotations

import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.access.principals import Principal
from cxreader.serving.access.secrets import digest
from cxreader.serving.store.tables.people import LoginSession
from cxreader.serving.web.door import Door

KEPT = 8
"""Searches of a session that the way back leads to."""


def keep(door: Door, principal: Principal, terms: str) -> str:
    """Its name. Raises UsageError for a program, which has no session."""
    token = secrets.token_urlsafe(12)

    def work(session: Session, _: float) -> None:
        row = _of(session, principal)
        if row is None:
            raise UsageError("a program has no session to search in", mend="use DICOMweb's QIDO-RS")
        row.searches = dict([*row.searches.items()][1 - KEPT :]) | {token: terms}

    door.write(work)
    return token


def found(door: Door, principal: Principal, token: str) -> str | None:
    """What was looked for under this name in this session; None where that is not known any more."""
    if not token:
        return None
    row = door.read(lambda session, _: _of(session, principal))
    kept = None if row is None else row.searches.get(token)
    return None if kept is None else str(kept)


def _of(session: Session, principal: Principal) -> LoginSession | None:
    if principal.token is None:
        return None
    return session.scalar(select(LoginSession).where(LoginSession.token == digest(principal.token)))

"""API tokens: keys of programs, each with scopes and an end, shown once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cxreader.errors import AbsentError, UsageError
from cxreader.serving.access.principals import Principal
from cxreader.serving.access.secrets import PREFIX, digest, new_token
from cxreader.serving.access.sessions import TOUCH
from cxreader.serving.roles import SCOPES, Scope
from cxreader.serving.store import audit
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.tables.people import ApiToken, User

LONGEST = 366.0
"""Days that a token lasts at most."""
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Made:
    """A new token: its row, and its `text`, which is kept nowhere."""

    row: ApiToken
    text: str


def add(
    session: Session, now: float, user: User, *, name: str, scopes: Sequence[Scope], days: float, actor: str = ""
) -> Made:
    """A new token of a user, made by `actor`, or by that user.

    Raises UsageError for a scope that the user lacks, no scope, no name, and days beyond LONGEST.
    """
    allowed = SCOPES[user.role]
    if not scopes or not allowed.issuperset(scopes):
        raise UsageError(
            "a token needs scopes that its user has", where="scopes", mend=f"choose among {', '.join(sorted(allowed))}"
        )
    if not name.strip() or not name.isprintable():
        raise UsageError("a token needs a name", where="name", mend="name the program that will use it")
    if not 0 < days <= LONGEST:
        raise UsageError(f"a token of {days:g} days", where="days", mend=f"give more than 0 and at most {LONGEST:.0f}")
    text = new_token(PREFIX)
    row = ApiToken(token=digest(text), name=name, user_id=user.id, scopes=sorted(set(scopes)))
    row.created_at, row.ends_at, row.used_at, row.revoked_at = now, now + days * _DAY, None, None
    session.add(row)
    session.flush()
    detail = {"scopes": row.scopes, "days": days}
    audit.note(session, now, [Noted("token added", actor or user.name, row.key, detail)])
    return Made(row, text)


def find(session: Session, now: float, text: str) -> tuple[ApiToken, Principal] | None:
    """Whose token this is; None for one that is unknown, over or revoked, and for a user who is disabled."""
    found = session.execute(
        select(ApiToken, User)
        .join(User, User.id == ApiToken.user_id)
        .where(
            ApiToken.token == digest(text),
            ApiToken.ends_at > now,
            ApiToken.revoked_at.is_(None),
            User.disabled_at.is_(None),
        )
    ).first()
    if found is None:
        return None
    token, user = found
    return token, Principal(user, SCOPES[user.role] & frozenset(token.scopes))


def is_stale(token: ApiToken, now: float) -> bool:
    """Whether its use should be written down again."""
    return token.used_at is None or now - token.used_at > TOUCH


def touch(session: Session, now: float, token: ApiToken) -> None:
    """Write down that it is used."""
    session.execute(update(ApiToken).where(ApiToken.id == token.id).values(used_at=now))


def of_user(session: Session, user: User) -> Sequence[ApiToken]:
    """All tokens of a user, the newest first."""
    return session.scalars(select(ApiToken).where(ApiToken.user_id == user.id).order_by(ApiToken.id.desc())).all()


def every(session: Session) -> Sequence[tuple[ApiToken, User]]:
    """All tokens of everybody with their users, the newest first."""
    found = select(ApiToken, User).join(User, User.id == ApiToken.user_id).order_by(ApiToken.id.desc())
    return [(token, user) for token, user in session.execute(found)]


def revoke(session: Session, now: float, user: User, key: str, *, actor: str = "") -> None:
    """End one of the user's tokens. Raises AbsentError for another's, as for one that is not there."""
    token = session.scalar(select(ApiToken).where(ApiToken.key == key, ApiToken.user_id == user.id))
    if token is None:
        raise AbsentError("there is no such token", mend="list yours")
    token.revoked_at = token.revoked_at or now
    session.flush()
    audit.note(session, now, [Noted("token revoked", actor or user.name, token.key)])


def revoke_all(session: Session, now: float, user: User, *, actor: str) -> None:
    """End every token of a user that is not ended yet."""
    left = session.scalars(select(ApiToken).where(ApiToken.user_id == user.id, ApiToken.revoked_at.is_(None))).all()
    for token in left:
        token.revoked_at = now
    session.flush()
    audit.note(session, now, [Noted("token revoked", actor, token.key) for token in left])

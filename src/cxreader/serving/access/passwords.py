"""Signing in by a password: attempts are slow, counted, and told apart by nobody outside."""

from __future__ import annotations

from functools import cache

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cxreader.serving.access import sessions
from cxreader.serving.access.refusals import SignInError
from cxreader.serving.access.sessions import Lasting
from cxreader.serving.store import audit
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.database import Database
from cxreader.serving.store.tables.people import User

FREE = 5
"""Wrong passwords in a row before the account rests."""
REST, LONGEST_REST = 60.0, 900.0
"""Seconds of rest after those; each further one doubles it, up to the longest."""


def sign_in(database: Database, name: str, password: str, lasting: Lasting) -> tuple[User, str]:
    """The user and the token of a new session. Raises SignInError, which is the same whatever was wrong."""
    key = _checked(database, name, password)

    def work(session: Session) -> tuple[User, str]:
        found = session.get_one(User, key)
        found.failed_logins, found.locked_until = 0, None
        return found, sessions.start(session, database.now(session), found, lasting, how=sessions.PASSWORD)

    return database.write(work)


def confirm(database: Database, user: User, token: str, password: str) -> None:
    """The user of a session proves to be there. Raises SignInError; wrong attempts count as those to sign in."""
    _checked(database, user.name, password)
    database.write(
        lambda s: sessions.confirm(s, database.now(s), token, s.get_one(User, user.id), how=sessions.PASSWORD)
    )


def _checked(database: Database, name: str, password: str) -> int:
    """The id of the user of this name and password."""
    with database.reading() as session:
        now = database.now(session)
        user = session.scalar(select(User).where(User.name == name.replace("\0", "")))
    rests = user is not None and user.locked_until is not None and user.locked_until > now
    usable = user is not None and user.disabled_at is None and bool(user.password) and not rests
    right = _matches(user.password if user is not None and usable else _nobody(), password)
    if user is None or not usable or not right:
        database.write(lambda s: _refuse(s, database.now(s), None if rests else user))
        raise SignInError(
            "the name or the password is wrong, or the account rests after wrong attempts", mend="wait, and try again"
        )
    return user.id


def _refuse(session: Session, now: float, user: User | None) -> None:
    """Count a wrong attempt. What was typed as a name is not noted: it may be a password."""
    if user is None:
        audit.note(session, now, [Noted("sign-in refused", "")])
        return
    count = User.failed_logins + 1
    session.execute(update(User).where(User.id == user.id).values(failed_logins=count))
    failed = session.scalars(select(User.failed_logins).where(User.id == user.id)).one()
    if failed >= FREE:
        rest = min(REST * 2.0 ** min(failed - FREE, 10), LONGEST_REST)
        session.execute(update(User).where(User.id == user.id).values(locked_until=now + rest))
    audit.note(session, now, [Noted("sign-in refused", user.name, user.key, {"attempts": failed})])


def _matches(kept: str, password: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(kept, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    """The hash of a password that nobody knows: an unknown name takes as long as a wrong password."""
    from argon2 import PasswordHasher

    from cxreader.serving.access.secrets import new_token

    return PasswordHasher().hash(new_token())

"""In which mode a reader reads, and who was shown which answer.

read-first: the answer is shown after the reader's own, provisional verdict. concurrent: it is shown at once. A verdict is of the
mode in which its reader came to see the answer, whatever mode is set when it is given.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy.orm import Session

from cxreader.serving.store import audit
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.tables.images import Study
from cxreader.serving.store.tables.people import ShownAnswer, User

Mode = Literal["read-first", "concurrent"]
READ_FIRST: Mode = "read-first"
CONCURRENT: Mode = "concurrent"
_SETTING = "mode"


def mode_of(user: User) -> Mode:
    """The reader's mode; read-first until another one is chosen."""
    return CONCURRENT if user.settings.get(_SETTING) == CONCURRENT else READ_FIRST


def set_mode(session: Session, now: float, user: User, mode: Mode) -> None:
    """Choose a mode; what was shown stays shown."""
    own = session.get_one(User, user.id)
    own.settings = own.settings | {_SETTING: mode}
    audit.note(session, now, [Noted("reading mode chosen", user.name, user.key, {"mode": mode})])


def shown(session: Session, study: Study, user: User) -> ShownAnswer | None:
    """When and in which mode this reader was shown the answer to a study; None before."""
    return session.get(ShownAnswer, (study.id, user.id))


def show(session: Session, now: float, study: Study, user: User, mode: Mode, result: int) -> ShownAnswer:
    """Remember that a reader is shown an answer; the first time stays."""
    found = shown(session, study, user)
    if found is None:
        found = ShownAnswer(study_id=study.id, user_id=user.id, result_id=result, mode=mode, at=now)
        session.add(found)
        audit.note(session, now, [Noted("answer shown", user.name, study.key, {"mode": mode})])
    return found

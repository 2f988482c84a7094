"""What a reader's session is not told before the reader's own verdict, wherever it asks; programs read for nobody.

In the mode read-first no page and no route gives a session the answer to a study of which its user has said nothing. An API token
is a program's: it is given everything that its scopes allow.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from cxreader.serving.access.principals import Principal
from cxreader.serving.access.refusals import WithheldError
from cxreader.serving.store.reading import modes
from cxreader.serving.store.reading.views import StudyView
from cxreader.serving.store.reading.withheld import withheld
from cxreader.serving.store.tables.people import ShownAnswer, User, Verdict
from cxreader.serving.web.door import Door

READ_FIRST = "read-first"
"""The reason that stands where an answer is withheld."""


def reader_of(principal: Principal) -> User | None:
    """Who reads by this request; None for a program."""
    return None if principal.token is None else principal.user


def withheld_from(session: Session, principal: Principal, studies: Sequence[int]) -> frozenset[int]:
    """Of these studies, by their ids, those whose answer is withheld."""
    reader = reader_of(principal)
    return frozenset() if reader is None else withheld(session, reader, studies)


def refuse_before_verdict(session: Session, principal: Principal, study: int) -> None:
    """Raise WithheldError where the answer to a study is withheld."""
    if withheld_from(session, principal, [study]):
        raise WithheldError("the answer is withheld: read first", mend="give a provisional verdict on the study")


def is_shown(door: Door, user: User, view: StudyView) -> bool:
    """Whether this reader is shown the answer to a study from now on: always in the mode concurrent, which is remembered."""
    shown = door.read(lambda session, _: modes.shown(session, view.study, user))
    own = [one for one in view.verdicts if one.user_id == user.id]
    opens = modes.mode_of(user) == modes.CONCURRENT or bool(own)
    if shown is None and opens:
        _show(door, user, view, own)
    return opens or shown is not None


def _show(door: Door, user: User, view: StudyView, own: Sequence[Verdict]) -> ShownAnswer | None:
    """The answer is shown from now on; None while there is none."""
    result = view.row.result_id
    if result is None:
        return None
    first = own[0].mode if own else modes.CONCURRENT
    mode = modes.CONCURRENT if first == modes.CONCURRENT else modes.READ_FIRST
    return door.write(lambda session, now: modes.show(session, now, view.study, user, mode, result))

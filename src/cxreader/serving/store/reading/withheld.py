"""Answers that are withheld from who reads first, until their own verdict."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.serving.store.reading import modes
from cxreader.serving.store.tables.people import ShownAnswer, User, Verdict


def withheld(session: Session, user: User, studies: Sequence[int]) -> frozenset[int]:
    """Of these studies, by their ids, those whose answer this reader reads without: no verdict given, no answer shown yet.

    None in the mode concurrent.
    """
    if modes.mode_of(user) == modes.CONCURRENT:
        return frozenset()
    known = set[int]()
    for table in (ShownAnswer, Verdict):
        asked = select(table.study_id).where(table.user_id == user.id, table.study_id.in_(studies))
        known.update(session.scalars(asked))
    return frozenset(studies) - known

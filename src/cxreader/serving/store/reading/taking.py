"""The next study for a reader: the most urgent one that nobody else has in hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cxreader.serving.roles import SCOPES
from cxreader.serving.store.reading import listing, verdicts
from cxreader.serving.store.reading.filters import Filters
from cxreader.serving.store.tables.images import Study, WorklistRow
from cxreader.serving.store.tables.people import StudyLock, User
from cxreader.serving.store.tables.sending import OutboxEntry


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a study in hand `since` a moment; `live`: whether their page was heard of lately."""

    reader: str
    since: float
    live: bool


def holders(session: Session, now: float, studies: Sequence[int]) -> Mapping[int, Holder]:
    """Who has these studies in hand."""
    query = select(StudyLock, User.name).join(User, User.id == StudyLock.user_id).where(StudyLock.study_id.in_(studies))
    return {lock.study_id: Holder(name, lock.since, live=lock.until > now) for lock, name in session.execute(query)}


def sent(session: Session, results: Sequence[int]) -> Mapping[int, Mapping[str, int]]:
    """Of these results, how many objects are in each state of the outbox; nothing of a result that goes nowhere."""
    query = (
        select(OutboxEntry.result_id, OutboxEntry.state, func.count())
        .where(OutboxEntry.result_id.in_(results))
        .group_by(OutboxEntry.result_id, OutboxEntry.state)
    )
    found: dict[int, dict[str, int]] = {}
    for result, state, count in session.execute(query):
        found.setdefault(result, {})[state] = count
    return found


def readers(session: Session) -> Sequence[str]:
    """Names of those who give verdicts, in their order."""
    roles = [role for role, scopes in SCOPES.items() if "verdict" in scopes]
    who = select(User.name).where(User.role.in_(roles), User.disabled_at.is_(None)).order_by(User.name)
    return session.scalars(who).all()


def handed_to(session: Session, now: float, row: WorklistRow, user: User) -> str:
    """The other reader to whom an open study was handed over, while nobody has it in hand; empty for none."""
    if not verdicts.is_anothers(row, user) or holders(session, now, [row.study_id]):
        return ""
    return row.reader


def next_study(session: Session, now: float, user: User, filters: Filters, *, after: str = "") -> str | None:
    """Its key, once it is in this user's hand; None where all that is open is in others'. `after` is not given again."""
    cursor = None
    while True:
        page = listing.page(session, now, cursor=cursor, filters=filters)
        held = holders(session, now, [one.row.study_id for one in page.entries])
        for one in page.entries:
            is_free = one.study.key != after and _is_free(one.row, held.get(one.row.study_id), user)
            if is_free and _taken(session, now, one.study, user):
                return one.study.key
        cursor = page.cursor
        if cursor is None:
            return None


def _is_free(row: WorklistRow, holder: Holder | None, user: User) -> bool:
    """Not what another one reads, nor what was handed over to another one; what was left behind is free."""
    if holder is not None and holder.live:
        return holder.reader == user.name
    return row.reader in ("", user.name, "" if holder is None else holder.reader)


def _taken(session: Session, now: float, study: Study, user: User) -> bool:
    """Whether it is this user's now: another transaction may have taken or ended it since the list was read."""
    lock = verdicts.take(session, now, study, user)
    if lock is None or lock.user_id != user.id:
        return False
    if verdicts.row_of(session, study).state == "open":
        return True
    verdicts.release(session, now, study, user)
    return False

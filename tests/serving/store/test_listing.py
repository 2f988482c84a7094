"""The worklist's pages: the rule's order, what waited too long before everything else, every study once."""

from __future__ import annotations

import random
from itertools import islice

import pytest
from sqlalchemy.orm import Session
from tests.serving.rows import WAITS, study

from cxreader.errors import UsageError
from cxreader.inference.triage import ALARM, IN_DOUBT, NORMAL, UNANSWERED
from cxreader.serving.store.database import Database
from cxreader.serving.store.reading import listing
from cxreader.serving.store.reading.listing import Page, State
from cxreader.serving.store.tables.images import WorklistRow

NOW = 10_000.0


def add(session: Session, n: int, step: int, height: float, received: float, state: State = "open") -> None:
    one = study(n, received_at=received)
    session.add(one)
    session.flush()
    row = WorklistRow(study_id=one.id, step=step, depth=-height, received_at=received, due_at=WAITS.due(received, step))
    row.state, row.reason, row.images, row.read, row.failed = state, f"reason {n}", 1, 1, 0
    row.conflict, row.revision, row.updated_at = False, 1, received
    session.add(row)


def page(
    database: Database, now: float = NOW, cursor: str | None = None, size: int = 50, state: State = "open"
) -> Page:
    with database.reading() as session:
        return listing.page(session, now, state=state, cursor=cursor, size=size)


def uids(found: Page) -> list[str]:
    return [entry.study.study_uid.removeprefix("1.2.3.") for entry in found.entries]


def test_bands_then_height_then_who_came_first(database: Database) -> None:
    with database.writing() as session:
        add(session, 1, NORMAL, 0.1, NOW - 5)
        add(session, 2, UNANSWERED, 0.0, NOW - 4)
        add(session, 3, ALARM, 0.6, NOW - 3)
        add(session, 4, ALARM, 0.9, NOW - 2)
        add(session, 5, IN_DOUBT, 0.3, NOW - 1)
        add(session, 6, ALARM, 0.6, NOW - 9)
        add(session, 7, NORMAL, 1e-18, NOW)
        add(session, 8, NORMAL, 2e-18, NOW)
        add(session, 9, ALARM, 1.0, NOW, "pending")
    found = page(database)
    assert uids(found) == ["4", "6", "3", "2", "5", "1", "8", "7"]
    assert [e.band for e in found.entries][:5] == ["alarm"] * 3 + ["no answer", "in doubt"]
    assert found.entries[0].reason == "reason 4"
    assert found.entries[0].waited == 2
    assert uids(page(database, state="pending")) == ["9"]


def test_what_waited_too_long_stands_first_the_longest_overdue_before_the_others_and_says_why(
    database: Database,
) -> None:
    """Longest waits: alarm 10 min, no answer 20, in doubt 40, below 80."""
    with database.writing() as session:
        add(session, 1, NORMAL, 0.1, NOW - 4860)  # overdue for 60 s
        add(session, 2, ALARM, 0.9, NOW - 590)
        add(session, 3, ALARM, 0.8, NOW - 630)  # for 30 s
        add(session, 4, NORMAL, 0.2, NOW - 4790)
    found = page(database)
    assert uids(found) == ["1", "3", "2", "4"]
    assert [e.band for e in found.entries] == ["overdue", "overdue", "alarm", "below the operating point"]
    assert found.entries[0].reason == "waited 81 min of 80; reason 1"
    assert found.entries[2].reason == "reason 2"
    assert uids(page(database, now=NOW - 4860)) == ["2", "3", "4", "1"]  # before they were overdue


@pytest.mark.parametrize("size", [1, 3, 7, 40])
def test_pages_hold_every_study_once_in_the_order_of_the_whole_and_of_one_moment(database: Database, size: int) -> None:
    draw = random.Random(size)
    with database.writing() as session:
        for n in range(40):
            step = draw.choice([ALARM, UNANSWERED, IN_DOUBT, NORMAL])
            height = 0.0 if step == UNANSWERED else draw.choice([0.2, 0.5, draw.random()])
            add(session, n, step, height, NOW - draw.uniform(0, 6000))
    whole = uids(page(database))
    assert len(set(whole)) == 40
    found, cursor, now = list[str](), None, NOW
    while True:
        one = page(database, now, cursor, size)
        found += uids(one)
        assert one.as_of == NOW
        cursor, now = one.cursor, now + 600  # others become overdue meanwhile
        if cursor is None:
            break
    assert found == whole


def test_what_is_done_is_listed_by_when_it_came(database: Database) -> None:
    with database.writing() as session:
        add(session, 1, NORMAL, 0.1, NOW - 5, "done")
        add(session, 2, ALARM, 0.9, NOW - 3, "done")
        add(session, 3, ALARM, 0.9, NOW - 90_000, "done")
    first = page(database, size=2, state="done")
    assert uids(first) == ["3", "1"]
    assert uids(page(database, cursor=first.cursor, state="done")) == ["2"]


def test_an_empty_list_is_a_page(database: Database) -> None:
    assert page(database) == Page((), None, NOW)


@pytest.mark.parametrize("cursor", ["", "x", "ä", "W10=", "WzEsIDksIFsxXV0=", "WzEsMSxbMSwyLDMsIngiXV0=", "bnVsbA=="])
def test_what_is_no_cursor_is_refused(database: Database, cursor: str) -> None:
    with pytest.raises(UsageError, match="no cursor of this list"):
        page(database, cursor=cursor)


@pytest.mark.parametrize("size", [0, -1, 201])
def test_pages_of_no_size_are_refused(database: Database, size: int) -> None:
    with pytest.raises(UsageError, match=r"give 1 to 200"):
        page(database, size=size)


def test_a_cursor_of_another_list_is_refused(database: Database) -> None:
    with database.writing() as session:
        for n in islice(range(100), 3):
            add(session, n, ALARM, 0.5, NOW, "done")
    done = page(database, size=1, state="done").cursor
    with pytest.raises(UsageError, match="no cursor"):
        page(database, cursor=done)

"""The audit log: whatever is changed or taken out is found, by whoever did it."""

from __future__ import annotations

import hashlib
import json
import threading

import pytest
from sqlalchemy import text

from cxreader.serving.store import audit
from cxreader.serving.store.audit import BEGINNING, Noted, Verified
from cxreader.serving.store.database import Database
from cxreader.serving.store.tables.trail import AuditEntry


@pytest.fixture
def logged(database: Database) -> Database:
    """Six entries."""
    for n in range(3):
        with database.writing() as session:
            audit.note(
                session, float(n), [Noted("login", "jane", "u1"), Noted("verdict", "jane", f"s{n}", {"kind": "ü"})]
            )
    return database


def verified(database: Database, known: tuple[int, str] | None = None) -> Verified:
    with database.reading() as session:
        return audit.verify(session, known=known)


def tamper(database: Database, statement: str) -> None:
    """As somebody with the database's own rights: the triggers are taken away first."""
    with database.writing() as session:
        if session.get_bind().dialect.name == "sqlite":
            for name in ("audit_no_update", "audit_no_delete"):
                session.execute(text(f"DROP TRIGGER {name}"))
        else:
            session.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        session.execute(text(statement))


def test_the_hash_is_that_of_the_fields_and_of_the_entry_before(logged: Database) -> None:
    with logged.reading() as session:
        rows = session.execute(
            text("SELECT number, at, event, actor, subject, before, hash FROM audit ORDER BY number")
        ).all()
    before = BEGINNING
    for n, row in enumerate(rows, 1):
        detail = {} if n % 2 else {"kind": "ü"}
        told = json.dumps(
            [n, row.at, row.event, row.actor, row.subject, detail, before], sort_keys=True, separators=(",", ":")
        )
        before = hashlib.sha256(told.encode()).hexdigest()
        assert row.hash == before
    assert verified(logged) == Verified(6, before)


@pytest.mark.parametrize(
    ("statement", "number", "why"),
    [
        ("UPDATE audit SET actor = 'joe' WHERE number = 3", 3, "was changed"),
        ("UPDATE audit SET at = 0.5 WHERE number = 6", 6, "was changed"),
        ("DELETE FROM audit WHERE number = 2", 2, "is missing"),
        ("UPDATE audit SET before = 'x' WHERE number = 1", 1, "was changed"),
    ],
)
def test_what_was_changed_or_taken_out_is_found(logged: Database, statement: str, number: int, why: str) -> None:
    tamper(logged, statement)
    found = verified(logged)
    assert found.number == number
    assert why in found.why


def test_an_entry_that_was_changed_together_with_its_hash_is_found_by_the_next(logged: Database) -> None:
    tamper(logged, "UPDATE audit SET actor = 'joe' WHERE number = 3")
    with logged.writing() as session:
        entry = session.get_one(AuditEntry, 3)
        entry.hash = audit.entry_hash(entry)
    assert verified(logged).number == 4


def test_an_end_that_was_cut_off_is_found_by_what_was_kept_elsewhere(logged: Database) -> None:
    whole = verified(logged)
    assert verified(logged, (whole.entries, whole.hash)).number is None
    assert verified(logged, (4, "0" * 64)).why == "has another hash than the one kept elsewhere"
    tamper(logged, "DELETE FROM audit WHERE number > 4")
    assert verified(logged).number is None
    assert verified(logged, (whole.entries, whole.hash)).number == 6


def test_threads_leave_no_gap_and_no_fork(database: Database) -> None:
    def work(who: str) -> None:
        for n in range(8):
            with database.writing() as session:
                audit.note(session, float(n), [Noted("login", who)])

    threads = [threading.Thread(target=work, args=(who,)) for who in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verified(database)
    assert (found.entries, found.number) == (24, None)

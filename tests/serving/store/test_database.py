"""Transactions are whole, and errors quote no value of a row."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from tests.serving.rows import study

from cxreader.errors import ConfigError, StorageError
from cxreader.serving.clock import database_clock
from cxreader.serving.store.database import Database
from cxreader.serving.store.tables.images import Study


def names(database: Database) -> list[str]:
    with database.reading() as session:
        return sorted(session.scalars(text("SELECT patient_name FROM studies")))


def test_what_raises_keeps_nothing(database: Database) -> None:
    def work(session: Session) -> None:
        session.add(study(1))
        session.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.write(work)
    assert names(database) == []


def test_a_refusal_tells_its_kind_and_no_value(database: Database) -> None:
    with pytest.raises(StorageError, match="the database refused") as caught, database.writing() as session:
        session.add_all([study(1, patient_name="Doe^Jane"), study(1, patient_name="Doe^Jane")])
    told = f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    assert "Doe" not in told
    assert "1.2.3" not in told


def test_work_that_came_second_begins_again(database: Database) -> None:
    tries: list[int] = []

    def work(session: Session) -> str:
        tries.append(len(tries))
        if len(tries) == 1:
            session.add_all([study(1), study(1)])
            session.flush()
        session.add(study(2, patient_name="second"))
        return "done"

    assert database.write(work) == "done"
    assert tries == [0, 1]
    assert names(database) == ["second"]


def test_transactions_that_lock_each_other_out_are_begun_again(database: Database) -> None:
    """One changes the first study, then the second, the other the other way round; SQLite lets one wait from the beginning."""
    with database.writing() as session:
        session.add_all([study(1), study(2)])
    both = threading.Barrier(2)

    def change(order: tuple[str, str]) -> None:
        tries: list[int] = []

        def work(session: Session) -> None:
            tries.append(1)
            for n, uid in enumerate(order):
                session.query(Study).filter_by(study_uid=uid).update({"hold": order[0]})
                if n == 0 and len(tries) == 1 and session.get_bind().dialect.name == "postgresql":
                    both.wait(30)

        database.write(work)

    threads = [threading.Thread(target=change, args=(o,)) for o in (("1.2.3.1", "1.2.3.2"), ("1.2.3.2", "1.2.3.1"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert len({one.hold for one in session.query(Study)}) == 1


def test_two_threads_that_count_up_lose_no_count(database: Database) -> None:
    """Each reads a number and writes the next one: a transaction that was not alone would write the same one."""
    with database.writing() as session:
        session.add(study(1, hold="0"))

    def count() -> None:
        for _ in range(10):
            with database.writing() as session:
                row = session.query(Study).with_for_update().one()
                row.hold = str(int(row.hold) + 1)

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert session.query(Study).one().hold == "30"


def test_the_clock_is_the_databases_own_and_in_seconds(url: str) -> None:
    import time

    database = Database(url, clock=database_clock)
    with database.reading() as session:
        assert abs(database.now(session) - time.time()) < 5
    database.close()


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/service.db", "postgresql://nobody@127.0.0.1:1/nothing"])
def test_a_database_that_cannot_be_reached_is_told(url: str) -> None:
    database = Database(url)
    with pytest.raises(StorageError, match="cannot be reached"), database.reading() as session:
        session.execute(text("SELECT 1"))
    database.close()


@pytest.mark.parametrize("url", ["mysql://a@b/c", "service.db", ""])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database: is no URL of a database.*sqlite:///PATH"):
        Database(url)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'full.db'}")
    with database.writing() as session:
        session.execute(text("CREATE TABLE filling (bytes BLOB)"))

    def fill(session: Session) -> None:
        session.execute(text("PRAGMA max_page_count = 10"))
        session.execute(text("INSERT INTO filling VALUES (zeroblob(1000000))"))

    with pytest.raises(StorageError, match="the disk of the database is full"):
        database.write(fill)
    database.close()

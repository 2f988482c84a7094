"""Revisions: every earlier one, filled, becomes the latest and loses nothing; the tables are those of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select, text

from cxreader.errors import StorageError
from cxreader.serving.store import migrate, tables
from cxreader.serving.store.database import Database
from cxreader.serving.store.tables.base import metadata

MIGRATIONS = Path(tables.__file__).parents[1] / "migrations"
REVISIONS = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]
FILLED: dict[str, dict[str, dict[str, Any]]] = {
    "r0001": {
        "studies": {"id": 1, "key": "s" * 16, "study_uid": "1.2", "patient_id": "4711", "received_at": 1.5},
        "instances": {
            "id": 1,
            "key": "i" * 16,
            "study_id": 1,
            "sha256": "a" * 64,
            "sop_instance_uid": "1.2.3",
            "version": 0,
            "series_uid": "1.2.4",
            "rows": 2,
            "columns": 3,
            "bytes": 4,
            "received_at": 1.5,
        },
        "models": {"id": 1, "digest": "b" * 64, "rule": {"artifacts": ["x"]}, "active": True, "added_at": 1.0},
        "jobs": {"id": 1, "instance_id": 1, "models_id": 1, "revision": 1, "available_at": 1.5, "created_at": 1.5},
        "results": {
            "id": 1,
            "key": "r" * 16,
            "instance_id": 1,
            "sha256": "a" * 64,
            "models_id": 1,
            "revision": 1,
            "reading": {"image": "i"},
            "step": 0,
            "height": 0.75,
            "read_at": 2.5,
        },
        "audit": {"number": 1, "at": 1.5, "detail": {"a": 1}, "before": "0" * 64, "hash": "c" * 64},
    }
}
"""Of each revision rows that were there when it was the latest; text that is left out is empty."""


def test_every_revision_has_rows_to_fill_it_with() -> None:
    assert list(FILLED) == REVISIONS


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_filled_database_of_every_revision_becomes_the_latest_and_keeps_its_rows(
    empty_url: str, revision: str
) -> None:
    database = Database(empty_url)
    migrate.upgrade(database, revision)
    assert migrate.revision(database) == revision
    with database.writing() as session:
        for name, row in FILLED[revision].items():
            table = metadata.tables[name]
            blank = {c.name: "" for c in table.columns if not c.nullable and str(c.type) == "TEXT"}
            zero = {"attempts": 0, "token": 0} if name == "jobs" else {}
            session.execute(insert(table).values(blank | zero | row))
    migrate.upgrade(database)
    assert migrate.revision(database) == migrate.head() == REVISIONS[-1]
    with database.reading() as session:
        for name, row in FILLED[revision].items():
            found = session.execute(select(metadata.tables[name])).mappings().one()
            assert {key: found[key] for key in row} == row
    database.close()


def test_the_tables_are_those_of_the_code(database: Database) -> None:
    with database.reading() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), metadata) == []


def test_a_database_of_a_later_version_is_refused(database: Database) -> None:
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'r9999'"))
    with pytest.raises(StorageError, match="a later version of cxreader"):
        migrate.upgrade(database)


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("UPDATE results SET height = 0", False),
        ("UPDATE audit SET actor = 'nobody'", False),
        ("DELETE FROM audit", False),
        ("DELETE FROM results", True),  # retention may
    ],
)
def test_rows_that_are_only_ever_added_to_are_refused_a_change_by_the_database(
    database: Database, statement: str, allowed: bool
) -> None:
    with database.writing() as session:
        for name, row in FILLED["r0001"].items():
            table = metadata.tables[name]
            blank = {c.name: "" for c in table.columns if not c.nullable and str(c.type) == "TEXT"}
            session.execute(insert(table).values(blank | ({"attempts": 0, "token": 0} if name == "jobs" else {}) | row))
    if allowed:
        with database.writing() as session:
            session.execute(text(statement))
        return
    with pytest.raises(StorageError, match="refused"), database.writing() as session:
        session.execute(text(statement))

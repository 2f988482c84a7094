"""Revisions: every earlier one, filled, becomes the latest and loses nothing; the tables are those of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, insert, select, text
from sqlalchemy.orm import Session

from cxreader.errors import StorageError
from cxreader.serving.store import migrate, tables
from cxreader.serving.store.database import Database
from cxreader.serving.store.tables.base import metadata
from cxreader.serving.store.tables.images import WorklistRow
from cxreader.serving.store.tables.people import LoginSession, StudyLock

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
        "worklist": {
            "study_id": 1,
            "step": 0,
            "depth": -0.75,
            "received_at": 1.5,
            "due_at": 2.5,
            "updated_at": 2.5,
            "result_id": 1,
            "images": 1,
            "read": 1,
            "failed": 0,
            "conflict": False,
            "revision": 3,
        },
    }
}
FILLED["r0002"] = FILLED["r0001"] | {
    "worklist": FILLED["r0001"]["worklist"]
    | {"decision": "abnormal", "view": "PA", "station": "CT1", "reader": "grey"},
}
FILLED["r0003"] = FILLED["r0002"] | {
    "users": {
        "id": 1,
        "key": "u" * 16,
        "name": "grey",
        "role": "reader",
        "created_at": 1.0,
        "failed_logins": 0,
        "settings": {},
    },
    "verdicts": {
        "id": 1,
        "study_id": 1,
        "user_id": 1,
        "result_id": 1,
        "kind": "rejected",
        "findings": [],
        "given_at": 3.5,
        "impression": "normal",
        "disagreement": "device, line or artefact",
    },
    "shown_answers": {"study_id": 1, "user_id": 1, "result_id": 1, "mode": "read-first", "at": 3.0},
}
FILLED["r0004"] = FILLED["r0003"] | {
    "sessions": {
        "id": 1,
        "token": "d" * 64,
        "user_id": 1,
        "created_at": 1.0,
        "seen_at": 2.0,
        "ends_at": 9.0,
        "confirmed_at": 1.0,
        "searches": {},
    },
}
FILLED["r0005"] = FILLED["r0004"] | {
    "instances": FILLED["r0001"]["instances"] | {"patient_orientation": "L\\F"},
    "locks": {"study_id": 1, "user_id": 1, "since": 1.0, "until": 2.0, "reader_before": "brown"},
}
FILLED["r0006"] = FILLED["r0005"] | {
    "instances": FILLED["r0005"]["instances"] | {"differs": {"sex": "M"}},
    "worklist": FILLED["r0005"]["worklist"] | {"conflict": True, "conflict_reason": "its images differ in sex"},
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
            add(session, name, row)
    migrate.upgrade(database)
    assert migrate.revision(database) == migrate.head() == REVISIONS[-1]
    with database.reading() as session:
        for name, row in FILLED[revision].items():
            found = session.execute(select(metadata.tables[name])).mappings().one()
            assert {key: found[key] for key in row} == row
    database.close()


def add(session: Session, name: str, row: dict[str, Any]) -> None:
    """A row in a table as it is at the database's revision; text that is left out is empty."""
    table = Table(name, MetaData(), autoload_with=session.connection())
    blank = {c.name: "" for c in table.columns if not c.nullable and str(c.type) == "TEXT"}
    zero = {"attempts": 0, "token": 0} if name == "jobs" else {}
    session.execute(insert(table).values(blank | zero | row))


def test_what_the_list_is_filtered_by_is_filled_in_for_studies_that_were_there(empty_url: str) -> None:
    """Study 1 has two images of which the second decides, and a reader's lock; 2 is unread and was judged twice."""
    rows = FILLED["r0001"]
    image, placed, result = rows["instances"], rows["worklist"], rows["results"]
    told = {"view": "PA", "acquired": "20261130", "sender": "CT1", "door": "dicom"}
    first, other = ({"key": c * 16, "sha256": c * 64, "sop_instance_uid": f"1.2.{c}"} for c in "57")
    database = Database(empty_url)
    migrate.upgrade(database, "r0001")
    with database.writing() as session:
        add(session, "studies", rows["studies"])
        add(session, "studies", rows["studies"] | {"id": 2, "key": "t" * 16, "study_uid": "1.3"})
        add(session, "models", rows["models"])
        add(session, "instances", image | {"view": "AP"})
        add(session, "instances", image | told | first | {"id": 2})
        add(session, "instances", image | other | {"id": 3, "study_id": 2, "door": "folder"})
        add(session, "results", result | {"instance_id": 2, "reading": {"decision": "refer"}})
        add(session, "worklist", placed)
        add(session, "worklist", placed | {"study_id": 2, "result_id": None})
        for n, name in enumerate(("grey", "brown"), 1):
            user = {
                "id": n,
                "key": name.rjust(16, "u"),
                "name": name,
                "created_at": 1.0,
                "failed_logins": 0,
                "settings": {},
            }
            add(session, "users", user)
        add(session, "locks", {"study_id": 1, "user_id": 2, "since": 1.0, "until": 2.0})
        for n in (1, 2):
            add(
                session,
                "verdicts",
                {"id": n, "study_id": 2, "user_id": 3 - n, "findings": [], "given_at": 1.0 * n, "stage": "final"},
            )
        add(
            session,
            "sessions",
            {"id": 1, "token": "a" * 64, "user_id": 1, "created_at": 1.0, "seen_at": 1.0, "ends_at": 2.0},
        )
    migrate.upgrade(database)
    with database.reading() as session:
        found = session.scalars(select(WorklistRow).order_by(WorklistRow.study_id)).all()
        assert session.scalars(select(LoginSession)).one().searches == {}
        assert session.scalars(select(StudyLock)).one().reader_before == ""  # who stands there stands by the lock alone
    assert [(r.decision, r.view, r.station, r.acquired, r.reader) for r in found] == [
        ("refer", "PA", "CT1", "20261130", "brown"),
        ("unread", "", "folder", "", "grey"),
    ]
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
            if name != "worklist":  # which names a result
                add(session, name, row)
    if allowed:
        with database.writing() as session:
            session.execute(text(statement))
        return
    with pytest.raises(StorageError, match="refused"), database.writing() as session:
        session.execute(text(statement))

"""The revision of a database: where it is, where it should be, and the way there (Alembic, from the package itself)."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from cxreader.errors import StorageError
from cxreader.serving.store.database import Database


def head() -> str:
    """The revision of this version's tables."""
    return cast("str", ScriptDirectory.from_config(_config()).get_current_head())


def revision(database: Database) -> str | None:
    """The revision of a database; None for an empty one. Raises StorageError."""
    with database.reading() as session:
        return MigrationContext.configure(session.connection()).get_current_revision()


def upgrade(database: Database, to: str = "head") -> None:
    """Bring the tables to a revision in one transaction. Raises StorageError, for a database of a later version too."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    there = revision(database)
    if there is not None and there not in known:
        what = f"the database is of a later version of cxreader (revision {there})"
        raise StorageError(what, where="database", mend="install that version, or a later one")
    with database.writing() as session:
        config = _config()
        config.attributes["connection"] = session.connection()
        command.upgrade(config, to)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config

"""What tests of the service share: each store twice, on SQLite and on PostgreSQL, and a service on a tiny network."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from tests.serving.postgres import binaries, cluster
from tests.serving.world import make_artifact

from cxreader.serving.clock import SetClock, database_clock
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.database import Database
from cxreader.serving.store.files.objects import FolderStore
from cxreader.serving.store.migrate import upgrade
from cxreader.serving.store.reading import models
from cxreader.serving.worker.models import rule_of

BACKENDS = ("sqlite", "postgresql")


Made = Callable[[str | None], AbstractContextManager[str]]
"""Gives the URL of a new database while a block runs: one of these, made anew, or an empty one."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Made]:
    """New databases of PostgreSQL, empty or like another one."""
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster(found) as socket:
        admin = create_engine(postgres_url("postgres", socket, "postgresql+psycopg"), isolation_level="AUTOCOMMIT")

        @contextmanager
        def made(like: str | None) -> Iterator[str]:
            name = f"t{secrets.token_hex(8)}"
            with admin.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {like or 'template0'}"))
            yield postgres_url(name, socket)
            with admin.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

        yield made
        admin.dispose()


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Made) -> Iterator[str]:
    """The name of a PostgreSQL database with every table, for others to be made like it."""
    with postgres(None) as url:
        _migrate(url)
        yield url.partition("@/")[2].partition("?")[0]


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with every table, for others to be copied from."""
    made = tmp_path_factory.mktemp("migrated") / "service.db"
    _migrate(f"sqlite:///{made}")
    return made


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    made: Made = request.getfixturevalue("postgres")
    with made(None) as found:
        yield found


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with every table, of each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "service.db")
        yield f"sqlite:///{tmp_path / 'service.db'}"
        return
    made: Made = request.getfixturevalue("postgres")
    with made(request.getfixturevalue("migrated_postgres")) as found:
        yield found


@pytest.fixture
def clock() -> SetClock:
    """A clock that a test sets."""
    return SetClock()


@pytest.fixture
def database(url: str, clock: SetClock) -> Iterator[Database]:
    """A database with every table, by the test's own clock."""
    made = Database(url, clock=clock)
    yield made
    made.close()


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported artifact of a tiny network with random weights."""
    return make_artifact(tmp_path_factory.mktemp("served") / "artifact", seed=3)


@pytest.fixture(scope="session")
def other_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one."""
    return make_artifact(tmp_path_factory.mktemp("served") / "other", seed=4)


@pytest.fixture
def settings(tmp_path: Path, url: str, artifact: Path) -> Settings:
    """Settings of a home in the test's folder."""
    return Settings.load(tmp_path / "home", models=(artifact,), database=url)


@pytest.fixture
def service(settings: Settings, database: Database) -> TriageService:
    """A service by the test's own clock, its models active."""
    return active(TriageService(settings, database, FolderStore(settings.home / "objects")))


@pytest.fixture
def timed_service(settings: Settings, url: str) -> Iterator[TriageService]:
    """The same by the database's clock."""
    database = Database(url, clock=database_clock)
    yield active(TriageService(settings, database, FolderStore(settings.home / "objects")))
    database.close()


def active(service: TriageService) -> TriageService:
    """The service, once its models are active."""
    rule: dict[str, Any] = rule_of(service.settings)
    with service.database.writing() as session:
        models.activate(session, service.database.now(session), rule)
    return service


def postgres_url(name: str, socket: str, driver: str = "postgresql") -> str:
    """The URL of a database of the tests' own cluster."""
    return f"{driver}://postgres@/{name}?host={socket}"


def _migrate(url: str) -> None:
    database = Database(url)
    upgrade(database)
    database.close()

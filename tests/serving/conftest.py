"""What tests of the service share: each store twice, on SQLite and on PostgreSQL, and a service on a tiny network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from tests.serving.postgres import binaries, cluster
from tests.serving.world import make_artifact

from cxreader.serving.clock import SetClock, database_clock
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store import models
from cxreader.serving.store.database import Database
from cxreader.serving.store.migrate import upgrade
from cxreader.serving.store.objects import FolderStore
from cxreader.serving.worker.models import rule_of

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[str], str]]:
    """Gives the URL of a new database by its name, at the first revision that `template` has: the head."""
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster(found) as socket:

        def url(name: str) -> str:
            return f"postgresql://postgres@/{name}?host={socket}"

        admin = create_engine(url("postgres").replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT")

        def made(name: str, template: str = "template0") -> str:
            with admin.connect() as connection:
                connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
            return url(name)

        yield made
        admin.dispose()


@pytest.fixture(scope="session")
def migrated(postgres: Callable[..., str]) -> Callable[[str], str]:
    """Gives the URL of a new PostgreSQL database by its name, with every table."""
    database = Database(postgres("migrated"))
    upgrade(database)
    database.close()
    return lambda name: postgres(name, "migrated")


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    made: Callable[[str], str] = request.getfixturevalue("postgres")
    return made(f"e{abs(hash(request.node.nodeid)):x}")


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with every table, of each kind."""
    if request.param == "postgresql":
        made: Callable[[str], str] = request.getfixturevalue("migrated")
        return made(f"t{abs(hash(request.node.nodeid)):x}")
    found = f"sqlite:///{tmp_path / 'service.db'}"
    database = Database(found)
    upgrade(database)
    database.close()
    return found


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

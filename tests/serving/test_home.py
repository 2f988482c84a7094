"""The home: made for its owner alone, and refused by name of everything it lacks."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import select, text
from tests.serving.world import make_artifact

from cxreader.errors import ConfigError, UsageError
from cxreader.serving.home import SECRET, init, lacking, opened
from cxreader.serving.settings import FILE, Settings
from cxreader.serving.store.database import Database
from cxreader.serving.store.migrate import head, revision
from cxreader.serving.store.opened import opened_database
from cxreader.serving.store.reading import models
from cxreader.serving.store.tables.people import User
from cxreader.serving.store.tables.trail import AuditEntry

PASSWORD = "correct horse"  # noqa: S105 - of a home in the test's own folder


def user(database: Database) -> User:
    with database.reading() as session:
        return session.scalars(select(User)).one()


def test_a_home_is_for_its_owner_alone_and_has_a_secret_of_its_own_and_an_administrator(tmp_path: Path) -> None:
    homes = [Settings.load(tmp_path / name) for name in ("a", "b")]
    passwords = [init(home, administrator="root") for home in homes]
    secrets = [(home.home / SECRET).read_bytes() for home in homes]
    assert len({*secrets}) == len({*passwords}) == 2
    assert [len(secret) for secret in secrets] == [32, 32]
    assert stat.S_IMODE(homes[0].home.stat().st_mode) == 0o700
    assert stat.S_IMODE((homes[0].home / SECRET).stat().st_mode) == 0o600
    database = opened_database(homes[0])
    found = user(database)
    assert (found.name, found.role) == ("root", "admin")
    assert found.password.startswith("$argon2id$")
    assert PasswordHasher().verify(found.password, str(passwords[0]))
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(found.password, str(passwords[1]))
    with database.reading() as session:
        assert session.scalars(select(AuditEntry.event)).all() == ["user added"]
    database.close()


def test_a_second_init_changes_nothing_but_the_tables_of_an_earlier_version(empty_url: str, tmp_path: Path) -> None:
    settings = Settings.load(tmp_path / "home", database=empty_url)
    assert init(settings, administrator="root", password=PASSWORD) is None
    kept = [(settings.home / name).read_bytes() for name in (SECRET, FILE)]
    assert init(settings, administrator="another") is None
    assert [(settings.home / name).read_bytes() for name in (SECRET, FILE)] == kept
    database = opened_database(settings)
    assert user(database).name == "root"
    assert revision(database) == head()
    database.close()


def test_the_template_is_right_and_says_the_defaults(tmp_path: Path) -> None:
    plain = Settings.load(tmp_path)
    init(plain, administrator="root", password=PASSWORD)
    assert Settings.load(tmp_path) == plain


@pytest.mark.parametrize(
    ("name", "password", "why"), [("", "long enough now", "needs a name"), ("root", "short", "too short")]
)
def test_bad_names_and_passwords_are_refused(tmp_path: Path, name: str, password: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        init(Settings.load(tmp_path), administrator=name, password=password)


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path / "home", folder={"path": tmp_path / "nowhere"})
    with pytest.raises(ConfigError) as caught, opened(settings):
        pass
    for word in ("the home has no secret", "no model is given", "there is no database", "folder.path: is no folder"):
        assert word in str(caught.value)
    assert str(caught.value).count("serve init --home") == 2
    assert not (tmp_path / "home").exists()


def test_a_database_of_an_earlier_version_and_a_readable_secret_are_named(tmp_path: Path, artifact: Path) -> None:
    settings = Settings.load(tmp_path / "home", models=(artifact,))
    init(settings, administrator="root", password=PASSWORD)
    assert lacking(settings) == []
    database = opened_database(settings)
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'r0000'"))
    database.close()
    (settings.home / SECRET).chmod(0o644)
    assert [error.what for error in lacking(settings)] == [
        "others may read the secret",
        f"the database is at revision r0000, this version needs {head()}",
    ]


def test_a_model_without_an_export_is_named(tmp_path: Path) -> None:
    bare = make_artifact(tmp_path / "artifact", seed=5, exported=False)
    settings = Settings.load(tmp_path / "home", models=(bare,))
    init(settings, administrator="root", password=PASSWORD)
    (found,) = lacking(settings)
    assert "holds no ONNX export" in found.what


def test_one_service_a_home_and_its_models_are_active_in_it(
    tmp_path: Path, artifact: Path, other_artifact: Path
) -> None:
    settings = Settings.load(tmp_path / "home", models=(artifact,))
    init(settings, administrator="root", password=PASSWORD)
    with opened(settings), pytest.raises(UsageError, match="runs already"), opened(settings):
        pass
    with opened(settings.model_copy(update={"models": (artifact, other_artifact)})):
        database = opened_database(settings)
        with database.reading() as session:
            found = models.active(session)
            assert found is not None
            assert found.names.count("+") == 1
            assert session.scalars(select(AuditEntry.event)).all() == ["user added", "models active", "models active"]
        database.close()

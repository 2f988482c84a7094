"""`cxreader serve user`, `token`, `delete`, `hold`: what they print, and what they leave in the database."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select
from tests.serving.world import dicom, make_artifact
from typer.testing import CliRunner

from cxreader.cli import app
from cxreader.errors import CxreaderError
from cxreader.serving.access import tokens
from cxreader.serving.access.passwords import sign_in
from cxreader.serving.access.refusals import SignInError
from cxreader.serving.access.sessions import Lasting
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.reading import models
from cxreader.serving.store.tables.trail import AuditEntry
from cxreader.serving.worker.models import rule_of

LASTING = Lasting(60, 60)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported artifact."""
    return make_artifact(tmp_path_factory.mktemp("cli") / "artifact", seed=3)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that `init` made."""
    assert run("init", home=tmp_path / "home").startswith("admin's password")
    return tmp_path / "home"


def run(*words: str, home: Path, code: int = 0) -> str:
    """What `cxreader serve ...` prints."""
    done = CliRunner().invoke(app, ["serve", *words, "--home", str(home)])
    error = done.exception
    assert (error.exit_code if isinstance(error, CxreaderError) else done.exit_code) == code, done.output
    return done.stdout


def test_users_are_added_changed_and_disabled(home: Path) -> None:
    password = run("user", "add", "dr-grey", home=home).strip().rpartition(" ")[2]
    service = TriageService.open(Settings.load(home))
    sign_in(service.database, "dr-grey", password, LASTING)
    run("user", "role", "dr-grey", "auditor", home=home)
    run("user", "password", "dr-grey", "--password", "another long one", home=home)
    with pytest.raises(SignInError):
        sign_in(service.database, "dr-grey", password, LASTING)
    run("user", "disable", "dr-grey", home=home)
    assert run("user", "list", home=home) == "admin\tadmin\tenabled\ndr-grey\tauditor\tdisabled\n"
    with pytest.raises(SignInError):
        sign_in(service.database, "dr-grey", "another long one", LASTING)
    run("user", "enable", "dr-grey", home=home)
    sign_in(service.database, "dr-grey", "another long one", LASTING)
    run("user", "add", "dr-grey", home=home, code=2)
    run("user", "add", "short", "--password", "short", home=home, code=2)
    run("user", "role", "dr-grey", "surgeon", home=home, code=2)
    run("user", "disable", "nobody", home=home, code=3)
    service.close()


def test_a_token_is_printed_once_listed_and_revoked(home: Path) -> None:
    text = run("token", "add", "admin", "--name", "nightly", "--scope", "export", "--days", "7", home=home).strip()
    service = TriageService.open(Settings.load(home))
    with service.database.reading() as session:
        found = tokens.find(session, service.database.now(session), text)
        actors = session.scalars(select(AuditEntry.actor).where(AuditEntry.event == "token added")).all()
    assert found is not None
    assert (found[1].user.name, found[1].scopes) == ("admin", frozenset({"export"}))
    assert actors == ["command line"]
    key, name, scopes, state = run("token", "list", "admin", home=home).strip().split("\t")
    assert (name, scopes, state) == ("nightly", "export", "lasts")
    run("token", "revoke", "admin", key, home=home)
    assert run("token", "list", "admin", home=home).strip().endswith("revoked")
    run("token", "add", "admin", "--name", "x", "--scope", "audit", home=home, code=2)  # which an administrator has not
    service.close()


def test_studies_are_held_released_and_deleted(home: Path, artifact: Path) -> None:
    service = TriageService.open(Settings.load(home, models=(artifact,)))
    with service.database.writing() as session:
        models.activate(session, service.database.now(session), rule_of(service.settings))
    key = service.receive(dicom(1), door="http").study
    run("hold", key, "--reason", "case 7", home=home)
    run("delete", "study", key, home=home)
    assert service.study(key)
    run("release", key, home=home)
    run("delete", "cache", home=home)
    run("delete", "outbox", home=home)
    run("delete", "study", home=home, code=2)
    run("delete", "study", key, home=home)
    assert service.worklist().entries == ()
    run("delete", "orphans", home=home)
    run("delete", "images", key, home=home, code=3)
    service.close()

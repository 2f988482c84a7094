"""`cxreader serve` and what stands below it, as a person calls them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.serving.world import dicom, read_all

from cxreader.cli import run
from cxreader.serving.home import opened
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.opened import opened_database


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    (tmp_path / "password").write_text("correct horse battery\n")
    assert run(["serve", "init", "--home", str(tmp_path / "home"), "--password-file", str(tmp_path / "password")]) == 0
    assert capsys.readouterr().out == ""
    return tmp_path / "home"


def test_init_makes_up_a_password_and_shows_it_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "init", "--home", str(tmp_path / "home"), "--administrator", "jane"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("jane's password, shown once and kept nowhere: ")
    assert len(said.split(": ")[1].strip()) == 20
    assert run(["serve", "init", "--home", str(tmp_path / "home")]) == 0
    assert capsys.readouterr().out == ""


def test_half_a_configuration_is_refused_with_everything_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", "--home", str(tmp_path / "home")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for number, word in enumerate(("no secret", "no model", "no database"), 1):
        assert f"({number})" in said
        assert word in said


def test_the_audit_log_is_verified(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify = ["serve", "audit", "verify", "--home", str(home)]
    assert run(verify) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith("1:")
    assert run([*verify, "--known", line]) == 0
    assert run([*verify, "--known", "1"]) == 2
    assert "give the line that an earlier call printed" in capsys.readouterr().err
    assert run([*verify, "--known", f"2:{line[2:]}"]) == 1
    assert capsys.readouterr().out == "entry 2 is missing: the log was cut off\n"
    database = opened_database(Settings.load(home))
    with database.writing() as session:
        session.execute(text("DROP TRIGGER audit_no_update"))
        session.execute(text("UPDATE audit SET actor = 'nobody'"))
    database.close()
    assert run(verify) == 1
    assert capsys.readouterr().out == "entry 1 was changed, or the one before it was\n"


def test_reread_queues_what_the_active_models_have_not_read(
    home: Path, artifact: Path, other_artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other = (Settings.load(home, models=(path,)) for path in (artifact, other_artifact))
    with opened(first):
        service = TriageService.open(first)
        service.receive(dicom(1), door="folder")
        read_all(service)
        service.close()
    reread = ["serve", "reread", "--home", str(home)]
    assert run(reread) == 0
    assert "0 images wait" in capsys.readouterr().err
    with opened(other):
        assert run(reread) == 0
    assert "1 image waits to be read again" in capsys.readouterr().err
    assert run([*reread, "--failed"]) == 0
    assert "0 images wait" in capsys.readouterr().err


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    code = "import sys; sys.modules['sqlalchemy'] = None; from cxreader.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "serve", "--home", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert (
        done.stderr
        == "cxreader: this command needs sqlalchemy, which is not installed; pip install 'cxreader[serve]'\n"
    )

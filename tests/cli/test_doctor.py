"""`cxreader doctor`: what is missing is named with the line that brings it."""

from __future__ import annotations

import importlib.metadata
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cxreader.cli import app


def look(*words: str, code: int = 0) -> list[list[str]]:
    """What it prints, a row a finding."""
    done = CliRunner().invoke(app, ["doctor", *words])
    assert done.exit_code == code, done.output
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_a_whole_installation_is_well() -> None:
    found = {row[1]: row[0] for row in look()}
    assert found["core"] == "ok"
    assert found["extra train"] == "ok"
    assert not {"extra dev", "extra all"} & set(found)


@pytest.mark.parametrize(
    ("package", "told", "line", "code"),
    [("numpy", "core", "pip install 'cxreader'", 1), ("torch", "extra train", "pip install 'cxreader[train]'", 0)],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, told: str, line: str, code: int
) -> None:
    def without(name: str) -> str:
        if name == package:
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without)
    rows = {row[1]: row for row in look(code=code)}
    assert rows[told][0] == ("wrong" if code else "absent")
    assert package in rows[told][2]
    assert rows[told][2].endswith(line)


def test_a_version_that_does_not_do_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.1" if name == "numpy" else version(name))
    (row,) = [row for row in look(code=1) if row[0] == "wrong"]
    assert row[2].startswith("numpy 0.1 is not >=")


def test_a_home_that_lacks_anything_is_told(tmp_path: Path) -> None:
    rows = [row for row in look("--home", str(tmp_path / "none"), code=1) if row[0] == "wrong"]
    assert len(rows) >= 3
    assert any("cxreader serve init" in row[2] for row in rows)
    assert any("no model is given" in row[2] for row in rows)

"""Settings: what is given, then the environment, then the file; what is wrong is named with its mend."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from cxreader.errors import ConfigError
from cxreader.serving.settings import FILE, Settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / FILE).write_text('models = ["a", "b"]\nsilent = true\n[worker]\nprocesses = 3\nbatch = 8\n')
    return tmp_path


def test_given_before_environment_before_file_before_default(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXREADER_SERVE_SILENT", "false")
    monkeypatch.setenv("CXREADER_SERVE_WORKER__BATCH", "4")
    found = Settings.load(home, models=(Path("c"),))
    assert found.models == (Path("c"),)
    assert found.silent is False
    assert (found.worker.processes, found.worker.batch, found.worker.attempts) == (3, 4, 3)
    monkeypatch.delenv("CXREADER_SERVE_SILENT")
    assert Settings.load(home).silent is True
    assert Settings.load(home).models == (Path("a"), Path("b"))


def test_a_home_without_a_file_has_the_defaults(tmp_path: Path) -> None:
    found = Settings.load(tmp_path)
    assert (found.models, found.silent, found.show_regions) == ((), False, True)
    assert found.database_url == f"sqlite:///{tmp_path / 'service.db'}"
    assert found.worklist.waits.due(100.0, 0) == 100.0 + 60 * 60


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        Settings.load(tmp_path).silent = True  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("slient = true", r"slient: unknown key; did you mean 'silent'\?"),
        ("[worker]\nproceses = 1", r"worker\.proceses: unknown key; did you mean 'processes'\?"),
        ("[worker]\nlinger = 2.0", r"worker\.linger: input should be less than or equal to 0.5"),
        ("[worklist]\nalarm = 0", r"worklist\.alarm: input should be greater than 0"),
        ("home = 'x'", "home: unknown key; the home is given by --home"),
        ("silent = maybe", "not a readable TOML file"),
        ("silent = 7\nobjects = 3", r"2 settings are wrong: \(1\) objects: .* \(2\) silent: "),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigError, match=why):
        Settings.load(tmp_path)


def test_a_misspelt_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXREADER_SERVE_SLIENT", "true")
    with pytest.raises(
        ConfigError, match=r"CXREADER_SERVE_SLIENT: unknown variable; did you mean 'CXREADER_SERVE_SILENT'\?"
    ):
        Settings.load(tmp_path)
    monkeypatch.delenv("CXREADER_SERVE_SLIENT")
    monkeypatch.setenv("CXREADER_SERVE_WORKER__PROCESES", "1")
    with pytest.raises(ConfigError, match=r"worker\.proceses: unknown key"):
        Settings.load(tmp_path)


def test_a_time_zone_is_one_that_there_is(tmp_path: Path) -> None:
    assert Settings.load(tmp_path, time_zone="Europe/Berlin").zone.at(1_800_000_000).isoformat() == (
        "2027-01-15T09:00:00+01:00"
    )
    assert Settings.load(tmp_path).zone.at(0).timestamp() == 0
    for wrong in ("Europe/Nowhere", "../etc/passwd", "/etc/localtime"):
        with pytest.raises(ConfigError, match="is no time zone"):
            Settings.load(tmp_path, time_zone=wrong)

"""The files of `deploy/`: what the programs that read them say, and that their settings are settings."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from cxreader.serving.settings import Settings
from cxreader.serving.web_settings import check_web

PROJECT = Path(__file__).resolve().parents[1]
DEPLOY = PROJECT / "deploy"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_has_nothing_to_say_of_the_unit() -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", DEPLOY / "cxreader.service"], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if "/opt/cxreader/bin/cxreader is not executable" not in line]
    assert said == []


def test_the_compose_file_s_settings_are_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = dict(
        re.findall(r"^\s+(CXREADER_SERVE_\w+): ['\"]?(.*?)['\"]?$", (DEPLOY / "compose.yaml").read_text(), re.MULTILINE)
    )
    assert len(found) == 5
    for name, value in found.items():
        monkeypatch.setenv(name, re.sub(r"\$\{CXREADER_URL.*\}", "https://triage.example.org", value))
    settings = Settings.load(tmp_path)
    check_web(settings.web)
    assert settings.web.proxies == ("172.30.11.1",)
    assert (settings.web.address, settings.web.behind_proxy) == ("0.0.0.0", True)  # noqa: S104 - in a container
    assert settings.database_url.startswith("postgresql://cxreader:")


def test_the_image_is_the_wheel_s_alone_without_torch_and_without_root() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    extras = set(re.findall(r"\[([\w,]+)\]", text)[0].split(","))
    known = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras <= set(known)
    assert not any(need.startswith("torch") for extra in extras for need in known[extra])
    assert re.findall(r"^USER (\d+)$", text, re.MULTILINE) == ["10001"]
    assert text.index("USER 10001") < text.index("ENTRYPOINT")

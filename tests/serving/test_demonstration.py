"""`cxreader serve demo` as a person calls it, on four phantoms and a tiny network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cxreader.cli import run
from cxreader.errors import ArtifactError
from cxreader.serving import demonstration
from cxreader.serving.demonstration import Peer

COUNT = re.compile(r"^ *([a-z ]+?) {2,}(\d+)(?: of (\d+))?(?: \((.*)\))? *$", re.M)


def shown(out: Path, artifact: Path) -> subprocess.CompletedProcess[str]:
    options = ["--model", str(artifact), "--out", str(out), "--patients", "2", "--minutes", "0.02"]
    command = [sys.executable, "-m", "cxreader", "serve", "demo", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_phantoms_are_received_read_ordered_and_sent_to_a_peer(tmp_path: Path, artifact: Path) -> None:
    done = shown(tmp_path / "out", artifact)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^http://127.0.0.1:\d+: sign in as admin, password \S{20}$", done.stdout, re.M)
    counts = {name: (int(count), more) for name, count, _, more in COUNT.findall(done.stdout)}
    images = len(list((tmp_path / "out" / "phantoms-2").glob("P*/IM*")))
    assert images >= 2
    assert f"the worklist begins with {images} studies" in done.stdout
    for name in ("phantoms acknowledged", "images received", "images read", "studies ordered"):
        assert counts[name][0] == images, name
    at_peer, kinds = counts["objects at the peer"]
    assert counts["objects sent"][0] == at_peer >= images
    assert f"{images} SR" in kinds
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["phantoms-2", "serve.log"]
    assert still_running(tmp_path / "out") == []


def still_running(out: Path) -> list[int]:
    """Processes whose command line names this folder."""
    found = []
    for pid in (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()):
        try:
            if str(out) in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
        except OSError:
            continue
    return found


def test_settings_of_another_service_are_refused(
    tmp_path: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXREADER_SERVE_DATABASE", "postgresql://clinic/service")
    monkeypatch.setattr("cxreader.cli.serving.demo._drawn", lambda *_: [])
    assert run(["serve", "demo", "--model", str(artifact), "--out", str(tmp_path)]) == 2
    assert "CXREADER_SERVE_DATABASE" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_none_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no artifact here"), demonstration.home(tmp_path, tmp_path, Peer()):
        pass

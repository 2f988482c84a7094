"""Options of a search on a cluster that contradict each other, and Ray that is not installed: one line each."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cxreader.cli import run

GRID = str(Path(__file__).parents[2] / "src" / "cxreader" / "configs" / "grid.toml")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--address", "head:6379"], "--address: nothing is tried on a cluster; add --engine ray"),
        (["--cores", "4"], "--cores: nothing is tried on a cluster; add --engine ray"),
        (
            ["--engine", "ray", "--workers", "2"],
            "--workers: a cluster has as many workers as it has room for; leave it out",
        ),
        (["--engine", "ray", "--address", "ray://head:10001"], "ray://head:10001: is the address of a Ray Client"),
    ],
)
@pytest.mark.parametrize("command", ["search", "run"])
def test_options_that_contradict(
    command: str, options: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "ray" in options:
        pytest.importorskip("ray")
    assert run(["study", command, GRID, "--out", str(tmp_path / "out"), *options]) == 2
    assert f"cxreader: {line}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_search_on_a_cluster_needs_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "ray" or name.startswith("cxreader.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(["study", "search", GRID, "--out", str(tmp_path / "out"), "--engine", "ray"]) == 5
    expected = "cxreader: work on a cluster needs ray; pip install 'cxreader[cluster]'"
    assert capsys.readouterr().err.splitlines()[-1] == expected

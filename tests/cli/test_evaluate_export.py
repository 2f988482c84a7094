"""`cxreader evaluate` on a copy of an artifact that holds its export alone, on a machine without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cxreader.cli import run
from cxreader.inference.runtimes.export import export_onnx
from cxreader.models.artifact import WEIGHTS
from cxreader.runs import RunFolder, artifact_folder

pytestmark = pytest.mark.usefixtures("pdf_left_empty")

WITHOUT_TORCH = """
import importlib.util, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "torch" else find_spec(name, package)
sys.meta_path.insert(0, Absent())
from cxreader.cli import run

sys.exit(run(sys.argv[1:]))
"""
LEFT_OUT = "the randomisation test is left out"


@pytest.fixture(scope="module")
def exported(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = shutil.copytree(small_run, tmp_path_factory.mktemp("exported") / "run")
    export_onnx(artifact_folder(copy))
    (artifact_folder(copy) / WEIGHTS).unlink()
    return copy


def test_without_torch_and_weights_the_export_judges_and_what_is_left_out_is_said(
    exported: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, "evaluate", str(exported), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    said = " ".join(done.stderr.split())
    assert f"judged by its export alone: the folder holds no {WEIGHTS}; {LEFT_OUT}" in said
    assert {"evaluation.json", "report.html", "shortcuts.json", "predictions.csv"} <= {
        p.name for p in (tmp_path / "out").iterdir()
    }
    assert not (tmp_path / "out" / "sanity.json").exists()


def test_with_torch_but_no_weights_it_judges_too(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", str(exported), "--out", str(tmp_path / "out")]) == 0
    assert LEFT_OUT in " ".join(capsys.readouterr().err.split())
    header = (tmp_path / "out" / "predictions.csv").read_text().splitlines()[0].split(",")
    assert "acceptance" in header


def test_a_copy_with_neither_weights_nor_export_is_refused(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = RunFolder(shutil.copytree(small_run, tmp_path / "run"))
    folder = artifact_folder(copy.path)
    (folder / WEIGHTS).unlink()
    assert not json.loads((folder / "artifact.json").read_text())["exports"]
    assert run(["evaluate", str(copy.path)]) != 0
    assert "weights are missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["train", "a.toml", "--out", "run"], ["study", "run", "a.toml", "--out", "study"], ["demo"]]
)
def test_what_needs_torch_says_in_one_line_how_to_get_it(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[data]\nroot = "."\n')
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *command], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 5
    assert line == "cxreader: this command needs torch, which is not installed; pip install 'cxreader[train]'"
    assert [path.name for path in tmp_path.iterdir()] == ["a.toml"]

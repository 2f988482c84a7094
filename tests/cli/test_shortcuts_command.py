"""`cxreader audit shortcuts` as a user meets it, with a reader whose eyes are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.assessment.shortcut_world import SIDE, Patches, make_images, make_reader

from cxreader.cli import run
from cxreader.cli.output.console import State
from cxreader.config import parse_config
from cxreader.data.sources import open_source
from cxreader.data.split import make_split
from cxreader.runs import RunFolder

pytestmark = pytest.mark.usefixtures("pdf_left_empty")


@pytest.fixture(scope="module", autouse=True)
def _two_strengths() -> Iterator[None]:
    """Fewer fits; which strength is best is tested where it is chosen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxreader.evaluation.shortcuts.cross_fit.STRENGTHS", (1e-2, 1e-1))
        yield


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("marked"), 60, marker=True)


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setattr(State, "quiet", False)
    monkeypatch.setattr(State, "debug", False)
    monkeypatch.setattr("cxreader.cli.reading.load_reader", lambda model, point: make_reader(Patches()))


def test_it_prints_every_rival_the_verdict_with_its_reasons_and_writes_both_files(
    marked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["-q", "audit", "shortcuts", "--model", "a", "--data", str(marked), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "\n  prevalence " in printed
    for name in ("metadata", "image statistics", "border only", "16 x 16 thumbnail"):
        assert f"\n  {name}, learnt here " in printed
    assert "\n  patient identity " in printed
    assert "the model on the border alone" in printed
    assert "Verdict: suspected. A shortcut is suspected." in printed
    assert "  - border only, learnt here: AUC 0.9" in printed
    assert "leak: none of 120 images" in printed
    assert json.loads((out / "shortcuts.json").read_text())["verdict"] == "suspected"
    assert (out / "shortcuts.html").is_file()


def test_at_80_columns_what_the_numbers_mean_stands_below_them_in_whole_lines(
    marked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["-q", "audit", "shortcuts", "--model", "a", "--data", str(marked)]) == 0
    table, below = capsys.readouterr().out.split("What it means:\n")
    assert max(len(line) for line in table.splitlines()) <= 80
    assert "what it means" not in table
    lines = below.splitlines()
    assert any(line.startswith("- border only, learnt here: tells the label: a shortcut is open; ") for line in lines)
    assert "- prevalence: the model sees more" in lines


def test_a_policy_of_uncertain_labels_reaches_the_source(
    marked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has none refuses it."""
    monkeypatch.setattr("cxreader.runs.artifact_folder", Path)
    monkeypatch.setattr("cxreader.cli.evaluating._check_whole", lambda _: None)
    monkeypatch.setattr("cxreader.models.artifact.load_artifact", lambda *_, **__: None)
    monkeypatch.setattr("cxreader.cli.reading.load_reader", lambda *_, **__: make_reader(Patches()))
    for command in (["audit", "shortcuts"], ["evaluate"]):
        given = ["--model", "a", "--data", str(marked), "--out", str(tmp_path / "out"), "--uncertain", "drop"]
        assert run(["-q", *command, *given]) == 2
        assert "are none of them uncertain, or are decided already" in " ".join(capsys.readouterr().err.split())


def test_the_exit_code_is_1_only_when_asked_for(marked: Path, tmp_path: Path) -> None:
    arguments = ["-q", "audit", "shortcuts", "--model", "a", "--data", str(marked)]
    assert run([*arguments, "--fail-on-suspected"]) == 1
    few = make_images(tmp_path / "few", 12)
    assert run(["-q", "audit", "shortcuts", "--model", "a", "--data", str(few), "--fail-on-suspected"]) == 0


def test_a_run_is_audited_on_its_own_test_part(
    marked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = parse_config({"data": {"root": str(marked)}, "input": {"size": SIDE}, "model": {"weights": "none"}})
    folder = RunFolder.create(tmp_path / "run", config, resume=False)
    index = open_source(str(marked))
    split = make_split(index)
    split.save(folder.split)
    assert run(["-q", "audit", "shortcuts", str(folder.path)]) == 0
    printed = capsys.readouterr().out
    assert f"judged: {len(split.parts['test'])} images" in printed
    assert "split by patient: patients in more than one part: 0" in printed
    assert folder.cache.is_dir()


@pytest.mark.parametrize("arguments", [[], ["run", "--model", "a"], ["--model", "a"], ["--data", "d"]])
def test_what_is_not_clear_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-q", "audit", "shortcuts", *arguments]) == 2
    error = capsys.readouterr().err
    assert "what is to be audited is not clear" in error
    assert len(error.strip().splitlines()) == 1

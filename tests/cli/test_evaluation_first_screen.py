"""What `cxreader evaluate` prints before its table, and what it calls data that nobody named."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from cxreader.cli import run
from cxreader.cli.output.console import State
from cxreader.data.index import Index
from cxreader.runs import RunFolder

pytestmark = pytest.mark.usefixtures("pdf_left_empty")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(State, "quiet", True)


def _index(name: str, root: str) -> Index:
    return Index((), name=name, kind="folder", root=root)


@pytest.mark.parametrize(
    ("name", "root", "title"),
    [
        ("nih", "/data/x", "nih"),
        ("", "/data/ward 7.2", "ward 7.2"),
        ("", "/data/ward/labels.csv", "ward"),
        ("", "labels.csv", "labels"),
        (" ", "/data/chests.parquet", "chests"),
        ("", "/", "/"),
    ],
)
def test_data_always_have_a_title(name: str, root: str, title: str) -> None:
    assert _index(name, root).title == title


def test_a_run_of_data_without_a_name_is_headed_by_their_folder(
    small_run: Path, small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nameless = RunFolder(shutil.copytree(small_run, tmp_path / "run"))
    config = json.loads(nameless.config.read_text())
    config["data"]["name"] = None
    nameless.config.write_text(json.dumps(config))
    assert run(["--quiet", "evaluate", str(nameless.path), "--quick"]) == 0
    printed = capsys.readouterr().out
    assert f"{small_world.name}, part test" in printed
    page = (nameless.evaluation / "report.html").read_text()
    assert not re.search(r"\bNone\b(?! was refused)", printed + page)


def _table(folder: Path, name: str, probability: np.ndarray, label: np.ndarray) -> str:
    rows = [f"{k}.png,p{k},{y},{p:.4f}" for k, (y, p) in enumerate(zip(label, probability, strict=True))]
    (folder / name).write_text("\n".join(["image,patient,label,probability", *rows]) + "\n")
    return str(folder / name)


LABEL = np.arange(60) % 2
NOISE = np.random.default_rng(3).uniform(0.1, 0.5, 60)


def _first_screen(table: str, out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[str, str]:
    """What the terminal shows before the table of figures, and the page up to its first section."""
    assert run(["--quiet", "evaluate", "--predictions", table, "--out", str(out), *more]) == 0
    printed = capsys.readouterr().out
    page = (out / "report.html").read_text()
    return " ".join(printed.split("95 % interval")[0].split()), page.split('<section id="sure"')[0]


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (NOISE + 0.3 * (1 - LABEL), "the direction is probably reversed"),
        (np.where(NOISE > 0.2, LABEL, 1 - LABEL), "these are decisions, not scores"),
        (np.full(60, 0.5), "nothing is ranked"),
        (NOISE / 10 + 0.5 * LABEL, "Perfect separation"),
    ],
)
def test_of_a_table_it_is_said_on_the_first_screen(
    probability: np.ndarray, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in _first_screen(_table(tmp_path, "p.csv", probability, LABEL), tmp_path / "out", capsys):
        assert said in text
        assert "cannot be known" in text


def test_one_class_and_thresholds_of_another_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = _table(tmp_path, "one.csv", NOISE, np.ones(60, int))
    for text in _first_screen(one, tmp_path / "out", capsys):
        assert "There is no normal image: AUC, specificity" in text
    judged = _table(tmp_path, "judged.csv", NOISE + 0.2 * LABEL, LABEL)
    rows = (tmp_path / "judged.csv").read_text().replace(".png,p", ".jpg,q").splitlines()
    (tmp_path / "calibrate.csv").write_text("\n".join(rows) + "\n")
    swapped = [
        line.replace(",0,", ",x,").replace(",1,", ",0,").replace(",x,", ",1,") if k else line
        for k, line in enumerate(rows)
    ]
    (tmp_path / "swapped.csv").write_text("\n".join(swapped) + "\n")
    options = ["--calibrate", str(tmp_path / "swapped.csv"), "--point", "confirm: specificity 0.5"]
    for text in _first_screen(judged, tmp_path / "out2", capsys, *options):
        assert "Of the predictions that set the thresholds: The AUC is" in text
    reverse = _table(tmp_path, "reverse.csv", NOISE + 0.2 * (1 - LABEL), LABEL)
    for text in _first_screen(judged, tmp_path / "out4", capsys, "--predictions", reverse):
        assert "Of reverse: The AUC is" in text
    options = ["--calibrate", str(tmp_path / "calibrate.csv"), "--point", "rule-in: specificity 0.3", "--point"]
    for text in _first_screen(judged, tmp_path / "out3", capsys, *options, "screening: sensitivity 0.3"):
        assert "contradict their names: rule-in" in text


def test_the_terminal_says_first_whether_it_is_worth_a_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = _table(tmp_path, "vendor.csv", NOISE + 0.45, LABEL)
    assert (
        run(["--quiet", "evaluate", "--predictions", table, "--out", str(tmp_path / "out"), "--threshold", "0.5"]) == 0
    )
    first, *more = capsys.readouterr().out.splitlines()
    assert first.startswith("Not worth a trial at this threshold: it calls every image abnormal")
    assert "- shortcuts cannot be looked for without the images" in more


def test_all_images_and_the_answered_ones_stand_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 60 images every third is refused; 40 are answered, in the terminal, the page, the card and the file."""
    judged = ("refused", "accepted", "warning")
    rows = [f"{k}.png,p{k},{y},{p:.4f},{judged[k % 3]}" for k, (y, p) in enumerate(zip(LABEL, NOISE, strict=True))]
    table = tmp_path / "own.csv"
    table.write_text("\n".join(["image,patient,label,probability,acceptance", *rows]) + "\n")
    out = tmp_path / "out"
    assert run(["--quiet", "evaluate", "--predictions", str(table), "--out", str(out), "--threshold", "0.3"]) == 0
    said = "Answered: 40 images; refused 20, referred to a human 0."
    assert said in capsys.readouterr().out
    assert said in (out / "report.html").read_text().split('<section id="sure"')[0]
    assert "| The 40 answered |" in (out / "model_card.md").read_text()
    assert json.loads((out / "evaluation.json").read_text())["answered"]["images"] == 40

"""`cxreader read --page`: the worklist as one page, in its order, with a picture of each image."""

from __future__ import annotations

import csv
import io
import re
import shutil
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.cli import run
from cxreader.cli.output import worklist
from cxreader.cli.output.console import State
from cxreader.reporting.worklist import WorklistRow, render_worklist


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setattr(State, "quiet", False)
    monkeypatch.setattr(State, "debug", False)


@pytest.fixture
def files(small_world: Path, tmp_path: Path) -> list[str]:
    """Six images, one that is refused and one that cannot be read, named as no page must take at its word."""
    folder = tmp_path / "images"
    folder.mkdir()
    for path in sorted(small_world.glob("0*.png"))[:6]:
        shutil.copy(path, folder)
    Image.fromarray(np.full((90, 70), 128, np.uint8)).save(folder / "<b>blank.png")
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return [str(path) for path in sorted(folder.iterdir())]


def rows_of(page: str) -> list[str]:
    return page.split("<tbody>")[1].split("</tbody>", maxsplit=1)[0].split("</tr>")[:-1]


@pytest.mark.parametrize("to_file", [True, False])
def test_the_page_has_the_order_and_the_answers_of_the_table(
    small_run: Path, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], *, to_file: bool
) -> None:
    page, out = tmp_path / "worklist.html", tmp_path / "table.csv"
    named = ["--out", str(out) if to_file else "-", "--sort", "--page", str(page)]
    assert run(["-q", "read", "--model", str(small_run), *files, *named]) == 0
    printed = capsys.readouterr().out
    table = list(csv.DictReader(io.StringIO(out.read_text() if to_file else printed)))
    text = page.read_text()
    shown = rows_of(text)
    assert len(shown) == len(table) == 8
    for row, told in zip(shown, table, strict=True):
        name = told["image"].rsplit("/", 1)[-1].replace("<", "&lt;").replace(">", "&gt;")
        assert f'<td class="rank">{told["rank"]}</td>' in row
        assert name in row
        assert (told["decision"] or told["acceptance"]) in row
        assert told["reason_of_rank"] in row
        if told["probability"]:
            number = float(re.findall(r'class="number">([\d.]+)', row)[0])
            assert number == pytest.approx(float(told["probability"]), abs=0.0011)
    refused = next(row for row in shown if "blank.png" in row)
    assert "nothing in the picture differs" in refused
    torn = next(row for row in shown if "torn.png" in row)
    assert "no picture" in torn
    assert "no answer" in torn


def test_the_page_loads_nothing_and_every_picture_has_an_alternative(
    small_run: Path, files: list[str], tmp_path: Path
) -> None:
    page = tmp_path / "worklist.html"
    assert run(["-q", "read", "--model", str(small_run), *files, "--out", "-", "--page", str(page)]) == 0
    text = page.read_text()
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 7
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    with Image.open(io.BytesIO(b64decode(sources[0].split(",")[1]))) as picture:
        assert (picture.format, picture.mode, max(picture.size)) == ("JPEG", "L", 160)
    assert len(re.findall(r'alt="Thumbnail of [^"]+"', text)) == 7
    assert not re.search(r"https?://|<script|<link", text)
    assert "For research; not a medical device." in text
    assert "never whether they do" in text


def test_many_images_are_told_by_the_head_of_the_worklist(
    small_run: Path, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxreader.cli.reading.MOST", 3)
    page = tmp_path / "worklist.html"
    given = ["--out", str(tmp_path / "t.json"), "--page", str(page)]
    assert run(["-q", "read", "--model", str(small_run), *files, *given]) == 0
    text = page.read_text()
    assert re.findall(r'class="rank">(\d+)', text) == ["1", "2", "3"], (
        "the worklist's head, the table in the files' order"
    )
    assert "the first 3 of 8" in text


def test_a_page_of_another_kind_is_refused_before_anything_is_read(
    small_run: Path, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--out", str(tmp_path / "t.csv"), "--page", str(tmp_path / "page.pdf")]
    assert run(["-q", "read", "--model", str(small_run), *files, *given]) != 0
    assert "a page is an HTML file; name it .html" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "t.csv").exists()


def test_a_score_is_called_a_score() -> None:
    row = {
        "rank": 1,
        "image": "a.png",
        "acceptance": "accepted",
        "decision": "normal",
        "probability": None,
        "probability_low": None,
        "probability_high": None,
        "threshold": 0.5,
        "score": 0.25,
        "reason_of_rank": "normal",
        "reasons": "",
        "notes": "",
    }
    assert worklist._row(row, None, []).number == "score 0.250"


def test_what_is_true_of_every_answer_stands_once_above_them() -> None:
    """The model's own note is in every row of the table, and on the page at the top alone."""
    answer = dict.fromkeys(("probability_low", "probability_high", "probability", "score"))
    row = {
        "rank": 1,
        "image": "a.png",
        "acceptance": "accepted",
        "decision": "normal",
        "threshold": 0.5,
        "reason_of_rank": "normal",
        "reasons": "",
        "notes": "calibrated on few images: 29; a note of its own",
        **answer,
    }
    made = worklist._row(row, None, ["calibrated on few images: 29"])
    assert made.remarks == "a note of its own"
    text = render_worklist([made], counts="1", basis="", files=1, warnings=["calibrated on few images: 29"])
    assert text.count("calibrated on few images: 29") == 1
    assert text.index("calibrated on few images: 29") < text.index("<tbody>")


def test_a_page_of_nothing_says_so() -> None:
    text = render_worklist([], counts="0 files", basis="", files=0)
    assert "0 files" in text
    assert rows_of(text) == []
    one = render_worklist([WorklistRow(1, "a/b.png", "refused", "", "", "refused")], counts="1", basis="", files=1)
    assert "b.png" in rows_of(one)[0]


def test_a_folder_that_holds_all_stands_once_and_two_beside_their_images() -> None:
    def page_of(*images: str) -> str:
        rows = [WorklistRow(rank, image, "accepted", "normal", "0.1", "normal") for rank, image in enumerate(images, 1)]
        return render_worklist(rows, counts="", basis="", files=len(rows))

    one, two = page_of("/a/x.png", "/a/y.png"), page_of("/a/x.png", "/b/y.png")
    assert one.count('<span class="path">/a/</span>') == 1
    assert "in /a/</span></th>" not in one
    assert "All of them in" not in two
    assert ("in /a/</span></th>" in two, "in /b/</span></th>" in two) == (True, True)
    assert "All of them in" not in page_of("x.png", "y.png")

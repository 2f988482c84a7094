"""`cxreader read` and `explain` with several models, in the worklist's order, and for many files."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save

from cxreader.cli import run
from cxreader.cli.output import answers, console
from cxreader.cli.output.console import DISCLAIMER, State
from cxreader.models.artifact import WEIGHTS, load_artifact, save_artifact

pytestmark = pytest.mark.usefixtures("few_images_suffice")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setattr(State, "quiet", False)
    monkeypatch.setattr(State, "debug", False)


@pytest.fixture(scope="module")
def two(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """--model twice: the small run, and the same network with its head turned round, which often disagrees with it."""
    artifact = load_artifact(small_run / "artifact")
    weights = load_file(small_run / "artifact" / WEIGHTS)
    turned = save({name: -value if name.startswith("head.") else value for name, value in weights.items()})
    other = replace(artifact, weights_sha256=hashlib.sha256(turned).hexdigest(), exports={})
    folder = save_artifact(other, turned, tmp_path_factory.mktemp("other") / "artifact")
    return ["--model", str(small_run), "--model", str(folder), "--backend", "torch"]


def files_of(world: Path, count: int) -> list[str]:
    return [str(path) for path in sorted(world.glob("0*.png"))[:count]]


def test_several_models_show_their_agreement_and_what_is_referred(
    two: list[str], small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = files_of(small_world, 6)
    assert run(["-q", "read", *two, *files]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "conformal agreement reasons" in text
    assert "the models disagree" in text
    assert "the mean of the models'" in text
    ids = [
        load_artifact(Path(folder) / "artifact" if n == 1 else folder).id for n, folder in enumerate(two) if n in (1, 3)
    ]
    assert all(f"Artifact {id_}" in text for id_ in ids)
    assert text.endswith(DISCLAIMER)
    assert run(["read", *two, *files, "--out", str(tmp_path / "o.csv")]) == 0
    assert DISCLAIMER in capsys.readouterr().err
    rows = list(csv.DictReader((tmp_path / "o.csv").read_text().splitlines()))
    assert {row["artifact"] for row in rows} == {"+".join(ids)}
    for row in rows:
        ends = float(row["probability_1"]), float(row["probability_2"])
        assert float(row["probability"]) == pytest.approx(sum(ends) / 2)
        assert float(row["agreement"]) == pytest.approx(1 - abs(ends[0] - ends[1]))


def test_the_worklist_comes_sorted_with_its_reasons_and_long_ones_are_cut(
    small_run: Path,
    small_world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "torn\n.png").touch()
    named = [str(tmp_path / "torn\n.png"), *files_of(small_world, 8)]
    arguments = ["-q", "read", "--model", str(small_run), *named, "--sort"]
    assert run([*arguments, "--out", "-"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, 10)]
    steps = [("abnormal", "", "normal").index(row["decision"]) for row in rows]
    assert steps == sorted(steps)
    monkeypatch.setattr(answers, "MOST_SHOWN", 3)
    assert run(arguments) == 0
    text = capsys.readouterr().out
    assert "1: abnormal, probability" in text
    assert "4: " not in text
    assert "And 6 more: write them to a file with --out." in text
    monkeypatch.setattr(answers, "MOST_SHOWN", 9)
    assert run(arguments) == 0
    assert r"torn\n.png" in capsys.readouterr().out


def test_a_narrow_terminal_has_the_sentences_below_the_table(
    small_run: Path,
    small_world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "torn.png").touch()
    for file in files_of(small_world, 3):
        shutil.copy(file, tmp_path)
    arguments = ["-q", "read", "--model", str(small_run), str(tmp_path)]
    reason = "the file is empty; copy the file again from its source"
    monkeypatch.setenv("COLUMNS", "110")
    assert run(arguments) == 0
    assert "acceptance   decision" in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "80")
    assert run(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    header = next(line for line in lines if "image" in line)
    assert header.split() == ["image", "answer", "probability", "interval", "conformal"]
    assert len(header) <= 80
    torn = [line for line in lines if "torn.png" in line]
    assert torn[0].endswith("not read".ljust(len(torn[0]) - torn[0].index("not read")))
    assert torn[1].endswith(f"torn.png: {reason}")
    assert run([*arguments, "--sort"]) == 0
    lines = capsys.readouterr().out.splitlines()
    places = [line for line in lines if line[1:3] == ". "]
    assert any(line.endswith(f"torn.png: not read: a person must look; {reason}") for line in places)
    assert all("; " in line for line in places)  # "abnormal, probability 0.97" already stands in the table


@pytest.mark.parametrize(
    ("acceptance", "decision", "answer"),
    [("warning", "normal", "normal, warning"), ("accepted", "refer", "refer"), ("refused", "", "refused")],
)
def test_a_narrow_table_has_acceptance_and_decision_in_one_column(
    acceptance: str, decision: str, answer: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    header = ("image", "acceptance", "decision", "probability", "reasons")
    rows = [("a.png", acceptance, decision, "0.123", "one two three four five six")]
    for width, begins in ((80, [acceptance, *decision.split(), "0.123", "one"]), (60, [*answer.split(), "0.123"])):
        monkeypatch.setenv("COLUMNS", str(width))
        answers.show_answers(None, header, rows, sentences=["reasons"], below=["a.png: why"], note="basis")
        lines = capsys.readouterr().out.splitlines()
        line = next(line for line in lines if line.startswith("  a.png"))
        assert line.split()[1 : 1 + len(begins)] == begins
        assert ("a.png: why" in lines) == (width == 60)
        assert lines[-1] == "basis"


@pytest.mark.parametrize(
    "names", [["a.png"], ["a-long-name-of-a-picture.dcm", "b"], ["胸部.png"], ["a.png\n12/13, 20"]]
)
def test_a_table_fits_where_no_column_but_sentences_is_folded(
    names: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    header = ["image", "acceptance", "decision", "reasons"]
    rows = [[name, "not read", "", "one two three four five six seven eight nine ten"] for name in names]
    lines = [line for name in names for line in name.split("\n")]
    found = {}
    for width in range(40, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        console.table(None, header, rows, left=["reasons"], folding=["reasons"])
        shown = capsys.readouterr().out
        line = next(line for line in shown.splitlines() if "reasons" in line)
        readable = len(line) - line.index("reasons") - len("  ") >= 24
        whole = all(f" {text} " in shown for text in ("acceptance", "decision", "not read", *lines))
        found[width] = whole and readable, console.fits(header, rows, folding=["reasons"])
    first = min(width for width, (_, fits) in found.items() if fits)
    assert [good for good, _ in found.values()] == [width >= first for width in found]


def test_names_on_standard_input_may_be_any_bytes(
    small_run: Path,
    small_world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [tmp_path / "two\nlines.png", Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))]
    for name in names:
        shutil.copy(files_of(small_world, 1)[0], name)
    listing = b"".join(os.fsencode(name) + b"\0" for name in names)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(listing)))
    assert run(["-q", "read", "--model", str(small_run), "-", "--out", str(tmp_path / "o.csv")]) == 0
    with (tmp_path / "o.csv").open(encoding="utf-8", newline="") as file:
        assert [row["image"] for row in csv.DictReader(file)] == [str(names[0]), rf"{tmp_path}/caf\xe9.png"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(listing)))
    assert run(["-q", "read", "--model", str(small_run), "-"]) == 0
    assert r"caf\xe9.png" in capsys.readouterr().out


def test_another_operating_point_is_refused_where_a_reading_was_begun(
    small_run: Path,
    small_world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files, out = files_of(small_world, 20), str(tmp_path / "o.csv")
    with monkeypatch.context() as patched:
        patched.setattr("cxreader.inference.batch.read_files.write_table", _interrupted)
        assert run(["-q", "read", "--model", str(small_run), *files, "--out", out]) == 130
    capsys.readouterr()
    assert run(["-q", "read", "--model", str(small_run), *files[1:], "--out", out]) == 2
    error = capsys.readouterr().err
    assert "another number of files; give another --out, or begin anew with --fresh" in error
    assert len(error.splitlines()) == 1
    assert run(["-q", "read", "--model", str(small_run), *files[1:], "--out", out, "--fresh"]) == 0


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_several_models_are_explained_side_by_side_and_who_is_refused_has_no_map(
    two: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], small_world: Path
) -> None:
    shutil.copy(files_of(small_world, 1)[0], tmp_path / "chest.png")
    Image.fromarray(np.full((90, 70), 128, np.uint8)).save(tmp_path / "blank.png")
    out = tmp_path / "out"
    named = [str(tmp_path / "chest.png"), str(tmp_path / "blank.png")]
    assert run(["-q", "explain", *two, *named, "--out", str(out), "--raw"]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        *("blank-heat.png", "chest-heat-1.npy", "chest-heat-2.npy", "chest-heat.png")
    ]
    text = " ".join(capsys.readouterr().out.split())
    assert "blank.png refused" in text
    assert "blank: nothing in the picture differs" in text
    assert text.endswith(DISCLAIMER)
    with Image.open(out / "chest-heat.png") as picture, Image.open(named[0]) as chest:
        side = 512
        shown = np.asarray(picture, np.int64)
        larger = np.asarray(chest.resize((side, side), Image.Resampling.BILINEAR), np.int64)
        assert picture.width > 3 * side
        assert np.abs(shown[21 : 21 + side, :side] - larger[..., None]).max() <= 1  # the picture itself, in grey
    maps = [np.load(out / f"chest-heat-{n}.npy") for n in (1, 2)]
    assert [(m.dtype, m.shape) for m in maps] == [(np.float32, (2, 2))] * 2


def test_a_name_as_long_as_the_system_allows_is_explained(
    small_run: Path, small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{'é' * 124}{end}.png" for end in "ab"]  # 253 bytes each, alike where they are cut
    for name in names:
        shutil.copy(files_of(small_world, 1)[0], tmp_path / name)
    named = [str(tmp_path / name) for name in names]
    assert run(["-q", "explain", "--model", str(small_run), *named, "--out", str(tmp_path / "out"), "--raw"]) == 0
    capsys.readouterr()
    stem = "é" * 100
    expected = [f"{stem}{n}-heat.{kind}" for n in ("", "-2") for kind in ("npy", "png")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(expected)


def test_pictures_of_files_named_by_uid_keep_the_whole_uid(small_run: Path, small_world: Path, tmp_path: Path) -> None:
    for uid in ("1.2.840.113619.5.1", "1.2.840.113619.5.22"):
        shutil.copy(files_of(small_world, 1)[0], tmp_path / uid)
    named = [str(tmp_path / "1.2.840.113619.5.1"), str(tmp_path / "1.2.840.113619.5.22")]
    assert run(["-q", "explain", "--model", str(small_run), *named, "--out", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "1.2.840.113619.5.1-heat.png",
        "1.2.840.113619.5.22-heat.png",
    ]


def test_no_file_that_could_be_read_is_exit_3_with_its_rows(
    small_run: Path, small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, model = tmp_path / "o.csv", ["--model", str(small_run)]
    absent, blank = str(tmp_path / "absent.png"), tmp_path / "blank.png"
    for more in (["--out", str(out)], ["--out", "-"], []):
        assert run(["-q", "read", *model, absent, *more]) == 3
        shown = capsys.readouterr()
        assert shown.err == "cxreader: no file could be read; the reasons stand in the table\n"
        assert "no such file" in " ".join((shown.out + (out.read_text() if more[1:] == [str(out)] else "")).split())
    assert run(["-q", "explain", *model, absent, "--out", str(tmp_path / "pictures")]) == 3
    assert "no such file" in capsys.readouterr().out
    Image.fromarray(np.full((90, 70), 128, np.uint8)).save(blank)
    assert run(["-q", "read", *model, absent, str(blank)]) == 0  # refused, but read
    assert run(["-q", "read", *model, absent, *files_of(small_world, 1)]) == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_cannot_show_a_name_shows_its_escapes(
    small_run: Path, small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    shutil.copy(files_of(small_world, 1)[0], tmp_path / "胸.png")
    for more in (["--out", "-"], []):
        shown = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding))
        assert run(["-q", "read", "--model", str(small_run), str(tmp_path / "胸.png"), *more]) == 0
        assert rb"\u80f8.png" in shown.getvalue()


def test_control_characters_of_a_name_are_escaped_in_the_line_of_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["read", "--model", "a\x1b[2J\tb", "x.png"]) == 4
    error = capsys.readouterr().err
    assert r"a\x1b[2J\tb: no artifact here" in error
    assert "\x1b" not in error.replace(r"\x1b", "")


def test_a_list_of_names_may_begin_with_a_byte_order_mark(
    small_run: Path, small_world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = ("\ufeff" + "\n".join(files_of(small_world, 1))).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(listing)))
    assert run(["-q", "read", "--model", str(small_run), "-", "--out", "-"]) == 0
    assert "no such file" not in capsys.readouterr().out


def test_the_stated_false_refusals_are_told_with_the_number_of_checks() -> None:
    ruled: Any = SimpleNamespace(ood_detector=SimpleNamespace(false_refusals=0.02))
    assert "each of its 3 checks falsely refuses at most 2.0 % of images" in answers._refusals(ruled)


def test_a_cluster_needs_its_package_and_an_address_a_cluster(
    small_run: Path, small_world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["read", "--model", str(small_run), *files_of(small_world, 1)]
    assert run([*command, "--address", "head:6379"]) == 2
    assert "--address: nothing is read on a cluster; add --engine ray" in capsys.readouterr().err
    for name in [
        name
        for name in sys.modules
        if name.split(".")[0] == "ray" or name.startswith("cxreader.cluster.") or name.endswith(".ray_engine")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run([*command, "--engine", "ray"]) == 5
    assert (
        capsys.readouterr().err.splitlines()[-1]
        == "cxreader: work on a cluster needs ray; pip install 'cxreader[cluster]'"
    )


def test_the_address_of_a_ray_client_and_one_where_nothing_is_are_refused_in_a_line(
    small_run: Path, small_world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    command = ["read", "--model", str(small_run), *files_of(small_world, 1), "--engine", "ray"]
    assert run([*command, "--address", "ray://head:10001"]) == 2
    assert "is the address of a Ray Client, which cannot stream answers; give HOST:PORT" in capsys.readouterr().err
    for nowhere in ("127.0.0.1:1", "127.0.0.1:999999"):
        assert run([*command, "--address", nowhere]) == 2
        said = capsys.readouterr()
        assert said.err.splitlines()[-1].startswith(
            f"cxreader: {nowhere}: nothing answers there; begin one with `ray start`"
        )
        assert said.out == ""

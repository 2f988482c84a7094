"""`cxreader data` and `cxreader audit`, as a user types them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.cli import run
from cxreader.data.index import Index
from cxreader.data.pixel_cache.cache import PixelCache
from cxreader.data.split import Split
from cxreader.imaging.preprocess import InputSpec

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A table of eighty images of forty patients."""
    folder = tmp_path / "set"
    folder.mkdir()
    rng = np.random.default_rng(0)
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "label", "patient", "age", "sex", "view"])
        for n in range(80):
            coarse = Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8))
            coarse.resize((64, 64), Image.Resampling.BICUBIC).save(folder / f"{n:02d}.png")
            rows.writerow([f"{n:02d}.png", ("normal", "abnormal")[n // 2 % 2], f"p{n // 2}", 20 + n, "MF"[n % 2], "PA"])
    return folder


@pytest.fixture
def split(source: Path, tmp_path: Path, capsys: Capture) -> Path:
    path = tmp_path / "split.json"
    assert run(["data", "split", str(source), "--out", str(path)]) == 0
    capsys.readouterr()
    return path


def test_index(source: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "index.parquet"
    assert run(["data", "index", str(source), "--name", "ours", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "ours (table)" in told
    words = " ".join(told.split())
    for piece in ("images 80", "patients 40", "normal 40", "abnormal 40", "view PA 80", "sex F 40"):
        assert piece in words
    assert len(Index.load(out)) == 80
    assert run(["data", "index", str(out)]) == 0


def test_phantoms_become_a_source(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "phantoms"
    command = [
        "--quiet",
        "data",
        "phantom",
        str(out),
        "--patients",
        "3",
        "--size",
        "64",
        "--seed",
        "5",
        "--workers",
        "1",
    ]
    assert run(command) == 0
    assert "phantom images of 3 phantom patients" in capsys.readouterr().out
    assert run(["data", "index", str(out)]) == 0
    assert "phantom:5" in capsys.readouterr().out


def test_split(source: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "split.json"
    assert run(["data", "split", str(source), "--out", str(out), "--balance", "natural"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    made = Split.load(out)
    assert len(made) == 80
    for piece in ("train", "tune", "calibrate", "test", made.digest[:12], "0 of", "left out"):
        assert piece in told
    again = tmp_path / "again.json"
    assert run(["data", "split", str(source), "--out", str(again), "--balance", "natural", "--keep", str(out)]) == 0
    assert Split.load(again) == made


def test_image_random_prints_its_leak(source: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "split.json"
    assert run(["data", "split", str(source), "--out", str(out), "--kind", "image-random"]) == 0
    assert "test images" in capsys.readouterr().out.split("leak: ")[1]


def test_cache(source: Path, tmp_path: Path, capsys: Capture) -> None:
    (source / "07.png").write_bytes(b"no image")
    command = ["data", "cache", str(source), "--out", str(tmp_path / "c"), "--size", "32", "--workers", "1"]
    assert run(command) == 0
    captured = capsys.readouterr()
    assert "80 images at 32 x 32 need 0.1 MiB" in captured.err
    assert "07.png" in captured.out
    assert "79 images decoded, 0 were there, 1 could not be read" in captured.out
    assert len(PixelCache.open(tmp_path / "c", InputSpec(32))) == 79
    assert run(["--quiet", *command, "--verify"]) == 0
    captured = capsys.readouterr()
    assert "0 images decoded, 79 were there, 1 could not be read" in captured.out
    assert captured.err == ""


def test_an_audit_that_passes(split: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "audit.json"
    assert run(["audit", "split", str(split), "--size", "64", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "patients in more than one part: 0" in told
    assert told.strip().endswith("passed")
    assert json.loads(out.read_text())["failed"] is False


def test_an_audit_that_fails_has_exit_code_1(source: Path, split: Path, tmp_path: Path, capsys: Capture) -> None:
    made = Split.load(split)
    (source / made.parts["test"][0]).write_bytes((source / made.parts["train"][0]).read_bytes())
    assert run(["audit", "split", str(split), "--size", "64"]) == 1
    told = capsys.readouterr().out
    assert "exact duplicates across parts: 1" in told
    assert "FAILED" in told


def test_an_audit_of_a_source_that_moved(source: Path, split: Path, capsys: Capture) -> None:
    moved = source.rename(source.with_name("moved"))
    assert run(["audit", "split", str(split), "--size", "64"]) == 3
    assert "nothing is there" in capsys.readouterr().err
    assert run(["audit", "split", str(split), "--size", "64", "--data", str(moved)]) == 0


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    ("damage", "code", "what"),
    [
        (lambda path: path.write_text(path.read_text().replace('"salt": ', '"salt": 9')), 3, "damaged or was edited"),
        (lambda path: path.unlink(), 3, "cannot be opened"),
    ],
)
def test_a_bad_split_is_one_line(split: Path, damage: Damage, code: int, what: str, capsys: Capture) -> None:
    damage(split)
    assert run(["audit", "split", str(split)]) == code
    error = capsys.readouterr().err.strip()
    assert what in error
    assert "\n" not in error


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["data", "index", "nowhere"], 3, "looked at"),
        (["data", "index", "{source}", "--tables", "nowhere"], 3, "nothing is there"),
        (["data", "split", "{source}", "--out", "{source}/s.json", "--balance", "ratio"], 2, "add the abnormal share"),
        (
            ["data", "split", "{source}", "--out", "{source}/labels.csv/s.json"],
            6,
            "labels.csv: is a file, not a folder",
        ),
        (["data", "cache", "{source}", "--out", "{source}/c", "--size", "8"], 2, "too few"),
    ],
)
def test_mistakes_are_one_line_with_the_mend(
    source: Path, arguments: list[str], code: int, what: str, capsys: Capture
) -> None:
    assert run([argument.replace("{source}", str(source)) for argument in arguments]) == code
    error = capsys.readouterr().err.strip()
    assert what in error
    assert error.startswith("cxreader: ")
    assert "\n" not in error

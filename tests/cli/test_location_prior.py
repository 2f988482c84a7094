"""`cxreader audit location-prior`, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.cli import run
from cxreader.explanation.localisation_report import LocalisationReport

Capture = pytest.CaptureFixture[str]
HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """Twelve boxes in one place and twelve in another, of twelve patients."""
    path = tmp_path / "BBox_List_2017.csv"
    rows = [
        f"{n:08d}_000.png,{name},{at},{at},256,256,,," for n in range(12) for name, at in (("Mass", 0), ("Nodule", 512))
    ]
    path.write_text("\n".join([HEADER, *rows, ""]))
    return path


def test_the_table_and_its_json(boxes: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "audit"
    assert run(["audit", "location-prior", str(boxes), "--out", str(out)]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "24 boxes in 12 images of 12 patients" in words
    for title in ("Mean IoU", "IoU > 0.25", "IoU > 0.5", "Pointing"):
        assert title in words
    assert "\N{EN DASH}: no interval, every resample gives the same value, which bounds nothing." in words
    assert "all 0.500 1.000 0.000 0.500" in words  # two squares marked, one right; ties share the peak
    assert "A fixed map of each finding" in words
    assert "all 1.000 1.000 1.000 1.000" in words  # told the finding, nobody can miss
    found = LocalisationReport.from_dict(json.loads((out / "location-prior.json").read_text()))
    assert found.all.null["iou"].value == 0.5
    assert [g.name for g in found.groups] == ["all", "Mass", "Nodule"]


def test_a_table_with_boxes_beside_it_is_as_good_as_a_list(tmp_path: Path, capsys: Capture) -> None:
    """Four patients, files of 32 pixels made from pictures of 64: squares of a quarter of the side in two corners."""
    rows, boxes = ["image,label,patient,original_width,original_height"], ["image,finding,x,y,width,height"]
    for n in range(4):
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / f"{n}.png")
        rows.append(f"{n}.png,abnormal,p{n},64,64")
        boxes += [f"{n}.png,Mass,0,0,16,16", f"{n}.png,Nodule,48,48,16,16"]
    (tmp_path / "labels.csv").write_text("\n".join([*rows, ""]))
    (tmp_path / "boxes.csv").write_text("\n".join([*boxes, ""]))
    for place in (tmp_path / "labels.csv", tmp_path):
        assert run(["-q", "audit", "location-prior", str(place)]) == 0
        words = " ".join(capsys.readouterr().out.split())
        assert "A fixed map on 8 boxes in 4 images of 4 patients" in words
        assert "all 0.500 1.000 0.000 0.500" in words


def test_quiet_prints_the_table_alone(boxes: Path, capsys: Capture) -> None:
    assert run(["--quiet", "audit", "location-prior", str(boxes)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "Nodule" in captured.out


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (None, "cannot be read (No such file"),
        ("image,label\na.png,normal\n", "no file for image 'a.png'"),
        ("", "has no header"),
        (f"{HEADER}\n", "there is no box"),
        (f"{HEADER}\nscan.png,Mass,0,0,9,9,,,\n", "does not tell its patient"),
        (f"{HEADER}\n00000001_000.png,Mess,0,0,9,9,,,\n", "did you mean 'Mass'"),
        (f"{HEADER}\n00000001_000.png,Mass,0,zero,9,9,,,\n", "row 2: a box is not four numbers"),
    ],
)
def test_mistakes_are_one_line_with_the_mend(tmp_path: Path, text: str | None, what: str, capsys: Capture) -> None:
    path = tmp_path / "boxes.csv"
    if text is not None:
        path.write_text(text)
    assert run(["--quiet", "audit", "location-prior", str(path)]) == 3
    error = capsys.readouterr().err.strip()
    assert what in error
    assert error.startswith(f"cxreader: {path}")
    assert "\n" not in error


@pytest.mark.real
def test_the_release_takes_seconds_and_no_torch(images_root: Path) -> None:
    code = f"""
import sys
from cxreader.cli import run
assert run(["--quiet", "audit", "location-prior", {str(images_root / "nih" / "BBox_List_2017.csv")!r}]) == 0
assert not {{'torch', 'pandas'}} & set(sys.modules)
"""
    started = time.process_time(), time.perf_counter()
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "984 boxes in 880 images of 726 patients" in told
    assert time.perf_counter() - started[1] < 60

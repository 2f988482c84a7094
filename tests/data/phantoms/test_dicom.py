"""Phantoms as DICOM files: the same people and pictures as in the release's layout, in files that the standard allows."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.data.index import Index
from cxreader.data.phantoms.patients import plan_patient
from cxreader.data.phantoms.write import PhantomSpec, render, write_phantoms
from cxreader.data.sources import open_source
from cxreader.errors import DataError, UsageError
from cxreader.imaging.read import read, read_header

SMALL = PhantomSpec(patients=24, seed=3, size=96)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantoms") / "out"
    report = write_phantoms(out, SMALL, layout="dicom", workers=1)
    assert (report.drawn, report.kept) == (report.images, 0)
    return out


def _files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def _told(index: Index) -> list[tuple[object, ...]]:
    """What is known of each image, in order, patients numbered as they come."""
    patients: dict[str | None, int] = {}
    return [
        (r.label, r.findings, r.sex, r.age, r.view, patients.setdefault(r.patient, len(patients)))
        for r in index.records
    ]


def test_the_people_are_those_of_the_releases_layout(tree: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "release", SMALL, workers=1)
    theirs, ours = open_source(tmp_path / "release"), open_source(tree)
    assert (ours.kind, ours.rows_without_file, ours.files_without_row) == ("dicom", 0, 0)
    assert _told(ours) == _told(theirs)


def test_the_picture_is_the_phantoms(tree: Path) -> None:
    for patient in (1, 2, 3):
        shown = read(tree / f"P{patient:05d}" / "IM0000")
        drawn = render(SMALL, patient, 0)
        np.testing.assert_allclose(shown.pixels, drawn.pixels / 255, rtol=0, atol=0.5 / 4095 + 1e-6)
        assert shown.notes == ()
        visit = plan_patient(SMALL.seed, patient, SMALL.abnormal_share).visits[0]
        assert shown.spacing == pytest.approx(
            [visit.spacing * max(visit.width, visit.height) / SMALL.size] * 2, abs=1e-4
        )


@pytest.mark.peer
def test_the_standard_allows_the_files(tree: Path) -> None:
    """By dicom3tools' dciodvfy, which knows the modules of a digital X-ray image."""
    for file in sorted(tree.glob("P*/IM*"))[:6]:
        done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        told = (done.stdout + done.stderr).splitlines()
        assert "DXImageForPresentation" in told
        assert [line for line in told if line.startswith("Error")] == []


def test_the_same_whatever_the_processes_and_the_number_of_patients(tree: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "two", SMALL, layout="dicom", workers=2)
    assert _files(tmp_path / "two") == _files(tree)
    write_phantoms(tmp_path / "fewer", replace(SMALL, patients=9), layout="dicom", workers=1)
    fewer = _files(tmp_path / "fewer")
    assert (tree / "labels.csv").read_bytes().startswith(fewer.pop("labels.csv"))
    del fewer["phantom.json"]
    assert fewer.items() <= _files(tree).items()


def test_another_seed_draws_other_people_and_other_images(tree: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path, replace(SMALL, seed=4), layout="dicom", workers=1)
    ours, others = open_source(tree), open_source(tmp_path)
    assert {r.patient for r in ours.records}.isdisjoint(r.patient for r in others.records)
    uids = [{read_header(file).sop_instance_uid for file in out.glob("P*/IM*")} for out in (tree, tmp_path)]
    assert uids[0].isdisjoint(uids[1])
    assert len(uids[0]) == len(ours)


@pytest.mark.parametrize("damage", ["cut", "gone", "png", "other"])
def test_what_is_not_whole_is_drawn_again(damage: str, tmp_path: Path) -> None:
    spec = replace(SMALL, patients=3)
    write_phantoms(tmp_path, spec, layout="dicom", workers=1)
    whole, file = _files(tmp_path), tmp_path / "P00001" / "IM0000"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "gone":
        file.unlink()
    elif damage == "png":
        Image.new("L", (96, 96)).save(file, "PNG")
    else:
        file.write_bytes(file.read_bytes().replace(b'{"version": 1', b'{"version": 0'))
    report = write_phantoms(tmp_path, spec, layout="dicom", workers=1)
    assert (report.drawn, report.kept) == (1, report.images - 1)
    assert _files(tmp_path) == whole


def test_one_folder_has_one_layout(tree: Path) -> None:
    before = _files(tree)
    with pytest.raises(DataError, match="holds other phantoms"):
        write_phantoms(tree, SMALL)
    assert _files(tree) == before


def test_an_unknown_layout_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown layout 'chexpert'.*known: nih, dicom"):
        write_phantoms(tmp_path / "out", SMALL, layout="chexpert")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()

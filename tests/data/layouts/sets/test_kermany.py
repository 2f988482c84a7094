"""Paediatric pneumonia: copies in copies, folders renamed by hand, and who is one patient by a file's name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cxreader.data.index import NO_PATIENTS
from cxreader.data.layouts.layout import Part
from cxreader.data.layouts.sets.kermany import patient_of
from cxreader.data.sources import open_source
from cxreader.data.split import make_split
from cxreader.errors import DataError

Draw = Callable[..., Path]
FILES = (
    "train/NORMAL/IM-0115-0001.jpeg",
    "train/NORMAL/NORMAL2-IM-0115-0001.jpeg",
    "train/PNEUMONIA/person12_bacteria_47.jpeg",
    "train/PNEUMONIA/person12_virus_48.jpeg",
    "val/PNEUMONIA/person12_bacteria_49.jpeg",
    "val/NORMAL/IM-0011-0001-0002.jpeg",
    "test/NORMAL/IM-0115-0001.jpeg",
    "test/PNEUMONIA/person12_virus_50.jpeg",
)


@pytest.fixture
def kaggle(tmp_path: Path, draw: Draw) -> Path:
    for n, name in enumerate(FILES):
        draw(tmp_path / "kaggle" / "chest_xray" / name, n)
    return tmp_path / "kaggle"


@pytest.mark.parametrize(
    ("stem", "part", "patient", "subtype"),
    [
        ("person12_bacteria_47", "train", "train/person12", "bacteria"),
        ("person12_virus_48", "validation", "train/person12", "virus"),
        ("person12_virus_48", "test", "test/person12", "virus"),
        ("person012_virus_48", None, "train/person12", "virus"),
        ("IM-0115-0001", "train", "train/IM-115", None),
        ("IM-0115-0001-0002", "train", "train/IM-115", None),
        ("NORMAL2-IM-0115-0001", "train", "train/NORMAL2-IM-115", None),
        ("NORMAL-1049278-0001", "test", "1049278", None),
        ("BACTERIA-1049278-0002", "train", "1049278", "bacteria"),
        ("scan7", "train", None, None),
    ],
)
def test_patients_by_name(stem: str, part: Part | None, patient: str | None, subtype: str | None) -> None:
    assert patient_of(stem, part) == (patient, subtype)


def test_kaggles_folders(kaggle: Path) -> None:
    index = open_source(kaggle)
    assert (index.kind, len(index), index.n_patients, index.notes) == ("kermany", 8, 6, ())
    assert index.summary()["labels"] == {"normal": 4, "abnormal": 4}
    assert index.summary()["published_parts"] == {"train": 4, "validation": 2, "test": 2}
    record = index.by_image["train/PNEUMONIA/person12_virus_48.jpeg"]
    assert (record.label, record.findings, record.subtype, record.source) == (1, ("Pneumonia",), "virus", "kermany")
    same = {index.by_image[name].patient for name in FILES[2:5]}
    assert same == {"train/person12"}
    assert index.by_image[FILES[7]].patient == "test/person12"


def test_a_part_opened_alone_names_its_patients_as_the_whole_does(kaggle: Path) -> None:
    whole = {r.path: r.patient for r in open_source(kaggle).records}
    alone = open_source(kaggle / "chest_xray" / "test")
    assert {r.path: r.patient for r in alone.records} == {
        path: who for path, who in whole.items() if "/test/" in str(path)
    }
    assert {r.published_part for r in alone.records} == {"test"}


def test_copies_within_copies_and_side_files_are_counted_once_and_left_out(kaggle: Path) -> None:
    shutil.copytree(kaggle / "chest_xray", kaggle / "chest_xray" / "chest_xray")
    side = kaggle / "chest_xray" / "__MACOSX" / "train" / "NORMAL"
    side.mkdir(parents=True)
    (side / "._IM-0115-0001.jpeg").write_bytes(b"x")
    for folder in kaggle.rglob("PNEUMONIA"):
        folder.rename(folder.with_name("Abnormal"))
    index = open_source(kaggle)
    assert (index.kind, len(index), index.n_patients) == ("kermany", 8, 6)
    assert index.notes == (
        "8 copies of the same file are counted once",
        "1 hidden file (._*, __MACOSX) left out",
    )


def test_equal_bytes_under_other_names_are_one_image_and_the_test_parts_stays(kaggle: Path) -> None:
    root = kaggle / "chest_xray"
    shutil.copy(root / FILES[7], root / "train/PNEUMONIA/person99_virus_1.jpeg")
    shutil.copy(root / FILES[6], root / "train/NORMAL/IM-0001-0001.jpeg")
    index = open_source(kaggle)
    assert sorted(index.by_image) == sorted(FILES)
    assert index.notes == ("2 files of the same bytes as another are counted once",)
    shutil.copy(root / FILES[0], root / "train/PNEUMONIA/person7_virus_9.jpeg")
    index = open_source(kaggle)
    assert FILES[0] not in index.by_image
    assert "1 image of equal bytes lies under both NORMAL and PNEUMONIA: left out" in index.notes


def test_two_pictures_of_one_place_that_differ_are_refused(kaggle: Path, draw: Draw) -> None:
    draw(kaggle / "chest_xray" / "chest_xray" / FILES[0], 99)
    with pytest.raises(DataError, match="is another picture than"):
        open_source(kaggle)


def test_names_that_tell_nobody_leave_no_leak_to_be_denied(kaggle: Path) -> None:
    for n, path in enumerate(sorted(kaggle.rglob("*.jpeg"))):
        path.rename(path.with_name(f"scan{n}.jpeg"))
    index = open_source(kaggle, kind="kermany")
    assert not index.has_patients
    assert index.notes == (NO_PATIENTS,)


def test_the_official_split_tests_on_the_published_test_part(tmp_path: Path, draw: Draw) -> None:
    for n in range(40):
        for part, first in (("train", 0), ("test", 1000)):
            draw(tmp_path / part / "NORMAL" / f"IM-{n:04d}-0001.jpeg", first + n, 32)
            draw(tmp_path / part / "PNEUMONIA" / f"person{n}_virus_{n}.jpeg", first + 500 + n, 32)
    index = open_source(tmp_path)
    split = make_split(index, kind="official", balance="natural")
    assert {name.split("/")[0] for name in split.parts["test"]} == {"test"}
    assert len(split.parts["test"]) == 80
    assert {name.split("/")[0] for part in ("train", "tune", "calibrate") for name in split.parts[part]} == {"train"}


def test_the_newer_names_of_mendeley(tmp_path: Path, draw: Draw) -> None:
    for n, name in enumerate(
        ("NORMAL/NORMAL-7-0001.jpeg", "PNEUMONIA/BACTERIA-7-0001.jpeg", "PNEUMONIA/VIRUS-8-0001.jpeg")
    ):
        draw(tmp_path / "chest_xray" / "train" / name, n)
    index = open_source(tmp_path)
    assert (index.kind, [r.patient for r in index.records]) == ("kermany", ["7", "7", "8"])


def test_an_archive_of_it_is_not_read_without_its_patients(kaggle: Path, tmp_path: Path) -> None:
    for folder in kaggle.rglob("PNEUMONIA"):
        folder.rename(folder.with_name("ABNORMAL"))
    archive = shutil.make_archive(str(tmp_path / "archive"), "zip", kaggle)
    with pytest.raises(DataError, match=r"archive\.zip: is an archive of Paediatric pneumonia .*; unpack it"):
        open_source(archive)

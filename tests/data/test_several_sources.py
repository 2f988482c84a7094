"""Several sources read together: no image is taken for another, one patient of two NIH folders is one patient."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.cli import run
from cxreader.cli.audit import reopen
from cxreader.config import SourceSection, parse_config
from cxreader.data.index import Index
from cxreader.data.sources import open_data, open_together
from cxreader.data.split import Split, make_split
from cxreader.errors import ConfigError, DataError, UsageError
from cxreader.records import group_of


def _table(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    folder.mkdir(parents=True)
    for name, _, _ in rows:
        Image.fromarray(np.full((40, 40), 90, np.uint8)).save(folder / name)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "patient"), *rows])
    return folder


def _two(root: Path, **names: str) -> list[SourceSection]:
    rows = [(f"{n}.png", ("normal", "abnormal")[n % 2], f"p{n // 2}") for n in range(40)]
    return [SourceSection(root=str(_table(root / place, rows)), name=names.get(place)) for place in ("one", "two")]


def test_equal_names_in_two_folders_are_two_images_and_their_patients_are_two(tmp_path: Path) -> None:
    index = open_together(_two(tmp_path))
    assert len(index) == 80
    assert {"one/0.png", "two/0.png"} <= set(index.by_image)
    assert index.by_image["one/0.png"].path != index.by_image["two/0.png"].path
    assert (index.name, index.kind, index.n_patients) == ("one+two", "several", 40)


def test_folders_of_one_archive_share_their_patients_and_so_their_part(tmp_path: Path) -> None:
    index = open_together(_two(tmp_path, one="hospital", two="hospital"), name="all")
    assert index.n_patients == 20
    split = make_split(index, kind="patient")
    part: dict[str, str] = {}
    for name, images in split.parts.items():
        for image in images:
            assert part.setdefault(group_of(index.by_image[image]), name) == name


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    sources = [SourceSection(root=str(_table(tmp_path / p / "x", [("a.png", "normal", "p")]))) for p in ("l", "r")]
    with pytest.raises(UsageError, match="'x'"):
        open_together(sources)


def test_a_configuration_names_one_way_to_its_images(tmp_path: Path) -> None:
    sources = [{"root": source.root} for source in _two(tmp_path)]
    assert len(open_data(parse_config({"data": {"sources": sources}}).data)) == 80
    with pytest.raises(ConfigError, match="both root and sources"):
        parse_config({"data": {"root": "x", "sources": sources}})
    with pytest.raises(ConfigError, match="inside each source"):
        parse_config({"data": {"kind": "table", "sources": sources}})
    with pytest.raises(ConfigError, match="names no images"):
        parse_config({"data": {}})


def test_official_lists_belong_to_one_source(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="split by patient"):
        make_split(open_together(_two(tmp_path)), kind="official")


def test_a_split_of_several_sources_finds_them_again_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    index = open_together([SourceSection(root="one"), SourceSection(root="two", name="far")], name="both")
    assert Index.load(index.save(tmp_path / "index.parquet")) == index
    split = make_split(index, kind="patient")
    split.save(tmp_path / "split.json")
    monkeypatch.chdir(tmp_path)
    assert reopen(Split.load(tmp_path / "split.json"), None, None) == index
    (tmp_path / "here").rename(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "there")
    moved = open_together([SourceSection(root="one"), SourceSection(root="two", name="far")], name="both")
    assert make_split(moved, kind="patient").digest == split.digest
    nowhere = replace(split, source={"path": "one, two", "kind": "several", "tables": None, "name": "both"})
    with pytest.raises(UsageError, match="does not say where its images lie"):
        reopen(nowhere, None, None)
    wrong = replace(split, source={"kind": "several", "sources": [{"rot": "one"}]})
    with pytest.raises(ConfigError, match=r"sources\.0\.root"):
        reopen(wrong, None, None)


def test_an_audit_sees_a_picture_that_two_sources_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = _two(tmp_path)
    rng = np.random.default_rng(0)
    for source in sources:
        for file in sorted(Path(source.root).glob("*.png")):
            Image.fromarray(rng.integers(0, 256, (64, 64), np.uint8)).save(file)
    split = make_split(open_together(sources), kind="patient")
    path = str(split.save(tmp_path / "split.json"))
    assert run(["-q", "audit", "split", path, "--size", "64"]) == 0
    assert "passed" in capsys.readouterr().out
    train = next(name for name in split.parts["train"] if name.startswith("one/"))
    test = next(name for name in split.parts["test"] if name.startswith("two/"))
    shutil.copy(tmp_path / train, tmp_path / test)
    assert run(["-q", "audit", "split", path, "--size", "64"]) == 1
    found = capsys.readouterr().out
    assert train in found
    assert test in found
    assert "exact duplicates across parts: 1 among" in found


def test_an_image_that_two_folders_of_one_archive_have_is_one_and_the_first_folders_label_holds(tmp_path: Path) -> None:
    panel = [("1_0.png", "normal", "1"), ("2_0.png", "abnormal", "2"), ("3_0.png", "normal", "3")]
    mined = [("1_0.jpg", "abnormal", "1"), ("2_0.jpg", "abnormal", "2"), ("2_1.jpg", "abnormal", "2")]
    _table(tmp_path / "panel", panel)
    _table(tmp_path / "mined", [(name.replace(".jpg", ".png"), label, patient) for name, label, patient in mined])
    for names, images in (
        (("a", "a"), {"panel/1_0.png": 0, "panel/2_0.png": 1, "panel/3_0.png": 0, "mined/2_1.png": 1}),
        ((None, None), None),
    ):
        sources = [
            SourceSection(root=str(tmp_path / p), name=n) for p, n in zip(("panel", "mined"), names, strict=True)
        ]
        index = open_together(sources)
        if images is None:
            assert len(index) == 6
            assert not [note for note in index.notes if "too and" in note]
        else:
            assert {r.image: r.label for r in index.records} == images
            (note,) = [note for note in index.notes if "too and" in note]
            assert note == (
                "mined: 2 images stand in panel too and are taken from there; the labels of 1 differ, and those of panel hold"
            )


def test_a_source_of_one_class_alone_is_told(tmp_path: Path) -> None:
    _table(tmp_path / "sick", [(f"{n}.png", "abnormal", f"p{n}") for n in range(3)])
    _table(tmp_path / "both", [(f"{n}.png", ("normal", "abnormal")[n % 2], f"p{n}") for n in range(4)])
    index = open_together([SourceSection(root=str(tmp_path / p)) for p in ("sick", "both")])
    (note,) = [note for note in index.notes if note.startswith("warning")]
    assert note.startswith("warning: sick holds abnormal images alone")


def test_a_source_that_only_teaches_stands_in_train_alone_without_the_patients_of_other_parts(tmp_path: Path) -> None:
    judged = [(f"{n}.png", ("normal", "abnormal")[n % 2], f"p{n}") for n in range(80)]
    taught = [(f"t{n}.png", "abnormal", f"p{n}") for n in range(40, 120)]
    _table(tmp_path / "judged", judged)
    _table(tmp_path / "taught", taught)
    sources = [
        SourceSection(root=str(tmp_path / "judged"), name="one"),
        SourceSection(root=str(tmp_path / "taught"), name="one", only_train=True),
    ]
    index = open_together(sources)
    split = make_split(index, balance="natural")
    part = {name: [index.by_image[image] for image in images] for name, images in split.parts.items()}
    for name in ("tune", "calibrate", "test"):
        assert part[name]
        assert all(record.image.startswith("judged/") for record in part[name])
    elsewhere = {record.patient for name in ("tune", "calibrate", "test") for record in part[name]}
    teachers = {record.patient for record in part["train"] if record.image.startswith("taught/")}
    assert teachers == {f"p{n}" for n in range(40, 120)} - elsewhere
    assert teachers & {f"p{n}" for n in range(80)}  # those whose own image is in train too
    left_out = 80 - len(teachers)
    assert left_out > 0
    assert f"{80 - left_out} images of sources that only teach added to train" in split.notes
    assert any(note.startswith(f"{left_out} images of sources that only teach left out") for note in split.notes)
    reopened = Index.load(index.save(tmp_path / "index.parquet"))
    assert make_split(reopened, balance="natural").digest == split.digest


def test_who_is_known_to_be_too_young_is_left_out_of_a_source_and_of_a_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "ages"
    folder.mkdir()
    ages = ("17", "18", "", "200", "5", "64")
    for n in range(len(ages)):
        Image.fromarray(np.full((40, 40), 90 + n, np.uint8)).save(folder / f"{n}.png")
    rows = [(f"{n}.png", ("normal", "abnormal")[n % 2], f"p{n}", age) for n, age in enumerate(ages)]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "patient", "age"), *rows])
    other = _table(tmp_path / "other", [("a.png", "normal", "q"), ("b.png", "abnormal", "r")])
    alone = open_data(parse_config({"data": {"root": str(folder), "min_age": 18}}).data)
    assert [record.image for record in alone.records] == ["1.png", "2.png", "3.png", "5.png"]
    assert "2 images left out: the patient is under 18 years" in alone.notes
    assert "2 images stay though nobody knows the patient's age" in alone.notes
    sources = [{"root": str(folder), "min_age": 18}, {"root": str(other)}]
    both = open_data(parse_config({"data": {"sources": sources}}).data)
    assert [record.image for record in both.records][:4] == [f"ages/{n}.png" for n in (1, 2, 3, 5)]
    assert len(both) == 6
    assert len(open_together([SourceSection(**source) for source in both.sources])) == 6, "opened again, the same"
    with pytest.raises(ConfigError, match="inside each source"):
        parse_config({"data": {"min_age": 18, "sources": sources}})
    (folder / "labels.csv").write_text("image,label,age\n0.png,normal,17\n1.png,abnormal,18\n")
    nobody = parse_config({"data": {"root": str(folder), "min_age": 100}}).data
    with pytest.raises(DataError, match="no patient is 100 years old"):
        open_data(nobody)

"""The release as people have it: layouts, tables, oddities, boxes, lists."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cxreader.data.index import Index
from cxreader.data.layouts.sets.nih import official_lists, open_nih
from cxreader.data.sources import open_source
from cxreader.errors import DataError, TableError
from cxreader.imaging import read
from cxreader.records import Box

Release = Callable[..., Path]
ROWS = [
    ("00000001_000.png", "Cardiomegaly|Emphysema", 1, "058Y"),
    ("00000001_001.png", "No Finding", 1, "411"),
    ("00000002_000.png", "Mass", 2, "009M"),
    ("00000003_000.png", "No Finding", 3, "81"),
]


def test_all_eleven_features_are_in_the_index(release: Release) -> None:
    root = release(ROWS)
    record = open_source(root).records[0]
    path = str(root / "images_001/images/00000001_000.png")
    assert (record.image, record.path, record.label, record.source) == ("00000001_000.png", path, 1, "nih")
    assert record.findings == ("Cardiomegaly", "Emphysema")
    assert (record.follow_up, record.patient, record.age, record.sex, record.view) == (0, "1", 58.0, "M", "PA")
    assert (record.width, record.height, record.spacing) == (2500, 2048, (0.168, 0.171))


@pytest.mark.parametrize("layout", ["images_001/images", "images", "", "images_007"])
def test_layouts(release: Release, layout: str) -> None:
    index = open_source(release(ROWS, layout=layout))
    assert (len(index), index.kind, index.name) == (4, "nih", "nih")


def test_a_part_of_the_release_finds_its_tables_above(release: Release) -> None:
    root = release(ROWS)
    assert len(open_source(root / "images_001")) == len(open_source(root / "images_001" / "images")) == 4


@pytest.mark.parametrize("name", ["Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv"])
def test_either_table_and_header(release: Release, name: str) -> None:
    whole = ["Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age"]
    whole += ["Patient Gender", "View Position", "OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]"]
    root = release(ROWS, header=whole)
    (root / "Data_Entry_2017.csv").rename(root / name)
    assert open_source(root).records[0].spacing == (0.168, 0.171)


def test_tables_elsewhere(release: Release, tmp_path: Path) -> None:
    root = release(ROWS)
    (tmp_path / "tables").mkdir()
    (root / "Data_Entry_2017.csv").rename(tmp_path / "tables" / "Data_Entry_2017.csv")
    with pytest.raises(DataError, match="--tables"):
        open_source(root)
    assert len(open_source(root, tables=tmp_path / "tables")) == 4
    assert len(open_source(root, tables="../tables")) == 4  # as seen from the images


def test_rows_without_file_and_files_without_row_are_counted(release: Release) -> None:
    index = open_source(release(ROWS, files=["00000002_000.png", "00000009_000.png", "00000009_001.png"]))
    assert [r.image for r in index.records] == ["00000002_000.png"]
    assert (index.rows_without_file, index.files_without_row) == (3, 2)
    assert "3 rows of the table have no file here" in index.notes
    assert "2 files have no row in the table" in index.notes


def test_no_file_at_all_is_an_error_unless_none_is_required(release: Release) -> None:
    root = release(ROWS, files=["readme.png"])
    with pytest.raises(DataError, match="none of the table's 4 images"):
        open_nih(root)
    assert [r.path for r in open_nih(root, require_files=False).records] == [None] * 4


def test_impossible_ages_are_kept_and_marked(release: Release) -> None:
    ages = {r.image: (r.age, r.age_plausible) for r in open_source(release(ROWS)).records}
    assert ages["00000001_001.png"] == (411.0, False)
    assert ages["00000002_000.png"] == (0.75, True)
    assert open_source(release(ROWS)).summary()["implausible_ages"] == 1


def test_findings_are_split_exactly_and_an_unknown_one_names_its_row(release: Release) -> None:
    with pytest.raises(TableError, match=r"row 3: unknown finding 'Masses'; did you mean 'Mass'"):
        open_source(release([ROWS[0], ("00000002_000.png", "Masses|Effusion", 2, "4")]))


def test_an_age_that_is_none_is_left_empty_and_counted(release: Release) -> None:
    index = open_source(
        release([("00004711_000.png", "Mass", 4711, "old"), ("00004712_000.png", "Mass", 4712, "58 years")])
    )
    assert [r.age for r in index.records] == [None, 58.0]
    assert index.notes == ("1 age is none, and left empty",)


SAMPLE = [
    "Image Index",
    "Finding Labels",
    "Follow-up #",
    "Patient ID",
    "Patient Age",
    "Patient Gender",
    "View Position",
]
SAMPLE += ["OriginalImageWidth", "OriginalImageHeight", "OriginalImagePixelSpacing_x", "OriginalImagePixelSpacing_y"]


def test_the_spellings_of_the_release_of_now_and_of_the_sample(release: Release) -> None:
    expected = open_source(release(ROWS, name="a")).records[0]
    for name, header in (("b", SAMPLE), ("c", [n.replace("Gender", "Sex") for n in SAMPLE])):
        record = open_source(release(ROWS, name=name, header=header)).records[0]
        assert replace(record, path=None) == replace(expected, path=None)
    root = release(ROWS, name="d")
    lines = (root / "Data_Entry_2017.csv").read_text().splitlines()
    (root / "Data_Entry_2017.csv").write_text("\n".join(",".join(line.split(",")[:5]) for line in lines))
    few = open_source(root).records[0]
    assert few == replace(expected, path=few.path, sex=None, view=None, width=None, height=None, spacing=None)


def test_a_missing_column(release: Release) -> None:
    header = ["Image Index", "Findings", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender", "View Position"]
    with pytest.raises(TableError, match="has no column 'finding labels'"):
        open_source(release(ROWS, header=[*header, "OriginalImage[Width", "Height]", "Pixel[x", "y]"]))


def test_an_image_named_twice_names_both_rows(release: Release) -> None:
    with pytest.raises(TableError, match=r"'00000001_000\.png' stands in row 2 and again in row 4"):
        open_source(release([*ROWS[:2], ROWS[0]]))


def test_a_file_that_lies_in_two_folders(release: Release, draw: Callable[..., Path]) -> None:
    root = release(ROWS)
    draw(root / "images_002/images/00000001_000.png")
    index = open_source(root)  # the same bytes
    assert (len(index), index.notes[-1]) == (4, "1 copy of the same file is counted once")
    draw(root / "images_002/images/00000001_000.png", 7)
    with pytest.raises(DataError, match=r"is another picture than .*/00000001_000\.png, of the same name"):
        open_source(root)


def boxes(root: Path, rows: list[list[object]]) -> None:
    with (root / "BBox_List_2017.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["Image Index", "Finding Label", "Bbox [x", "y", "w", "h]", "", "", ""], *rows])


def test_boxes_in_pixels_of_the_file(release: Release) -> None:
    root = release(ROWS, size=256)
    image = "00000001_000.png"
    boxes(root, [[image, "Infiltrate", 512, 256, 100, 40, "", "", ""], [image, "Infiltrate", 0, 4, 8, 12, "", "", ""]])
    assert open_source(root).records[0].boxes == (
        Box("Infiltration", 128, 64, 25, 10),
        Box("Infiltration", 0, 1, 2, 3),
    )
    whole = open_nih(root, require_files=False).records[0]
    assert whole.path is not None
    assert whole.boxes[0].x == 128


def test_boxes_of_rows_without_a_file_stay_in_the_frame(release: Release) -> None:
    root = release(ROWS, files=["00000002_000.png"])
    boxes(root, [["00000001_000.png", "Mass", 512, 256, 100, 40, "", "", ""]])
    assert open_nih(root, require_files=False).records[0].boxes == (Box("Mass", 512, 256, 100, 40),)


def test_a_boxed_image_that_cannot_be_read_does_not_stop_the_index(release: Release) -> None:
    root = release(ROWS)
    boxes(root, [["00000001_000.png", "Mass", 512, 256, 100, 40, "", "", ""]])
    (root / "images_001/images/00000001_000.png").write_bytes(b"no image")
    index = open_source(root)
    assert index.records[0].boxes[0].x == 512
    assert any("1 boxed image could not be opened" in note for note in index.notes)


@pytest.mark.parametrize(("row", "what"), [(["Masse", 1, 2, 3, 4], "unknown finding"), (["Mass", 1, 2, "", 4], "four")])
def test_a_bad_box_names_its_row(release: Release, row: list[object], what: str) -> None:
    root = release(ROWS)
    boxes(root, [["00000001_000.png", *row, "", "", ""]])
    with pytest.raises(TableError, match=f"row 2: .*{what}"):
        open_source(root)


def test_lists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no train_val_list\.txt"):
        official_lists(tmp_path)
    (tmp_path / "train_val_list.txt").write_text("a.png\nb.png")
    (tmp_path / "test_list.txt").write_text("c.png\n")
    assert official_lists(tmp_path) == (frozenset({"a.png", "b.png"}), frozenset({"c.png"}))
    (tmp_path / "test_list.txt").write_text("b.png\n")
    with pytest.raises(TableError, match=r"b\.png stands in both"):
        official_lists(tmp_path)


@pytest.fixture(scope="module")
def everything(images_root: Path) -> Index:
    return open_nih(images_root / "nih", require_files=False)


@pytest.mark.real
def test_the_real_tables(everything: Index, images_root: Path) -> None:
    assert len(everything) == 112_120
    assert everything.n_patients == 30_805
    assert everything.has_patients
    assert sum(len(r.boxes) for r in everything.records) == 984
    train_val, test = official_lists(images_root / "nih")
    assert (len(train_val), len(test)) == (86_524, 25_596)
    assert not {everything.by_image[i].patient for i in train_val} & {everything.by_image[i].patient for i in test}


@pytest.mark.real
def test_the_real_counts_are_those_of_pandas(everything: Index, images_root: Path) -> None:
    import pandas as pd

    table = pd.read_csv(images_root / "nih" / "Data_Entry_2017_v2020.csv")
    counts = everything.summary()
    assert counts["views"] == table.groupby("View Position").size().to_dict()
    assert counts["sexes"] == table.groupby("Patient Gender").size().to_dict()
    assert counts["labels"]["normal"] == int((table["Finding Labels"] == "No Finding").sum())
    findings = table["Finding Labels"].str.split("|").explode().value_counts().drop("No Finding").to_dict()
    assert counts["findings"] == findings
    listed = pd.read_csv(images_root / "nih" / "BBox_List_2017.csv")
    assert counts["boxes"] == len(listed)
    boxed = {r.image: len(r.boxes) for r in everything.records if r.boxes}
    assert boxed == listed.groupby("Image Index").size().to_dict()
    assert max(boxed.values()) > 1


@pytest.mark.real
def test_the_real_folders(images_root: Path) -> None:
    index = open_source(images_root / "nih")
    assert (len(index), index.rows_without_file, index.files_without_row) == (975, 111_145, 0)
    boxed = next(r for r in index.records if r.boxes)
    assert boxed.path is not None
    assert read.size(boxed.path) == (256, 256)
    assert all(b.x + b.width <= 256 and b.y + b.height <= 256 for r in index.records for b in r.boxes)
    small = open_source(images_root / "nih_64px", tables="../nih")
    assert (len(small), len(open_source(images_root / "nih_originals"))) == (970, 40)


@pytest.mark.real
def test_a_whole_index_comes_back_from_parquet(everything: Index, tmp_path: Path) -> None:
    assert Index.load(everything.save(tmp_path / "index.parquet")) == everything
    assert replace(everything, name="other") != everything


def test_the_sample_and_the_small_copy_lie_deeper_with_other_names(release: Release) -> None:
    sample = release(ROWS, layout="sample/images", name="s")
    (sample / "Data_Entry_2017.csv").rename(sample / "sample" / "sample_labels.csv")
    assert (len(open_source(sample)), open_source(sample).kind) == (4, "nih")
    small = release(ROWS, layout="images-224/images-224", name="224", size=56)
    boxes(small, [["00000001_000.png", "Mass", 512, 256, 128, 64, "", "", ""]])
    (small / "BBox_List_2017.csv").rename(small / "BBox_List_2017_Official_NIH.csv")
    (small / "train_val_list_NIH.txt").write_text("00000001_000.png\n00000001_001.png")
    (small / "test_list_NIH.txt").write_text("00000002_000.png")
    index = open_source(small)
    assert [r.published_part for r in index.records] == ["train", "train", "test", None]
    assert index.records[0].boxes == (Box("Mass", 28, 14, 7, 3.5),)
    assert official_lists(small)[1] == {"00000002_000.png"}


def test_of_the_columns_two_must_be_there(release: Release) -> None:
    root = release(ROWS, files=["00000001_000.png"])
    (root / "Data_Entry_2017.csv").write_text("Image Index,Finding Labels\n00000001_000.png,Mass|Nodule\n")
    (record,) = open_source(root).records
    assert (record.findings, record.patient, record.age, record.sex, record.width) == (
        ("Mass", "Nodule"), "1", None, None, None,
    )  # fmt: skip


def test_folders_named_by_findings_and_one_picture_in_several_is_one_image(
    tmp_path: Path, draw: Callable[..., Path]
) -> None:
    for n, name in enumerate(["Pleural Thickening", "No_Finding", "hernia"]):
        draw(tmp_path / "set" / name / f"0000000{n}_001.png", n)
    draw(tmp_path / "set" / "Mass" / "00000000_001.png", 0)
    draw(tmp_path / "set" / "Mass" / "readme.png", 0)
    index = open_source(tmp_path / "set")
    assert [(r.image, r.label, r.findings, r.patient, r.follow_up) for r in index.records] == [
        ("00000000_001.png", 1, ("Mass", "Pleural_Thickening"), "0", 1),
        ("00000001_001.png", 0, (), "1", 1),
        ("00000002_001.png", 1, ("Hernia",), "2", 1),
    ]
    assert index.kind == "nih"
    assert index.notes == (
        "1 picture lies in more than one finding's folder: each is one image",
        "1 picture lies in no finding's folder, or has another name: left out",
    )
    assert (index.rows_without_file, index.files_without_row) == (0, 1)


def test_copies_as_jpeg_are_found_by_their_names(release: Release) -> None:
    root = release([(name.replace(".png", ".jpg"), *rest) for name, *rest in ROWS])
    table = root / "Data_Entry_2017.csv"
    table.write_text(table.read_text().replace(".jpg", ".png"))
    index = open_source(root)
    assert (len(index), index.records[0].image) == (4, "00000001_000.png")

"""Tables of images as people write them: labels, findings, ages, views, and the many ways to name a file."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from cxreader.data.index import Index
from cxreader.data.layouts.table import open_table, parse_label
from cxreader.errors import DataError, TableError
from cxreader.imaging.vocabulary.words import is_lateral


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"label": "Normal"}, (0, ())),
        ({"label": "0", "findings": ""}, (0, ())),
        ({"label": "1", "findings": "Mass|Nodule"}, (1, ("Mass", "Nodule"))),
        ({"label": "ABNORMAL", "findings": "No Finding"}, (1, ())),
        ({"label": "PNEUMONIA"}, (1, ("Pneumonia",))),
        ({"label": "Mass|Nodule", "findings": "nodule; Flu"}, (1, ("Mass", "Nodule", "Other"))),
        ({"label": "No Finding"}, (0, ())),
        ({"label": "0", "findings": "pacemaker"}, (0, ("Other",))),
        ({"label": "1", "findings": "['Effusion', 'Lung Mass']"}, (1, ("Effusion", "Mass"))),
        *(({"label": word}, (0, ())) for word in ("0.0", "0,0", "FALSE", "no", "negative", "Neg", "healthy", "n")),
        *(({"label": word}, (1, ())) for word in ("1.0", "1.", "True", "YES", "positive", "pos", "y")),
    ],
)
def test_labels(cells: dict[str, str], expected: tuple[int, tuple[str, ...]]) -> None:
    assert parse_label(cells, "row 2") == expected


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"label": "2"}, "row 2: the label '2' is outside the list; known: normal, abnormal, 0, 1, true"),
        ({"label": ""}, "row 2: the label '' is outside the list"),
        ({"label": "normal", "findings": "Mass"}, "row 2: the label is normal but findings stand beside it"),
        ({"label": "-1"}, "row 2: the label '-1' is outside the list"),
        ({"label": "Mass|sick"}, "row 2: the label 'Mass|sick' is outside the list"),
        ({"label": "0", "findings": "no finding, MASS"}, "row 2: the label is normal but findings stand beside it"),
    ],
)
def test_wrong_labels_are_refused_with_their_place(cells: dict[str, str], words: str) -> None:
    with pytest.raises(TableError) as caught:
        parse_label(cells, "row 2")
    assert str(caught.value).startswith(words)


Draw = Callable[..., Path]
Write = Callable[[str], Index]


@pytest.fixture
def write(tmp_path: Path, draw: Draw) -> Write:
    """Open a table beside images/0.png to images/3.png."""
    for n in range(4):
        draw(tmp_path / "images" / f"{n}.png", n)

    def opened(text: str) -> Index:
        (tmp_path / "labels.csv").write_text(text)
        return open_table(tmp_path / "labels.csv")

    return opened


def rows(cells: list[str], header: str = "image,label,patient") -> str:
    return "\n".join([header, *(f"{cell},{n % 2},{n // 2}" for n, cell in enumerate(cells))])


NAMES = {
    "as they are": ([f"images/{n}.png" for n in range(4)], "images/0.png"),
    "Windows": ([f"images\\{n}.png" for n in range(4)], "images/0.png"),
    "absolute on Windows": ([f"C:\\Users\\x\\images\\{n}.png" for n in range(4)], "images/0.png"),
    "a share": ([f"\\\\server\\x\\images\\{n}.png" for n in range(4)], "images/0.png"),
    "absolute on another machine": ([f"/data/me/images/{n}.png" for n in range(4)], "images/0.png"),
    "without a suffix": ([f"images/{n}" for n in range(4)], "images/0"),
    "in another case": ([f"Images/{n}.PNG" for n in range(4)], "Images/0.PNG"),
    "without the folder": ([f"{n}.png" for n in range(4)], "0.png"),
    "neither folder nor suffix": ([f"{n}" for n in range(4)], "0"),
    "by way of another folder": ([f"./images/../images/{n}.png" for n in range(4)], "./images/../images/0.png"),
}


@pytest.mark.parametrize("way", NAMES)
def test_files_are_found_however_they_are_named(write: Write, tmp_path: Path, way: str) -> None:
    cells, first = NAMES[way]
    index = write(rows(cells))
    places = [os.path.normpath(str(r.path)).lower() for r in index.records]
    assert places == [str(tmp_path / "images" / f"{n}.png").lower() for n in range(4)]
    assert index.records[0].image == first
    assert (index.rows_without_file, index.files_without_row) == (0, 0)


def test_an_absolute_path_of_this_machine_is_taken_as_it_is(write: Write, tmp_path: Path, draw: Draw) -> None:
    there = draw(tmp_path / "elsewhere" / "0.png", 9)
    index = write(rows([str(there), "images/1.png"]))
    assert index.records[0].path == str(there)


def test_letters_composed_in_another_way_are_the_same(write: Write, tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / unicodedata.normalize("NFD", "Müller/Größe.png"))
    assert len(write(rows([unicodedata.normalize("NFC", "Müller/Größe.png")]))) == 1


def test_a_name_without_suffix_that_two_pictures_have_is_refused(write: Write, tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "images" / "0.jpg")
    with pytest.raises(TableError, match=r"row 2, column image: 0\.jpg and 0\.png are both called '0'; write the name"):
        write(rows(["images/0"]))


def test_a_missing_file_is_counted_and_never_taken_from_another_folder(
    write: Write, tmp_path: Path, draw: Draw
) -> None:
    draw(tmp_path / "9.png")
    index = write(rows(["images/0.png", "images/9.png", "images/1.png"]))
    assert [r.image for r in index.records] == ["images/0.png", "images/1.png"]
    assert (index.rows_without_file, index.files_without_row) == (1, 2)
    assert "1 row has no file here: 'images/9.png'" in index.notes
    assert "2 pictures beside those of the table have no row in it" in index.notes


def test_pictures_without_a_row_are_counted_by_content_where_they_have_no_suffix(write: Write, tmp_path: Path) -> None:
    (tmp_path / "images" / "0.png").rename(tmp_path / "images" / "IM0")
    (tmp_path / "images" / "readme").write_text("no picture")
    (tmp_path / "images" / ".hidden.png").write_text("")
    (tmp_path / "images" / "list.txt").write_text("")
    assert write(rows(["images/1.png", "images/2.png"])).files_without_row == 2


@pytest.mark.parametrize("name", ["file_name", "FileName", "path", "Image ID", "filepath"])
def test_other_names_of_columns(write: Write, name: str) -> None:
    index = write(f"{name},Class,Patient_ID,Gender,Patient Age\nimages/0.png,0,7,F,54\nimages/1.png,1,8,m,61\n")
    assert [(r.label, r.patient, r.sex, r.age) for r in index.records] == [(0, "7", "F", 54.0), (1, "8", "M", 61.0)]
    assert not any("not used" in note for note in index.notes)


def test_columns_that_are_not_used_are_named_once(write: Write) -> None:
    index = write("Unnamed: 0,image,label,Scanner,path\n0,images/0.png,0,x,y\n1,images/1.png,1,x,y\n")
    assert [note for note in index.notes if "not used" in note] == ["columns not used: Unnamed: 0, Scanner, path"]


def test_laterals_are_left_out_and_counted(write: Write) -> None:
    index = write("image,label,view\nimages/0.png,0,PA\nimages/1.png,1,LATERAL\nimages/2.png,0,LL\nimages/3.png,1,L\n")
    assert [r.image for r in index.records] == ["images/0.png"]
    assert "3 lateral views are left out" in index.notes
    assert index.files_without_row == 0
    with pytest.raises(DataError, match="no image is left: 1 is a lateral view"):
        write("image,label,view\nimages/1.png,1,LATERAL\n")


def test_which_views_are_lateral() -> None:
    lateral = (
        "LATERAL",
        "Left Lateral",
        "lat",
        "LL",
        "RL",
        "L",
        "l",
        "L-LAT",
        "XTABLE LATERAL",
        "R_LAT",
        "Thorax seitl.",
    )
    assert all(map(is_lateral, lateral))
    frontal = ("PA", "AP", "", "AP/LAT", "PA and lateral", "LLD", "lateral decubitus", "R", "PLATE", "AP_HORIZONTAL")
    assert not any(map(is_lateral, frontal))


def test_sexes_in_words_and_those_that_are_none(write: Write) -> None:
    words = ("weiblich", "männlich", "2", "X")
    index = write("image,label,sex\n" + "".join(f"images/{k}.png,{k % 2},{word}\n" for k, word in enumerate(words)))
    assert [r.sex for r in index.records] == ["F", "M", None, None]
    assert "2 sexes are no word for male or female, and left empty" in index.notes
    index = write("image,label,sex\nimages/0.png,0,unknown\nimages/1.png,1,m\n")
    assert not any("sex" in note for note in index.notes)


def test_views_are_the_headers_terms_in_any_language_and_another_word_is_kept_and_counted(write: Write) -> None:
    index = write(
        "image,label,view\nimages/0.png,0,p.a.\nimages/1.png,1,SEITLICH\nimages/2.png,0,Bett\nimages/3.png,1,PA\n"
    )
    assert [(r.image, r.view) for r in index.records] == [
        ("images/0.png", "PA"), ("images/2.png", "BETT"), ("images/3.png", "PA"),
    ]  # fmt: skip
    assert "1 lateral view is left out" in index.notes
    assert "1 image has a view that is no known one: kept as written" in index.notes


def test_images_without_a_label_are_left_out_and_counted(write: Write) -> None:
    text = "image,label,patient\nimages/0.png,0,1\nimages/1.png,,2\nimages/2.png,n/a,3\nimages/9.png,,4\n"
    index = write(text)
    assert [r.image for r in index.records] == ["images/0.png"]
    assert (index.rows_without_file, index.files_without_row) == (0, 1)  # 3.png is in no row
    assert "3 images left out: no label" in index.notes
    with pytest.raises(DataError, match="no image is left: 1 has no label; give the images labels"):
        write("image,label\nimages/0.png,\n")


def test_ages_of_every_writing_and_findings_outside_the_fourteen(write: Write) -> None:
    index = write(
        "image;label;age;findings\nimages/0.png;1;54,5;Lung Opacity|effusion\nimages/1.png;1;054Y;pneumonia, Flu\n"
        "images/2.png;0;54 years;\nimages/3.png;0;1954-03-01;none\n"
    )
    assert [r.age for r in index.records] == [54.5, 54.0, 54.0, None]
    assert [r.findings for r in index.records] == [("Effusion", "Other"), ("Pneumonia", "Other"), (), ()]
    assert "1 age is none, and left empty" in index.notes
    assert "2 images have findings that are none of the fourteen: kept as Other" in index.notes
    assert not any("1954" in note or "Flu" in note for note in index.notes)


def test_patients_are_one_however_they_are_written(write: Write) -> None:
    index = write(rows(["images/0.png", "images/1.png", "images/2.png"]).replace(",0,1", ",0, 0.0"))
    assert [r.patient for r in index.records] == ["0", "0", "0"]
    assert "patients of 1 image are read as whole numbers or without blanks: 12.0 is 12" in index.notes


def test_patients_that_differ_by_leading_zeros_are_refused(write: Write) -> None:
    text = "image,label,patient\nimages/0.png,0,{}\nimages/1.png,1,{}\n"
    with pytest.raises(
        TableError, match="1 patient is written in two ways that differ by leading zeros alone"
    ) as caught:
        write(text.format("00081", "81"))
    assert "81" not in caught.value.what
    assert write(text.format("00081", "00082")).n_patients == 2


def test_the_visit_is_that_of_the_column_and_else_of_a_name_that_the_release_gave_this_patient(
    tmp_path: Path, draw: Draw, write: Write
) -> None:
    visits = enumerate(("0", "12.0", "", "late"))
    index = write("image,label,patient,Follow-up #\n" + "".join(f"images/{n}.png,1,{n},{told}\n" for n, told in visits))
    assert [record.follow_up for record in index.records] == [0, 12, None, None]
    assert "1 image has a follow-up that is no whole number: not taken" in index.notes
    names = ("00000218_002", "00000219_000", "00000220_003", "218_001")
    for n, name in enumerate(names):
        draw(tmp_path / "images" / f"{name}.png", 10 + n)
    rows_of = zip(names, ("218", "00000219", "221", "218"), strict=True)
    index = write("image,label,patient\n" + "".join(f"images/{name}.png,1,{patient}\n" for name, patient in rows_of))
    assert [record.follow_up for record in index.records] == [2, 0, None, None]

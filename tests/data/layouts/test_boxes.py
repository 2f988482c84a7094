"""Boxes of one's own images, from `boxes.csv` beside the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.layouts.test_dicom import table, uid, write

from cxreader.data.index import Index
from cxreader.data.layouts.dicom import open_dicom_folder
from cxreader.data.layouts.table import open_table
from cxreader.errors import TableError
from cxreader.records import Box


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((100, 200), np.uint8)).save(tmp_path / "images" / name)
    labels = "image,label,patient\nimages/a.png,abnormal,p\nimages/b.png,normal,q\n"
    (tmp_path / "labels.csv").write_text(labels)
    return tmp_path


def index_of(folder: Path, boxes: str) -> Index:
    (folder / "boxes.csv").write_text(boxes)
    return open_table(folder / "labels.csv")


def test_boxes_are_those_of_the_file_and_several_of_one_image_stay_several(folder: Path) -> None:
    text = "image,finding,x,y,width,height\nimages/a.png,lung mass,10,20,30,40\n./images/a.png,something,150.5,0,49.5,100\n"
    first, second = index_of(folder, text).records
    assert first.boxes == (Box("Mass", 10, 20, 30, 40), Box("Other", 150.5, 0, 49.5, 100))
    assert second.boxes == ()


def test_boxes_of_another_frame_are_moved_into_the_file(folder: Path) -> None:
    head = "image,finding,x,y,width,height,frame_width,frame_height\n"
    index = index_of(folder, f"{head}images/a.png,Effusion,512,256,256,512,1024,1024\n")
    assert index.records[0].boxes == (Box("Effusion", 100, 25, 50, 50),)
    assert not any("boxes.csv" in note for note in index.notes)


def with_originals(folder: Path, *sizes: str) -> None:
    rows = [f"images/{name}.png,{label},{size}" for name, label, size in zip("ab", ("1", "0"), sizes, strict=True)]
    (folder / "labels.csv").write_text("\n".join(["image,label,original_width,original_height", *rows, ""]))


BOX = "image,finding,x,y,width,height\nimages/a.png,Effusion,512,256,256,512\n"


def test_boxes_of_copies_are_in_the_frame_of_the_pictures_that_the_table_tells(folder: Path) -> None:
    """The files have 200 x 100 pixels: 1024 across become 200, 512 down become 100."""
    with_originals(folder, "1024,512", ",")
    index = index_of(folder, BOX.replace(",512\n", ",64\n") + "images/b.png,Mass,10,20,30,40\n")
    assert index.records[0].boxes == (Box("Effusion", 100, 50, 50, 12.5),)
    assert index.records[1].boxes == (
        Box("Mass", 10, 20, 30, 40),
    )  # of the second nothing is told: its file's own pixels
    assert not any("boxes.csv" in note or "original" in note for note in index.notes)


def test_the_frame_of_the_boxes_themselves_goes_before_the_tables(folder: Path) -> None:
    with_originals(folder, "300,300", "300,300")
    head = "image,finding,x,y,width,height,frame_width,frame_height\n"
    index = index_of(folder, f"{head}images/a.png,Effusion,512,256,256,512,1024,1024\n")
    assert index.records[0].boxes == (Box("Effusion", 100, 25, 50, 50),)


@pytest.mark.parametrize("size", ["1024 px,1024", "0,1024", "1024,"])
def test_a_size_of_the_originals_that_is_none_names_its_row(folder: Path, size: str) -> None:
    with_originals(folder, "1024,1024", size)
    assert len(open_table(folder / "labels.csv").records) == 2  # without boxes nobody asks
    with pytest.raises(TableError, match=r"row 3: the size of the original picture.* is no number above 0"):
        index_of(folder, BOX)


@pytest.mark.real
def test_boxes_of_the_reduced_images_are_all_taken(images_root: Path) -> None:
    """In the frame of 1024 pixels; the files have 320."""
    index = open_table(images_root / "nih_boxes" / "labels.csv")
    boxes = [box for record in index.records for box in record.boxes]
    assert (len(boxes), sum(bool(record.boxes) for record in index.records)) == (614, 536)
    first = next(record for record in index.records if record.image.endswith("00000032_037.jpg"))
    (box,) = first.boxes
    np.testing.assert_allclose((box.x, box.y, box.width), (339.2 * 0.3125, 119.2 * 0.3125, 172.3 * 0.3125))


HEAD = "image,finding,x,y,width,height\n"


def boxes_notes(index: Index) -> list[str]:
    return [note for note in index.notes if "boxes.csv" in note]


@pytest.mark.parametrize("beyond", [1, 2])
def test_where_half_of_the_boxes_end_beyond_their_picture_the_frame_is_another_and_none_is_taken(
    folder: Path, beyond: int
) -> None:
    rows = ["images/a.png,Mass,10,20,30,40", *["images/a.png,Mass,500,20,30,40"] * beyond]
    index = index_of(folder, "\n".join([HEAD.strip(), *rows, ""]))
    assert index.records[0].boxes == ()
    (note,) = boxes_notes(index)
    assert f"{beyond} of {beyond + 1} boxes reach" in note
    assert "beyond" in note
    assert ": none is taken (row 3: x + width is 530, the picture is 200 wide" in note
    assert "frame_width and frame_height, or by original_width and original_height in the table" in note


def test_a_row_that_is_wrong_alone_is_left_out_and_named(folder: Path) -> None:
    """The 21 others are taken: nobody loses them for one slip of the pen."""
    rows = ["images/a.png,Mass,10,20,30,40"] * 21
    index = index_of(folder, "\n".join([HEAD.strip(), *rows[:7], "images/a.png,Mass,190,20,30,40", *rows[7:], ""]))
    assert index.records[0].boxes == (Box("Mass", 10, 20, 30, 40),) * 21
    (note,) = boxes_notes(index)
    assert note.startswith("boxes.csv: 1 row is left out (row 9: x + width is 220, the picture is 200 wide); ")
    assert "a box that ends beyond its picture may be of a larger one: tell its size by the columns frame_width" in note


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("images/a.png,Mass,-30,2,40,4", "x is -30, left of the picture"),
        ("images/a.png,Mass,-30,2,20,4", "x is -30, left of the picture"),
        ("images/a.png,Mass,-0.8,2,0.5,4", "x is -0.8, left of the picture"),
        ("images/a.png,Mass,1,-8,4,10", "y is -8, above the picture"),
        ("images/a.png,Mass,1,2,nan,4", "width is no number"),
        ("images/a.png,Mass,,2,3,4", "x is no number"),
        ("images/a.png,Mass,1,2,0,4", "width is 0, not above 0"),
        ("images/a.png,Mass,1,2,3,-4", "height is -4, not above 0"),
        (",Mass,1,2,3,4", "names no image"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_and_a_frame_is_only_advised_where_it_may_help(
    folder: Path, row: str, said: str
) -> None:
    index = index_of(folder, f"{HEAD}images/a.png,Mass,1,2,3,4\n{row}\n")
    assert index.records[0].boxes == (Box("Mass", 1, 2, 3, 4),)
    assert boxes_notes(index) == [f"boxes.csv: 1 row is left out (row 3: {said})"]


def test_of_many_wrong_rows_the_first_are_named(folder: Path) -> None:
    index = index_of(folder, HEAD + "images/a.png,Mass,-9,2,3,4\n" * 5)
    (note,) = boxes_notes(index)
    assert note.startswith("boxes.csv: 5 rows are left out (row 2: x is -9, left of the picture; row 3: ")
    assert note.endswith("; row 4: x is -9, left of the picture; and 2 more)")


def test_a_frame_that_is_no_size_is_that_of_its_row_alone(folder: Path) -> None:
    head = "image,finding,x,y,width,height,frame_width,frame_height\n"
    index = index_of(folder, f"{head}images/a.png,Mass,1,2,3,4,200,0\nimages/a.png,Mass,1,2,3,4,200,100\n")
    assert index.records[0].boxes == (Box("Mass", 1, 2, 3, 4),)
    assert boxes_notes(index) == ["boxes.csv: 1 row is left out (row 2: frame_height is 0, not above 0)"]


def test_what_a_tool_rounded_over_the_border_is_cut_there(folder: Path) -> None:
    index = index_of(folder, f"{HEAD}images/a.png,Mass,-0.5,-1,20,41\nimages/a.png,Mass,180,60,21,40.6\n")
    assert index.records[0].boxes == (Box("Mass", 0, 0, 19.5, 40), Box("Mass", 180, 60, 20, 40))
    assert boxes_notes(index) == []


def test_a_pixel_is_one_of_the_frame_where_the_file_is_larger(folder: Path) -> None:
    """The file has twice the frame's pixels: one of the frame is two of the file."""
    head = "image,finding,x,y,width,height,frame_width,frame_height\n"
    index = index_of(folder, f"{head}images/a.png,Mass,90,10,11,20,100,50\n")
    assert index.records[0].boxes == (Box("Mass", 180, 20, 20, 40),)


def test_boxes_of_images_that_the_table_does_not_name_are_counted(folder: Path) -> None:
    text = "image,finding,x,y,width,height\nimages/a.png,Mass,1,2,3,4\nimages/z.png,Mass,1,2,3,4\n"
    index = index_of(folder, text)
    assert len(index.records[0].boxes) == 1
    assert boxes_notes(index) == ["1 row of boxes.csv names no image of the table: row 3"]


@pytest.mark.parametrize("name", ["images/a.png", "./images/a.png", "images\\a.png", "a.png", "a", "A.PNG", "images/a"])
def test_an_image_goes_by_its_path_its_file_name_or_its_stem(folder: Path, name: str) -> None:
    index = index_of(folder, f"{HEAD}{name},Mass,1,2,3,4\n")
    assert [len(record.boxes) for record in index.records] == [1, 0]
    assert boxes_notes(index) == []


def test_a_name_without_its_folder_finds_the_size_of_its_original(folder: Path) -> None:
    with_originals(folder, "1024,512", "1024,512")
    index = index_of(folder, f"{HEAD}a.png,Effusion,512,256,256,64\n")
    assert index.records[0].boxes == (Box("Effusion", 100, 50, 50, 12.5),)


def test_a_name_of_several_images_is_nobodys_though_one_of_them_is_left_out(folder: Path) -> None:
    (folder / "other").mkdir()
    Image.fromarray(np.zeros((100, 200), np.uint8)).save(folder / "other" / "a.png")
    (folder / "labels.csv").write_text("image,label,view\nimages/a.png,abnormal,PA\nother/a.png,abnormal,LATERAL\n")
    index = index_of(folder, f"{HEAD}a.png,Mass,1,2,3,4\nother/a.png,Mass,1,2,3,4\n")
    assert [record.boxes for record in index.records] == [()]
    assert boxes_notes(index) == [
        "boxes.csv: 1 row is left out (row 2: may mean several images: write the path as the table of the images has it)",
        "1 row of boxes.csv is of images that are left out",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,finding,x,y,width\n", "height"),
        ("image,finding,x,y,width,height,frame_width\nimages/a.png,Mass,1,2,3,4,5\n", "frame_height"),
    ],
)
def test_a_column_that_is_missing_is_named(folder: Path, text: str, said: str) -> None:
    with pytest.raises(TableError, match=said) as found:
        index_of(folder, text)
    assert "boxes.csv" in str(found.value)


def test_boxes_of_dicom_files_go_by_their_uid(tmp_path: Path) -> None:
    for patient in (1, 2):
        write(tmp_path / str(patient), patient, 0)
    table(tmp_path, [(uid(patient, 0), "abnormal") for patient in (1, 2)])
    (tmp_path / "boxes.csv").write_text(f"sop_instance_uid,finding,x,y,width,height\n{uid(2, 0)},Mass,1,2,3,4\n")
    found = {record.image: record.boxes for record in open_dicom_folder(tmp_path).records}
    assert found == {uid(1, 0): (), uid(2, 0): (Box("Mass", 1, 2, 3, 4),)}

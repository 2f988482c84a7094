"""Boxes of single files: named as in the table or by their name alone, in pixels of the file."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.data.layouts.boxed_files import boxes_of_files
from cxreader.data.layouts.table import open_table
from cxreader.records import Box


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of 100 x 50 pixels, made from pictures of 1000 x 500, in whose frame two of three have a box."""
    for name in ("one/a.png", "one/b.png", "two/b.png", "one/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((50, 100), np.uint8)).save(tmp_path / name)
    rows = [f"{name},1,1000,500" for name in ("one/a.png", "one/b.png", "two/b.png", "one/c.png")]
    (tmp_path / "labels.csv").write_text("\n".join(["image,label,original_width,original_height", *rows, ""]))
    (tmp_path / "boxes.csv").write_text(
        "image,finding,x,y,w,h\none/a.png,Mass,100,100,200,300\none/b.png,Nodule,10,10,10,10\ntwo/b.png,Nodule,20,20,20,20\n"
    )
    return tmp_path


def test_a_file_has_its_boxes_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    copy = str(shutil.copy(folder / "one" / "a.png", tmp_path / "a.png"))
    files = [str(folder / "one" / "a.png"), copy, str(folder / "two" / "b.png")]
    found, notes = boxes_of_files(folder / "boxes.csv", files)
    assert found == {
        files[0]: (Box("Mass", 10, 10, 20, 30),),
        files[1]: (Box("Mass", 10, 10, 20, 30),),
        files[2]: (Box("Nodule", 2, 2, 2, 2),),
    }
    assert notes == ()


def test_the_list_of_the_release_is_in_its_own_frame(folder: Path) -> None:
    place = folder / "BBox_List_2017.csv"
    place.write_text("Image Index,Finding Label,Bbox [x,y,w,h],,,\na.png,Infiltrate,512,512,256,512,,,\n")
    found, _ = boxes_of_files(place, [str(folder / "one" / "a.png")])
    assert found == {str(folder / "one" / "a.png"): (Box("Infiltration", 50, 25, 25, 25),)}


def test_a_name_that_two_images_have_is_nobodys(folder: Path, tmp_path: Path) -> None:
    """A copy named b.png may be either of the two."""
    copy = str(shutil.copy(folder / "one" / "b.png", tmp_path / "b.png"))
    found, notes = boxes_of_files(folder / "boxes.csv", [copy, str(folder / "one" / "c.png")])
    assert found == {}
    assert notes == ("1 file may be any of several images: no box is drawn", "1 file has no box in boxes.csv")


def test_a_file_has_no_boxes_of_its_namesake_in_another_folder(folder: Path) -> None:
    (folder / "two" / "a.png").write_bytes((folder / "one" / "a.png").read_bytes())
    found, _ = boxes_of_files(folder / "boxes.csv", [str(folder / "two" / "a.png")])
    assert found == {}


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("name", ["one/c.png", "c.png", "c", "one/c"])
def test_an_image_goes_by_its_path_its_file_name_or_its_stem(folder: Path, name: str, labels: bool) -> None:
    """With the size of its original, whichever of its names the boxes' table has."""
    if not labels:
        (folder / "labels.csv").unlink()
    (folder / "boxes.csv").write_text(f"image,finding,x,y,w,h\n{name},Mass,40,20,20,10\n")
    file, scale = str(folder / "one" / "c.png"), 10 if labels else 1
    found, notes = boxes_of_files(folder / "boxes.csv", [file])
    assert found == {file: (Box("Mass", 40 / scale, 20 / scale, 20 / scale, 10 / scale),)}
    assert notes == ()


@pytest.mark.parametrize("labels", [True, False])
def test_rows_may_name_one_image_in_several_ways(folder: Path, labels: bool) -> None:
    if not labels:
        (folder / "labels.csv").unlink()
    rows = [f"{name},Mass,40,20,20,10" for name in ("one/c.png", "c", "c.png")]
    (folder / "boxes.csv").write_text("\n".join(["image,finding,x,y,w,h", *rows, ""]))
    file = str(folder / "one" / "c.png")
    assert len(boxes_of_files(folder / "boxes.csv", [file])[0][file]) == 3


@pytest.mark.parametrize("labels", [True, False])
def test_of_two_files_with_the_name_that_the_table_has_neither_is_meant(folder: Path, labels: bool) -> None:
    if not labels:
        (folder / "labels.csv").unlink()
    (folder / "boxes.csv").write_text("image,finding,x,y,w,h\nb.png,Mass,40,20,20,10\n")
    found, notes = boxes_of_files(folder / "boxes.csv", [str(folder / place / "b.png") for place in ("one", "two")])
    assert found == {}
    assert any("several images" in note for note in notes)


def test_a_row_that_is_wrong_alone_is_left_out_and_named_though_its_file_alone_is_asked_for(folder: Path) -> None:
    """The other pictures beside the table tell that its frame is right."""
    with (folder / "boxes.csv").open("a") as table:
        table.write("one/a.png,Mass,900,100,200,300\none/a.png,Mass,1,1,nan,1\n")
    file = str(folder / "one" / "a.png")
    found, notes = boxes_of_files(folder / "boxes.csv", [file])
    assert found == {file: (Box("Mass", 10, 10, 20, 30),)}
    (note,) = notes
    told = "row 5: x + width is 1100, the picture is 1000 wide; row 6: width is no number"
    assert note.startswith(
        f"boxes.csv: 2 rows are left out ({told}); a box that ends beyond its picture may be of a larger one: tell its size"
    )


def test_a_table_in_another_frame_is_refused_whichever_file_is_asked_for(folder: Path) -> None:
    (folder / "labels.csv").unlink()  # so that nobody says that the pictures were larger
    (folder / "boxes.csv").write_text(
        "image,finding,x,y,w,h\none/a.png,Mass,100,100,200,300\none/a.png,Mass,10,10,10,10\none/b.png,Mass,500,10,9,9\n"
    )
    found, notes = boxes_of_files(folder / "boxes.csv", [str(folder / "one" / "a.png")])
    assert found == {}
    assert notes[0].startswith("boxes.csv: 2 of 3 boxes reach beyond their picture: none is taken (row 2: ")
    assert "by the columns frame_width and frame_height" in notes[0]
    assert len(notes) == 1


@pytest.mark.parametrize(
    "rows",
    [
        ("one/a.png,Mass,100,100,200,300", "c.png,Mass,-30,10,20,20", "c,Mass,1,2,nan,4", "c,Mass,960,20,41,40"),
        ("b.png,Mass,1,2,3,4", "one/b.png,Mass,5,6,7,8", "one/a,Mass,990,100,200,300"),
        ("one/a.png,Mass,990,100,200,300", "c,Mass,1,2,3,4"),
    ],
)
def test_an_index_and_single_files_take_the_same_rows_of_a_table_and_say_the_same(
    folder: Path, rows: tuple[str, ...]
) -> None:
    (folder / "boxes.csv").write_text("\n".join(["image,finding,x,y,w,h", *rows, ""]))
    index = open_table(folder / "labels.csv")
    found, notes = boxes_of_files(folder / "boxes.csv", [str(record.path) for record in index.records])
    assert found == {record.path: record.boxes for record in index.records if record.boxes}
    told = [[note for note in said if note.startswith("boxes.csv:")] for said in (index.notes, notes)]
    assert told[0] == told[1] != []


def test_a_finding_stays_as_it_is_written_and_is_empty_where_none_is_named(folder: Path) -> None:
    (folder / "boxes.csv").write_text(
        "image,finding,x,y,w,h\none/a.png,Old rib fracture,1,1,9,9\none/a.png,,1,1,9,9\none/a.png,lung mass; scar,1,1,9,9\n"
    )
    file = str(folder / "one" / "a.png")
    found, _ = boxes_of_files(folder / "boxes.csv", [file])
    assert [box.finding for box in found[file]] == ["Old rib fracture", "", "Mass, scar"]


def test_boxes_of_dicom_files_that_are_named_by_their_uid_go_by_it(folder: Path) -> None:
    (folder / "labels.csv").write_text("sop_instance_uid,label\n1.2.3,1\n")
    (folder / "boxes.csv").write_text("sop_instance_uid,finding,x,y,width,height\n1.2.3,Mass,1,2,3,4\n")
    file = str(shutil.copy(folder / "one" / "a.png", folder / "1.2.3.dcm"))
    assert boxes_of_files(folder / "boxes.csv", [file])[0] == {file: (Box("Mass", 1, 2, 3, 4),)}

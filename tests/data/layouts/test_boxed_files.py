"""Boxes of single files: named as in the table or by their name alone, in pixels of the file."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.data.layouts.boxed_files import boxes_of_files
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
    assert notes == ("2 files have no box in boxes.csv",)


def test_a_box_beyond_its_picture_is_not_drawn(folder: Path) -> None:
    (folder / "labels.csv").unlink()  # so that nobody says that the pictures were larger
    found, notes = boxes_of_files(folder / "boxes.csv", [str(folder / "one" / "a.png"), str(folder / "one" / "b.png")])
    assert found == {str(folder / "one" / "b.png"): (Box("Nodule", 10, 10, 10, 10),)}
    assert "1 file has a box beyond its picture, none is drawn: tell its frame by frame_width and frame_height" in notes

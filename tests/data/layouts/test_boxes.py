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


def test_boxes_beyond_their_picture_are_in_another_frame_and_none_is_taken(folder: Path) -> None:
    text = "image,finding,x,y,width,height\nimages/a.png,Mass,10,20,30,40\nimages/a.png,Mass,500,20,30,40\n"
    index = index_of(folder, text)
    assert index.records[0].boxes == ()
    (note,) = [note for note in index.notes if "boxes.csv" in note]
    assert "1 box of boxes.csv reaches beyond its picture: none is taken" in note
    assert "frame_width and frame_height" in note


def test_boxes_of_images_that_the_table_does_not_name_are_counted(folder: Path) -> None:
    text = "image,finding,x,y,width,height\nimages/z.png,Mass,1,2,3,4\nimages/a.png,Mass,1,2,3,4\n"
    index = index_of(folder, text)
    assert len(index.records[0].boxes) == 1
    assert any("1 row of boxes.csv names no image of the table" in note for note in index.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,finding,x,y,width\n", "height"),
        ("image,finding,x,y,width,height\nimages/a.png,Mass,1,2,wide,4\n", r"row 2: the width of a box is no number"),
        (
            "image,finding,x,y,width,height\nimages/a.png,Mass,1,2,0,4\n",
            r"row 2: a side of the box or its frame is not",
        ),
        ("image,finding,x,y,width,height,frame_width\nimages/a.png,Mass,1,2,3,4,5\n", "frame_height"),
    ],
)
def test_a_mistake_names_its_row_or_column(folder: Path, text: str, said: str) -> None:
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

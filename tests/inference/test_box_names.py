"""Each box has its finding's name at its edge: in the picture, on no other name, readable on any ground."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from cxreader.imaging.overlay import outlined
from cxreader.inference.box_names import box_name, named_boxes
from cxreader.records import Box

Written = list[tuple[tuple[float, ...], str]]


def ground(grey: int, height: int = 400, width: int = 400) -> NDArray[np.uint8]:
    return np.full((height, width, 3), grey, np.uint8)


def inked(boxes: list[Box], grey: int = 128) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what the last box's name changes."""
    before = named_boxes(ground(grey), boxes[:-1]) if boxes[:-1] else ground(grey)
    change = (named_boxes(ground(grey), boxes) != outlined(before, boxes[-1:])).any(axis=2)
    rows, columns = np.flatnonzero(change.any(axis=1)), np.flatnonzero(change.any(axis=0))
    return columns[0], rows[0], columns[-1], rows[-1]


@pytest.mark.parametrize(
    ("finding", "name"),
    [
        ("Pleural_Thickening", "Pleural Thickening"),
        ("Old rib fracture", "Old rib fracture"),
        ("", "finding not named"),
        ("two\nlines", r"two\nlines"),
    ],
)
def test_a_box_is_called_as_its_table_calls_it(finding: str, name: str) -> None:
    assert box_name(Box(finding, 0, 0, 1, 1)) == name


def test_without_boxes_nothing_is_drawn() -> None:
    np.testing.assert_array_equal(named_boxes(ground(9), ()), ground(9))


@pytest.mark.parametrize(
    "box",
    [
        Box("Mass", 150, 150, 80, 60),
        Box("Cardiomegaly", 0, 0, 60, 60),
        Box("Cardiomegaly", 370, 0, 30, 400),
        Box("Cardiomegaly", 350, 390, 50, 10),
        Box("Mass", 0, 0, 400, 400),
        Box("Nodule", 398, 398, 2, 2),
    ],
)
def test_a_name_touches_its_box_and_lies_in_the_picture(box: Box) -> None:
    left, top, right, bottom = inked([box])
    assert box.x - right <= 4
    assert left - box.x - box.width <= 4
    assert box.y - bottom <= 4
    assert top - box.y - box.height <= 4
    assert right - left > 3 * len(box.finding), "the whole name is in the picture"
    assert bottom - top > 8


@pytest.mark.parametrize("grey", [0, 255])
def test_a_name_is_read_on_dark_and_on_bright_ground(grey: int) -> None:
    """In the boxes' colour, each letter within a dark edge."""
    box = Box("Mass", 150, 150, 80, 60)
    left, top, right, bottom = inked([box])
    part = named_boxes(ground(grey), [box])[top : bottom + 1, left : right + 1].astype(int)
    letters, dark = part[..., 1] - part[..., 0] > 80, part.max(axis=2) < 60
    assert letters.sum() > 40
    assert dark.mean() > 0.25
    for rows, columns in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = np.roll(part, (2 * rows, 2 * columns), (0, 1))[letters]
        assert (beside[:, 1] < 250).all(), "no letter borders on bright ground"


def test_names_of_boxes_in_one_place_lie_beside_each_other(written: Written) -> None:
    boxes = [Box(name, 150, 150, 90, 80) for name in ("Mass", "Nodule", "Effusion", "Edema", "Hernia", "Fibrosis") * 3]
    named_boxes(ground(60), boxes)
    places = [(x, y, x + 6 * len(text), y + 12) for (x, y), text in written]
    assert [text for _, text in written] == [box.finding for box in boxes]
    for one, other in itertools.combinations(places, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)


def test_a_name_stays_at_its_box_though_it_crosses_a_line(written: Written) -> None:
    boxes = [Box("Mass", 100, y, 200, 3) for y in range(100, 300, 6)]
    named_boxes(ground(60), [*boxes, Box("Nodule", 150, 200, 40, 30)])
    (x, y), text = written[-1]
    assert text == "Nodule"
    assert 100 <= x <= 200
    assert 170 <= y <= 240


def test_a_long_name_is_cut(written: Written) -> None:
    named_boxes(ground(60), [Box("a name " * 40, 10, 10, 30, 30)])
    ((_, text),) = written
    assert text.endswith("...")
    assert 10 < len(text) < 60

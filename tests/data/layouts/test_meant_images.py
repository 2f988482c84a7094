"""Which image a name in another table means."""

from __future__ import annotations

import pytest

from cxreader.data.layouts.meant_images import meant_images

IMAGES = ("one/a.png", "./one/a.png", "one/a.png", "one/b.png", "two/b.png", "c.jpg", "1.2.840.10")


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("one/a.png", "one/a.png"),
        ("one/./a.png", "one/a.png"),
        ("one\\a.png", "one/a.png"),
        ("a.png", "one/a.png"),
        ("A.PNG", "one/a.png"),
        ("a", "one/a.png"),
        ("data/one/a.png", "one/a.png"),
        ("images/c.jpg", "c.jpg"),
        ("two/b", "two/b.png"),
        ("1.2.840.10.dcm", "1.2.840.10"),
    ],
)
def test_a_name_means_the_one_image_whose_path_ends_as_it_does(name: str, image: str) -> None:
    assert meant_images([name], IMAGES) == ({name: image}, frozenset())


@pytest.mark.parametrize("name", ["two/a.png", "a.jpg", "png", "", "1.2.840.11", "xa.png"])
def test_another_folder_or_suffix_is_another_image(name: str) -> None:
    assert meant_images([name], IMAGES) == ({}, frozenset())


@pytest.mark.parametrize("name", ["b.png", "b"])
def test_a_name_that_fits_several_images_is_none_of_theirs(name: str) -> None:
    assert meant_images([name], IMAGES) == ({}, frozenset([name]))


def test_names_of_one_image_must_fit_each_other() -> None:
    assert meant_images(["x/c.jpg", "c"], IMAGES) == ({"x/c.jpg": "c.jpg", "c": "c.jpg"}, frozenset())
    assert meant_images(["x/c.jpg", "y/c.jpg"], IMAGES) == ({}, frozenset(["x/c.jpg", "y/c.jpg"]))
    assert meant_images(["c.jpg", "y/c.jpg"], IMAGES)[0] == {"c.jpg": "c.jpg", "y/c.jpg": "c.jpg"}

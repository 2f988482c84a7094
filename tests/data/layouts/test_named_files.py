"""Files that a table names in archives and in other spellings, and images that no row names."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

import pytest
from tests.dicom_files import dataset, encoded, picture

from cxreader.data.layouts.named_files import find_named, unnamed
from cxreader.data.sources import open_source
from cxreader.errors import TableError
from cxreader.imaging.walk import PassedOver

Draw = Callable[..., Path]
NFC, NFD = (normalize(form, "Müller/Größe") for form in ("NFC", "NFD"))


def found(folder: Path, *cells: str) -> list[str | None]:
    paths = find_named(folder, cells, lambda n: f"row {n + 2}").paths
    return [None if path is None else str(Path(path).relative_to(folder)) for path in paths]


@pytest.fixture
def images(tmp_path: Path, draw: Draw) -> Path:
    """images/0.png to images/3.png, and an archive of the same with backslashes in its names."""
    root = tmp_path / "set"
    for n in range(4):
        draw(root / "images" / f"{n}.png", n)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as file:
        for path in sorted(root.glob("images/*")):
            info = zipfile.ZipInfo("x")
            info.filename = f"images\\{path.name}"
            file.writestr(info, path.read_bytes())
    return root


@pytest.mark.parametrize(("disk", "cell"), [(NFD, NFC), (NFC, NFD), (NFD, NFC.upper()), (NFC, NFD.lower())])
def test_accents_and_capitals_are_found_both_ways(tmp_path: Path, draw: Draw, disk: str, cell: str) -> None:
    draw(tmp_path / f"{disk}.png", 1)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.write(tmp_path / f"{disk}.png", f"{disk}.png")
    assert found(tmp_path, f"{cell}.png", cell, f"a.zip!/{cell}.png") == [f"{disk}.png"] * 2 + [f"a.zip!/{disk}.png"]


def test_two_names_that_differ_in_capitals_are_told_apart(tmp_path: Path, draw: Draw) -> None:
    for n, name in enumerate(("a.png", "A.png", "b.png")):
        draw(tmp_path / name, n)
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this disk knows no capitals")
    assert found(tmp_path, "a.png", "A.png", "A.PNG", "B.png") == ["a.png", "A.png", None, "b.png"]


def test_members_of_archives(images: Path, tmp_path: Path) -> None:
    cells = ("images.zip!/images/0.png", "Images.ZIP!/images/1", "images.zip!\\images\\2.png", "images.zip!/3.png")
    expected = [*(f"images.zip!/images/{n}.png" for n in range(3)), None]
    assert found(tmp_path, *cells) == expected
    archive = tmp_path / "images.zip"
    paths = find_named(archive, ["images/0.png", "IMAGES/1", "images/9.png", "../set/images/0.png"], str).paths
    assert paths == [f"{archive}!/images/0.png", f"{archive}!/images/1.png", None, None]


def test_bare_names_are_looked_for_in_archives_too(images: Path, tmp_path: Path) -> None:
    place = tmp_path / "beside"
    place.mkdir()
    (tmp_path / "images.zip").rename(place / "images.zip")
    (place / "labels.csv").write_text("image,label\n0.png,0\n1.png,1\n")
    index = open_source(place)
    assert [r.path for r in index.records] == [f"{place}/images.zip!/images/{n}.png" for n in (0, 1)]
    assert (index.rows_without_file, index.files_without_row) == (0, 2)


def test_an_archive_beside_its_table_is_a_source(images: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,label,age\nimages/0.png,0,54\nimages/1.png,1,\nimages/9.png,1,\n")
    index = open_source(tmp_path / "images.zip")
    assert [(r.image, r.age) for r in index.records] == [("images/0.png", 54.0), ("images/1.png", None)]
    assert (index.kind, index.rows_without_file, index.files_without_row) == ("table", 1, 2)
    assert index.tables == str(tmp_path / "labels.csv")
    assert open_source(index.root, tables=index.tables).records == index.records


def test_images_without_a_row_are_counted_by_content_below_the_folders_of_the_rows(images: Path, draw: Draw) -> None:
    draw(images / "images" / "deep" / "4.png", 4)
    (images / "images" / "IM5").write_bytes(encoded(dataset(picture())))
    (images / "images" / "notes.txt").write_text("no image")
    (images / "images" / "._0.png").write_text("no image")
    draw(images / "elsewhere" / "6.png", 6)  # where no row leads
    draw(images / "beside.png", 7)
    (images / "labels.csv").write_text("image,label\nimages/0.png,0\nimages/1.png,1\n")
    index = open_source(images)
    assert (index.rows_without_file, index.files_without_row) == (0, 4)
    assert "1 file of a kind that is not read: .txt 1" in index.notes
    (images / "labels.csv").write_text("image,label\nimages/0.png,0\nbeside.png,1\n")
    assert open_source(images).files_without_row == 5


def test_a_file_with_two_names_has_its_row(images: Path) -> None:
    (images / "images" / "link.png").symlink_to(images / "images" / "0.png")
    (images / "again").symlink_to(images / "images")
    paths = [str(images / "again" / name) for name in ("0.png", "1.png", "2.png")]
    assert unnamed(paths, images) == (1, PassedOver())


def test_no_file_at_all_is_refused(images: Path) -> None:
    (images / "labels.csv").write_text("image,label\nx.png,0\ny.png,1\n")
    with pytest.raises(TableError, match=r"row 2: no file for image 'x\.png'"):
        open_source(images)

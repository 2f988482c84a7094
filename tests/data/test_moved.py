"""A saved index, and folders that were moved since."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cxreader.config import parse_config
from cxreader.data.index import Index
from cxreader.data.sources import open_data, open_source
from cxreader.data.split import make_split
from cxreader.errors import DataError

Draw = Callable[..., Path]
MANY = 24


@pytest.fixture
def tree(tmp_path: Path, draw: Draw) -> Path:
    """A table of two dozen patients, half of them abnormal."""
    root = tmp_path / "tree"
    rows = [f"images/{draw(root / 'images' / f'{n}.png', n).name},{n % 2},p{n}" for n in range(MANY)]
    (root / "labels.csv").write_text("\n".join(["image,label,patient", *rows]))
    return root


def test_an_index_whose_folder_moved_is_refused_with_the_mend(tree: Path, tmp_path: Path) -> None:
    saved = open_source(tree).save(tmp_path / "index.parquet")
    tree.rename(tmp_path / "moved")
    with pytest.raises(DataError) as caught:
        open_source(saved)
    told = str(caught.value)
    assert told.startswith(
        f"{saved}: none of the 24 files of this index is there: looked for {tree}/images/0.png first"
    )
    assert "by --tables (data.tables)" in told
    assert "(data.root)" in told


def test_with_the_new_place_it_opens_and_its_split_fits(tree: Path, tmp_path: Path) -> None:
    index = open_source(tree)
    saved, split = index.save(tmp_path / "index.parquet"), make_split(index)
    moved = tree.rename(tmp_path / "moved")
    for place in (moved, moved / "labels.csv"):
        again = open_data(parse_config({"data": {"root": str(saved), "tables": str(place)}}).data)
        assert [r.path for r in again.records] == [str(moved / r.image) for r in index.records]
        assert [r.image for r in again.records] == [r.image for r in index.records]
        assert (again.root, again.rows_without_file, again.notes) == (str(moved / "labels.csv"), 0, ())
        assert len(split.records(again, "train")) == len(split.parts["train"])
        assert open_source(again.root).records == again.records
    assert open_data(parse_config({"data": {"root": str(moved)}}).data).records == again.records


def test_files_that_have_gone_since_are_counted_at_every_start(tree: Path, tmp_path: Path) -> None:
    saved = open_source(tree).save(tmp_path / "index.parquet")
    for name in ("3.png", "4.png"):
        (tree / "images" / name).unlink()
    index = open_source(saved)
    assert (len(index), index.rows_without_file) == (MANY - 2, 2)
    assert "2 of the 24 files of the saved index have gone: left out" in index.notes
    assert "images/3.png" not in index.by_image
    table = open_source(tree)
    assert (len(table), table.rows_without_file) == (MANY - 2, 2)


def test_trees_archives_and_several_sources_move_too(tree: Path, tmp_path: Path, draw: Draw) -> None:
    old = tmp_path / "old"
    for n, label in enumerate(("normal", "abnormal")):
        draw(old / "folders" / label / "a.png", n)
    with zipfile.ZipFile(old / "set.zip", "w") as file:
        for label in ("normal", "abnormal"):
            file.write(old / "folders" / label / "a.png", f"{label}/a.png")
    sources = [{"root": str(old / "folders")}, {"root": str(old / "set.zip")}]
    several = open_data(parse_config({"data": {"sources": sources}}).data)
    saved = several.save(tmp_path / "several.parquet")
    archive = open_source(old / "set.zip").save(tmp_path / "archive.parquet")
    folder = open_source(old / "folders").save(tmp_path / "folder.parquet")
    new = old.rename(tmp_path / "new")
    found = open_source(saved, tables=new)
    assert [r.path for r in found.records] == [
        *(str(new / "folders" / label / "a.png") for label in ("abnormal", "normal")),
        *(f"{new}/set.zip!/{label}/a.png" for label in ("normal", "abnormal")),
    ]
    assert [source["root"] for source in found.sources] == [str(new / "folders"), str(new / "set.zip")]
    assert open_source(archive, tables=new).root == str(new / "set.zip")
    assert [r.path for r in open_source(folder, tables=new / "folders").records] == [r.path for r in found.records[:2]]
    (new / "set.zip").unlink()
    with pytest.raises(DataError, match="none of the 2 files of this index is there"):
        open_source(archive, tables=new)


def test_what_nobody_counted_is_not_zero(tree: Path, tmp_path: Path) -> None:
    bare = Index(open_source(tree).records, "bare", "table", str(tree))
    assert (bare.rows_without_file, bare.files_without_row) == (None, None)
    assert bare.summary()["rows_without_file"] is None
    assert open_source(bare.save(tmp_path / "bare.parquet")).files_without_row is None

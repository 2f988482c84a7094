"""Files in a store: by their addresses they are read, indexed and cached as those of a folder are. The store is moto's."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest

from cxreader import remote
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.data.sources import open_source
from cxreader.errors import DataError, ImageError, StorageError
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import read, read_header
from cxreader.inference.batch.paths import listed
from cxreader.inference.batch.read_files import read_files
from tests.assessment.shortcut_world import make_images, make_reader
from tests.dicom_files import dataset, encoded, picture
from tests.inference.batch.world import Watched, distinct
from tests.s3_server import s3_server

pytestmark = pytest.mark.peer
BUCKET = "s3://archive"


@pytest.fixture(scope="module")
def store() -> Iterator[pafs.FileSystem]:
    with s3_server("archive"):
        yield pafs.FileSystem.from_uri(BUCKET)[0]


def put(store: pafs.FileSystem, folder: Path, place: str) -> str:
    """Every file of a folder, under the address that is returned."""
    for path in folder.rglob("*"):
        if path.is_file():
            with store.open_output_stream(f"archive/{place}/{path.relative_to(folder).as_posix()}") as file:
                file.write(path.read_bytes())
    return f"{BUCKET}/{place}"


def test_what_is_an_address() -> None:
    for name in ("s3://b", "s3://b/", "gs://b/k", "abfs://c@a.dfs.core.windows.net/k", "hdfs://h:9000/k"):
        assert remote.is_remote(name), name
    for name in ("s3:/b/k", "C:/images", "/images/s3://b/k", "s3://", "http://h/k"):
        assert not remote.is_remote(name), name
    assert not remote.is_remote(Path("s3://b/k"))


@pytest.mark.parametrize("name", ["a b.png", "ü#1?.png", "100%.png", "%20.png"])
def test_a_file_has_its_key_as_it_is_written(store: pafs.FileSystem, tmp_path: Path, name: str) -> None:
    (tmp_path / "put").mkdir()
    (tmp_path / "put" / name).write_bytes(b"0123456789")
    place = put(store, tmp_path / "put", "odd")
    assert f"{place}/{name}" in remote.below(place)[0]
    assert remote.read(f"{place}/{name}", 4) == b"0123"
    assert remote.identity(f"{place}/{name}")[0] == 10
    with remote.opened(f"{place}/{name}") as file:
        file.seek(8)
        assert file.read() == b"89"


def test_a_folder_there_is_read_as_one_here_and_a_missing_key_is_a_row(store: pafs.FileSystem, tmp_path: Path) -> None:
    here = tmp_path / "images"
    distinct(here, 5)
    (here / "deeper").mkdir()
    (here / "deeper" / "header.dcm").write_bytes(encoded(dataset(picture())))
    (here / "empty.png").touch()
    (here / ".hidden.png").write_bytes(b"x")
    (here / "notes.txt").write_text("not read")
    with zipfile.ZipFile(here / "more.zip", "w") as archive:
        archive.write(here / "0001.png", "inner/again.png")
    there = put(store, here, "images")
    files, left = listed([there])
    here_files, here_left = listed([str(here)])
    assert files == [name.replace(str(here), there) for name in here_files]
    assert left == here_left
    read_files(make_reader(Watched()), [*here_files, str(here / "gone.png")], tmp_path / "here.json")
    read_files(make_reader(Watched()), [*files, f"{there}/gone.png"], tmp_path / "there.json")
    table = json.loads((tmp_path / "there.json").read_text())
    assert table[-1]["reasons"] == "no such file; check the path"
    assert (tmp_path / "there.json").read_text().replace(there, str(here)) == (tmp_path / "here.json").read_text()
    header = f"{there}/deeper/header.dcm"
    assert read_header(header) == read_header(here / "deeper" / "header.dcm")


def test_a_table_there_a_table_here_and_addresses_in_a_table_give_one_index(
    store: pafs.FileSystem, tmp_path: Path
) -> None:
    here = make_images(tmp_path / "set", 6)
    there = put(store, here, "set")
    local = open_source(here)
    indexed = [open_source(there), open_source(f"{there}/labels.csv"), open_source(there, tables=here / "labels.csv")]
    for index in indexed:
        assert [r.image for r in index.records] == [r.image for r in local.records]
        assert index.labels.tolist() == local.labels.tolist()
        assert [r.path for r in index.records] == [f"{there}/{r.image}" for r in index.records]
        assert (index.rows_without_file, index.files_without_row) == (0, 0)
    with (here / "labels.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    rows = [[f"{there}/{image}", *rest] for image, *rest in rows]
    with (tmp_path / "addresses.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows, [f"{there}/gone.png", *rows[0][1:]]])
    index = open_source(tmp_path / "addresses.csv")
    assert [r.path for r in index.records] == [f"{there}/{r.image}" for r in local.records]
    assert index.rows_without_file == 1
    saved = open_source(index.save(tmp_path / "index.parquet"))
    assert saved.records == index.records


def test_a_tree_of_normal_and_abnormal_there(store: pafs.FileSystem, tmp_path: Path) -> None:
    pictures = distinct(tmp_path / "made", 4)
    for n, made in enumerate(pictures):
        place = tmp_path / "tree" / ("normal", "abnormal")[n % 2] / Path(made).name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(Path(made).read_bytes())
    there = put(store, tmp_path / "tree", "tree")
    found, local = open_source(there), open_source(tmp_path / "tree")
    assert [(r.image, r.label) for r in found.records] == [(r.image, r.label) for r in local.records]


def test_the_pixel_cache_is_the_one_of_the_same_files_here_and_knows_what_is_missing(
    store: pafs.FileSystem, tmp_path: Path
) -> None:
    here = make_images(tmp_path / "set", 4)
    there = put(store, here, "cached")
    spec = InputSpec(64)
    index = open_source(there)
    store.delete_file(f"archive/cached/{index.records[-1].image}")
    built = build_cache(index.records, spec, tmp_path / "there", workers=1)
    local = build_cache(open_source(here).records[:-1], spec, tmp_path / "here", workers=1)
    assert [failure.image for failure in built.errors] == [index.records[-1].image]
    assert "no such file" in built.errors[0].reason
    for record in index.records[:-1]:
        assert np.array_equal(built.pixels[built.row(record.image)], local.pixels[local.row(record.image)])
    again = build_cache(index.records, spec, tmp_path / "there", workers=1)
    assert (again.decoded, again.kept) == (0, len(index.records) - 1)


def test_what_cannot_be_reached_is_told_in_a_line_without_keys(store: pafs.FileSystem) -> None:
    with pytest.raises(StorageError, match="keys stand in an address") as caught:
        listed(["s3://AKIA:secret@archive/images"])
    assert "secret" not in str(caught.value)
    with pytest.raises(
        StorageError, match="HDFS needs libjvm and libhdfs, which are not on this machine; install Java"
    ):
        listed(["hdfs://nowhere:9000/images"])
    with pytest.raises(DataError, match="nothing is there"):
        open_source(f"{BUCKET}/nowhere")
    with pytest.raises(DataError, match="in a store no nih is known"):
        open_source(f"{BUCKET}/set", kind="nih")
    with pytest.raises(ImageError, match="no such file"):
        read("s3://nowhere/a.png")

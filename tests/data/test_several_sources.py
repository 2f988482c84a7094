"""Several sources read together: no image is taken for another, one patient of two NIH folders is one patient."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.cli.audit import reopen
from cxreader.config import SourceSection, parse_config
from cxreader.data.salt import group_of
from cxreader.data.sources import open_data, open_together
from cxreader.data.split import make_split
from cxreader.errors import ConfigError, UsageError


def _table(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    folder.mkdir(parents=True)
    for name, _, _ in rows:
        Image.fromarray(np.full((40, 40), 90, np.uint8)).save(folder / name)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "patient"), *rows])
    return folder


def _two(root: Path, **names: str) -> list[SourceSection]:
    rows = [(f"{n}.png", ("normal", "abnormal")[n % 2], f"p{n // 2}") for n in range(40)]
    return [SourceSection(root=str(_table(root / place, rows)), name=names.get(place)) for place in ("one", "two")]


def test_equal_names_in_two_folders_are_two_images_and_their_patients_are_two(tmp_path: Path) -> None:
    index = open_together(_two(tmp_path))
    assert len(index) == 80
    assert {"one/0.png", "two/0.png"} <= set(index.by_image)
    assert index.by_image["one/0.png"].path != index.by_image["two/0.png"].path
    assert (index.name, index.kind, index.n_patients) == ("one+two", "several", 40)


def test_folders_of_one_archive_share_their_patients_and_so_their_part(tmp_path: Path) -> None:
    index = open_together(_two(tmp_path, one="hospital", two="hospital"), name="all")
    assert index.n_patients == 20
    split = make_split(index, kind="patient")
    part: dict[str, str] = {}
    for name, images in split.parts.items():
        for image in images:
            assert part.setdefault(group_of(index.by_image[image]), name) == name


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    sources = [SourceSection(root=str(_table(tmp_path / p / "x", [("a.png", "normal", "p")]))) for p in ("l", "r")]
    with pytest.raises(UsageError, match="'x'"):
        open_together(sources)


def test_a_configuration_names_one_way_to_its_images(tmp_path: Path) -> None:
    sources = [{"root": source.root} for source in _two(tmp_path)]
    assert len(open_data(parse_config({"data": {"sources": sources}}).data)) == 80
    with pytest.raises(ConfigError, match="both root and sources"):
        parse_config({"data": {"root": "x", "sources": sources}})
    with pytest.raises(ConfigError, match="inside each source"):
        parse_config({"data": {"kind": "table", "sources": sources}})
    with pytest.raises(ConfigError, match="names no images"):
        parse_config({"data": {}})


def test_official_lists_belong_to_one_source(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="split by patient"):
        make_split(open_together(_two(tmp_path)), kind="official")


def test_a_split_of_several_sources_says_that_it_cannot_reopen_them(tmp_path: Path) -> None:
    split = make_split(open_together(_two(tmp_path)), kind="patient")
    with pytest.raises(UsageError, match="evaluate RUN"):
        reopen(split, None, None)

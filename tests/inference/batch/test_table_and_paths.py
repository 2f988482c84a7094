"""Readings as files, and names as lists of files."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.inference.batch.world import rows

from cxreader.errors import DataError, ImageError, MissingDependencyError, UsageError
from cxreader.imaging.read import read, read_header, size
from cxreader.imaging.walk import PassedOver
from cxreader.inference.batch.paths import listed
from cxreader.inference.batch.table import COLUMNS, format_of, write_csv, write_table
from cxreader.records import OperatingPoint, Reading

POINT = OperatingPoint("youden", 0.4, "largest J", 30, 40)
READINGS = [
    Reading(
        *('odd, "name".png', "abc", POINT, "abnormal", 0.123456789012345),
        interval=(0.1, 1 / 3),
        conformal="refer",
        acceptance="accepted",
        ood_score=2 / 3,
        sop_class="1.2.840.10008.5.1.4.1.1.1.1",
        sop_instance_uid="1.2.3.4",
    ),
    Reading("bad.png", "abc", POINT, reasons=("empty", "copy it again")),
]


def test_csv_json_and_parquet_say_the_same(tmp_path: Path) -> None:
    for kind in ("csv", "json", "parquet"):
        write_table(rows(READINGS), tmp_path / f"out.{kind}")
    by_json = json.loads((tmp_path / "out.json").read_text())
    by_csv = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    by_parquet = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert tuple(by_csv[0]) == tuple(by_json[0]) == tuple(by_parquet[0]) == COLUMNS
    first = ("image", "acceptance", "decision", "probability", "probability_low", "probability_high", "conformal")
    assert COLUMNS[:7] == first
    assert by_json == by_parquet
    assert (by_json[0]["probability_low"], by_json[0]["probability_high"]) == (0.1, 1 / 3)
    assert (float(by_csv[0]["probability_low"]), float(by_csv[0]["probability_high"])) == (0.1, 1 / 3)
    assert by_json[0]["conformal"] == by_csv[0]["conformal"] == "refer"
    empty = ("probability", "probability_low", "probability_high", "conformal")
    assert [by_json[1][name] for name in empty] == [None] * 4
    assert [by_csv[1][name] for name in empty] == [""] * 4
    assert float(by_csv[0]["probability"]) == by_json[0]["probability"] == 0.123456789012345
    assert (float(by_csv[0]["ood_score"]), by_json[0]["ood_score"]) == (2 / 3, 2 / 3)
    uids = ("1.2.840.10008.5.1.4.1.1.1.1", "1.2.3.4")
    assert [tuple(row[name] for name in ("sop_class", "sop_instance_uid")) for row in (by_csv[0], by_json[0])] == [
        uids
    ] * 2
    assert [by_json[1][name] for name in ("ood_score", "sop_class", "sop_instance_uid")] == [None] * 3
    assert by_csv[0]["image"] == 'odd, "name".png'
    assert (by_csv[1]["decision"], by_json[1]["decision"]) == ("", None)
    assert by_json[1]["reasons"] == "empty; copy it again"
    assert [row["acceptance"] for row in by_csv] == ["accepted", "not read"]
    assert [row["rank"] for row in by_parquet] == [1, 2]
    assert by_parquet[1]["reason_of_rank"] == "not read: a person must look"
    text = io.StringIO()
    write_csv(rows(READINGS), text)
    assert text.getvalue() == (tmp_path / "out.csv").read_text()


def test_another_ending_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write a \.ods table"):
        write_table(rows(READINGS), tmp_path / "out.ods")


def test_a_workbook_says_what_the_csv_says_with_text_as_text(tmp_path: Path) -> None:
    odd = [replace(READINGS[0], image=name) for name in ("=1+1", "0012", "#N/A", "a\x1bb\ud800.png", "2026-01-02")]
    for kind in ("csv", "xlsx"):
        write_table(rows([*READINGS, *odd]), tmp_path / f"out.{kind}")
    by_csv = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    header, *cells = openpyxl.load_workbook(tmp_path / "out.xlsx").active.iter_rows(values_only=True)
    assert header == COLUMNS
    by_excel = [dict(zip(header, row, strict=True)) for row in cells]
    assert [row["image"] for row in by_excel[2:]] == ["=1+1", "0012", "#N/A", "a\\x1bb\\ud800.png", "2026-01-02"]
    assert [row["probability"] for row in by_excel] == [0.123456789012345, None, *[0.123456789012345] * 5]
    assert (by_excel[0]["sop_instance_uid"], by_excel[1]["sop_instance_uid"]) == ("1.2.3.4", None)
    for row, told in zip(by_excel[:2], by_csv[:2], strict=True):
        assert {name: "" if value is None else str(value) for name, value in row.items()} == told
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    assert not {cell.data_type for row in sheet.iter_rows() for cell in row} & {"f", "e", "d"}, "formula, error, date"


def test_each_of_several_models_has_its_columns_in_a_workbook(tmp_path: Path) -> None:
    both = replace(READINGS[0], members=(READINGS[0], replace(READINGS[0], artifact="def", probability=0.5)))
    write_table(rows([both]), tmp_path / "two.xlsx", members=2)
    header, row = openpyxl.load_workbook(tmp_path / "two.xlsx").active.iter_rows(values_only=True)
    found = dict(zip(header, row, strict=True))
    assert (found["artifact_1"], found["probability_2"], found["artifact_2"]) == ("abc", 0.5, "def")


def test_without_openpyxl_or_beyond_a_sheet_it_says_so_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"1,048,576 rows are more than the 1,048,575 of an Excel sheet.*\.csv"):
        format_of(tmp_path / "out.xlsx", 1_048_576)
    assert format_of(tmp_path / "OUT.XLSX", 1_048_575) == "xlsx"
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingDependencyError, match=r"openpyxl.*pip install 'cxreader\[excel\]'"):
        format_of(tmp_path / "out.xlsx")


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (40, 40)).save(path, "PNG")


def test_folders_are_walked_and_files_named_are_kept(tmp_path: Path) -> None:
    for name in ("b.png", "deep/a.bin", ".hidden.png", ".hidden/c.png"):
        picture(tmp_path / name)
    (tmp_path / "labels.csv").write_text("image,label\n")
    (tmp_path / "scan.tiff").write_bytes(b"II*\0" + bytes(100))
    (tmp_path / "torn.png").write_bytes(b"")
    files, passed_over = listed([str(tmp_path)])
    assert [Path(f).name for f in files] == ["b.png", "a.bin", "torn.png"]
    assert passed_over == PassedOver(others=Counter({".csv": 1, ".tiff": 1}), hidden=2)
    assert listed(["absent.png"]) == (["absent.png"], PassedOver())


def test_linked_folders_are_walked_once_and_loops_end(tmp_path: Path) -> None:
    picture(tmp_path / "other" / "a.png")
    picture(tmp_path / "walked" / "deep" / "b.png")
    (tmp_path / "walked" / "deep" / "again").symlink_to(tmp_path / "walked")
    (tmp_path / "walked" / "a link").symlink_to(tmp_path / "walked" / "deep")
    (tmp_path / "walked" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "walked" / "lost.png").symlink_to(tmp_path / "nowhere")
    root = tmp_path / "walked"
    assert listed([str(root)]) == ([str(root / n) for n in ("deep/b.png", "link/a.png", "lost.png")], PassedOver())


def test_of_two_links_to_one_folder_the_first_by_name_counts(tmp_path: Path) -> None:
    picture(tmp_path / "other" / "a.png")
    (tmp_path / "walked" / "z").mkdir(parents=True)
    for name in ("link 3", "link 1", "link 2", "z/link 0"):
        (tmp_path / "walked" / name).symlink_to(tmp_path / "other")
    (tmp_path / "walked" / "self").symlink_to("self")
    found = listed([str(tmp_path / "walked")])
    assert found == ([str(tmp_path / "walked/link 1/a.png")], PassedOver(others=Counter({"no suffix": 1})))


def test_a_folder_that_cannot_be_opened_is_a_row_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "closed" / "b.png")
    scandir = os.scandir

    def guarded(path: str | int) -> Any:  # whoever runs the tests as root may open every folder
        if not isinstance(path, int) and os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    closed = str(tmp_path / "closed")
    assert listed([str(tmp_path)]) == ([str(tmp_path / "a.png"), closed], PassedOver())
    with pytest.raises(ImageError, match=r"is a folder that cannot be opened \(Permission denied\)"):
        read(closed)


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.dcm")
    picture(tmp_path / "a.png")
    files = [str(tmp_path / "a.png"), str(tmp_path / "pipe.dcm")]
    assert listed([str(tmp_path)]) == (files, PassedOver(others=Counter({"no suffix": 1})))
    for name in (tmp_path / "pipe", Path("/dev/zero")):
        assert listed([str(name)]) == ([str(name)], PassedOver())
        for ask in (read, read_header, size):
            with pytest.raises(ImageError, match="is no regular file"):
                ask(name)


@pytest.mark.parametrize("what", ["folder", "archive", "texts", "nothing"])
def test_nothing_to_read_is_an_error(what: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    if what == "archive":
        zipfile.ZipFile(path, "w").close()
    else:
        path.mkdir()
    if what == "texts":
        (path / "a.txt").write_text("text")
    with pytest.raises(
        DataError, match="nothing to read" + ("; 1 file of a kind that is not read: .txt 1" if what == "texts" else "")
    ):
        listed([] if what == "nothing" else [str(path)])

"""Readings as files, and names as lists of files."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from cxreader.errors import UsageError
from cxreader.inference.paths import listed
from cxreader.inference.table import COLUMNS, rows, write_csv, write_table
from cxreader.records import OperatingPoint, Reading

POINT = OperatingPoint("youden", 0.4, "largest J", 30, 40)
READINGS = [
    Reading(
        *('odd, "name".png', "abc", POINT, "abnormal", 0.123456789012345),
        interval=(0.1, 1 / 3),
        conformal="refer",
        acceptance="accepted",
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
    with pytest.raises(UsageError, match="xlsx"):
        write_table(rows(READINGS), tmp_path / "out.xlsx")


def test_folders_are_walked_files_named_are_kept_and_standard_input_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.png", "deep/a.bin", ".hidden.png"):
        Image.new("L", (40, 40)).save(tmp_path / name, "PNG")
    (tmp_path / "labels.csv").write_text("image,label\n")
    (tmp_path / "torn.png").write_bytes(b"")
    files, passed_over = listed([str(tmp_path)])
    assert [Path(f).name for f in files] == ["b.png", "a.bin", "torn.png"]
    assert passed_over == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO("one.png\n\ntwo words.png\n"))
    assert listed(["-", "absent.png"]) == (["one.png", "two words.png", "absent.png"], 0)

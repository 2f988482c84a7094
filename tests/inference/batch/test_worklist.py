"""The worklist: its rule on readings made by hand, and names of any bytes in every table."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.assessment.shortcut_world import make_reader
from tests.inference.batch.world import Watched, distinct, rows, worklist

from cxreader.inference.batch.names import as_text, names_in, on_one_line
from cxreader.inference.batch.read_files import read_files
from cxreader.inference.batch.table import write_table
from cxreader.inference.combine import combine
from cxreader.records import OperatingPoint, Reading

POINT = OperatingPoint("youden", 0.5, "largest J", 30, 40)


def reading(name: str, probability: float | None, **changes: object) -> Reading:
    decision = None if probability is None else ("abnormal" if probability >= 0.5 else "normal")
    made = Reading(name, "abc", POINT, decision, probability, acceptance="accepted")  # type: ignore[arg-type]
    return replace(made, **changes)  # type: ignore[arg-type]


def test_alarms_by_probability_then_what_needs_a_person_then_doubt_then_normal() -> None:
    parts = [reading("apart", 0.1, artifact="a"), reading("apart", 0.9, artifact="b")]
    apart = combine(parts, POINT, 0.25)
    assert apart.decision == "refer"
    given = [
        reading("normal", 0.2),
        reading("torn", None, acceptance=None, reasons=("empty",)),
        reading("warned", 0.1, acceptance="warning", reasons=("the header tells no view",)),
        reading("abnormal", 0.6),
        apart,
        reading("refused", None, acceptance="refused", reasons=("looks rotated",)),
        reading("surely", 0.93),
        reading("between", 0.45, conformal="refer"),
        reading("sure", 0.3, conformal="normal"),
        reading("abnormal too", 0.6, acceptance="warning"),
    ]
    ordered = [(given[place].image, urgency.reason) for place, urgency in worklist(given)]
    assert ordered == [
        ("surely", "abnormal, probability 0.93"),
        ("apart", "referred: the models disagree, the highest says 0.90"),
        ("abnormal", "abnormal, probability 0.60"),
        ("abnormal too", "abnormal, probability 0.60; with a warning"),
        ("torn", "not read: a person must look"),
        ("refused", "refused: a person must look"),
        ("between", "normal, probability 0.45; the conformal rule refers it"),
        ("warned", "normal, probability 0.10; with a warning"),
        ("sure", "normal, probability 0.30"),
        ("normal", "normal, probability 0.20"),
    ]
    in_given_order = rows(given)
    assert [row["image"] for row in in_given_order] == [r.image for r in given]
    assert [row["rank"] for row in in_given_order] == [10, 5, 8, 3, 2, 6, 1, 7, 9, 4]
    assert [row["rank"] for row in rows(given, sort=True)] == list(range(1, 11))


def test_several_models_are_columns_in_csv_and_parquet_and_a_list_in_json(tmp_path: Path) -> None:
    both = combine([reading("x", 0.4, artifact="a", ood_score=0.75), reading("x", 0.6, artifact="b")], POINT, 0.25)
    torn = combine([reading("y", None, acceptance=None, artifact=a, reasons=("empty",)) for a in "ab"], POINT, 0.25)
    for kind in ("json", "csv", "parquet"):
        write_table(rows([both, torn]), tmp_path / f"o.{kind}", members=2)
    by_json = json.loads((tmp_path / "o.json").read_text())
    by_csv = list(csv.DictReader((tmp_path / "o.csv").read_text().splitlines()))
    by_parquet = pq.read_table(tmp_path / "o.parquet").to_pylist()
    assert by_json[0]["members"] == [
        {"artifact": "a", "probability": 0.4, "decision": "normal", "ood_score": 0.75},
        {"artifact": "b", "probability": 0.6, "decision": "abnormal", "ood_score": None},
    ]
    assert by_json[0]["ood_score"] == by_parquet[0]["ood_score_1"] == float(by_csv[0]["ood_score_1"]) == 0.75
    assert (by_parquet[0]["ood_score_2"], by_csv[0]["ood_score_2"]) == (None, "")
    assert (by_json[0]["artifact"], by_json[0]["agreement"]) == ("a+b", pytest.approx(0.8))
    assert (by_csv[0]["artifact_2"], float(by_csv[0]["probability_2"]), by_csv[0]["decision_2"]) == (
        "b",
        0.6,
        "abnormal",
    )
    assert (by_parquet[0]["artifact_1"], by_parquet[0]["probability_1"], by_parquet[0]["decision_1"]) == (
        "a",
        0.4,
        "normal",
    )
    assert (by_parquet[1]["acceptance"], by_parquet[1]["probability_2"]) == ("not read", None)


ODD = (b"two\nlines.png", b"caf\xe9.png", 'Müller, "A".png'.encode(), b"tab\t.png", b"back\\xe9.png")


def test_names_of_any_bytes_reach_the_table_and_their_files_are_read(tmp_path: Path) -> None:
    picture = Path(distinct(tmp_path / "made", 1)[0]).read_bytes()
    folder = os.fsencode(tmp_path)
    for n, odd in enumerate(ODD):
        Path(os.fsdecode(folder + b"/" + odd)).write_bytes(picture + bytes([n]))
    listing = b"\0".join(folder + b"/" + odd for odd in ODD)
    named = names_in(listing + b"\0")
    assert [os.fsencode(name) for name in named] == listing.split(b"\0")
    network = Watched()
    for kind in ("json", "csv", "parquet"):
        read_files(make_reader(network), named, tmp_path / f"o.{kind}")
    assert network.shown == 3 * len(ODD)
    by_json = json.loads((tmp_path / "o.json").read_bytes().decode("utf-8"))
    with (tmp_path / "o.csv").open(encoding="utf-8", newline="") as file:
        by_csv = list(csv.DictReader(file))
    by_parquet = pq.read_table(tmp_path / "o.parquet").to_pylist()
    for table in (by_json, by_csv, by_parquet):
        assert [row["image"].removeprefix(f"{tmp_path}/") for row in table] == [
            "two\nlines.png",
            r"caf\xe9.png",
            'Müller, "A".png',
            "tab\t.png",
            r"back\xe9.png",
        ]
        assert {row["acceptance"] for row in table} == {"accepted"}


def test_lists_of_names_by_line_or_by_nul() -> None:
    assert names_in(b"a.png\n\ntwo words.png\r\n") == ["a.png", "two words.png"]
    assert names_in(b"a\nb.png\0c.png") == ["a\nb.png", "c.png"]
    assert names_in(b"") == []
    assert names_in("\ufeffa.png\r\nb.png".encode()) == ["a.png", "b.png"]
    assert as_text(os.fsdecode(b"\xff.png")) == r"\xff.png"
    assert on_one_line("a\nb\x1b[2J.png") == r"a\nb\x1b[2J.png"

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cxreader.errors import TableError, UsageError
from cxreader.evaluation.predictions import read_predictions, write_predictions
from cxreader.records import PredictionTable


def _table() -> PredictionTable:
    return PredictionTable(
        np.array(["a,1.png", 'b"2.png', "ü.png"]),
        np.array([0, 1, 1], dtype=np.int8),
        np.array([0.1, 1 / 3, 1.0]),
        np.array(["007", "007", "x y"]),
        {"age": np.array([61.0, np.nan, 5.0]), "view": np.array(["PA", "", "AP"])},
    )


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_round_trip(tmp_path: Path, name: str) -> None:
    table = _table()
    back = read_predictions(write_predictions(tmp_path / name, table))
    np.testing.assert_array_equal(back.image, table.image)
    np.testing.assert_array_equal(back.label, table.label)
    np.testing.assert_array_equal(back.probability, table.probability)
    assert back.patient is not None
    assert back.patient.tolist() == ["007", "007", "x y"]
    np.testing.assert_array_equal(back.columns["age"], table.columns["age"])
    assert back.columns["view"].tolist() == ["PA", "", "AP"]


def test_the_header_and_the_labels_as_written(tmp_path: Path) -> None:
    lines = write_predictions(tmp_path / "p.csv", _table()).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "image,patient,label,probability,age,view"
    assert lines[1] == '"a,1.png",007,normal,0.1,61.0,PA'


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_unknown_patients_stay_unknown(tmp_path: Path, name: str) -> None:
    nobody = PredictionTable(np.array(["a", "b"]), np.array([0, 1]), np.array([0.2, 0.8]))
    assert read_predictions(write_predictions(tmp_path / name, nobody)).patient is None
    some = PredictionTable(nobody.image, nobody.label, nobody.probability, np.array(["p", "image:b"]))
    back = read_predictions(write_predictions(tmp_path / name, some))
    assert back.patient is not None
    assert back.patient.tolist() == ["p", "image:b"]
    assert "image:b" not in (tmp_path / name).read_bytes().decode("latin-1")


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_a_patient_called_nan_is_no_patient(tmp_path: Path, name: str) -> None:
    """A column of numbers with gaps comes as floats, and all its gaps would be one patient."""
    columns = {
        "image": ["a", "b", "c", "d"],
        "label": [0, 1, 1, 0],
        "probability": [0.1, 0.2, 0.3, 0.4],
        "patient": [1.0, float("nan"), float("nan"), 1.0],
        "age": ["61", "unknown", "", "n/a"],
    }
    if name == "p.csv":
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        (tmp_path / name).write_text("\n".join(lines))
    else:
        pq.write_table(pa.table(columns), tmp_path / name)
    table = read_predictions(tmp_path / name)
    assert len(np.unique(table.groups)) == 3
    assert table.groups[0] == table.groups[3]
    np.testing.assert_array_equal(table.columns["age"], [61, np.nan, np.nan, np.nan])


def test_other_products_spellings(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("\ufefflabel, image ,probability\nAbnormal,a,0.5\n0,b,1e-3\n\n", encoding="utf-8")
    table = read_predictions(tmp_path / "p.csv")
    assert table.label.tolist() == [1, 0]
    for labels in ([True, False], [1, 0], [1.0, 0.0], ["1", "normal"]):
        columns = {"image": ["a", "b"], "label": labels, "probability": [0.5, 0.001], "patient": [7, 8]}
        pq.write_table(pa.table(columns), tmp_path / "p.parquet")
        table = read_predictions(tmp_path / "p.parquet")
        assert table.label.tolist() == [1, 0]
        assert table.patient is not None
        assert table.patient.tolist() == ["7", "8"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no header"),
        ("image,label\n", "has no column 'probability'"),
        ("image,label,probabilty\na,0,0.5\n", "did you mean 'probabilty'"),
        ("image,label,probability,label\n", "column 'label' stands twice"),
        ("image,label,probability\na,0\n", "row 1: has 2 cells, the header 3"),
        ("image,label,probability\na,0,0.5\nb,ill,0.5\n", "row 2, column label: label 'ill' is neither"),
        ("image,label,probability\na,0,\n", "row 1, column probability: '' is no number"),
        ("image,label,probability\na,0,0;5\n", "'0;5' is no number; write it with a decimal point"),
        ("image,label,probability\na,0,55\n", "probability 55.0 of row 1 is outside 0 to 1"),
        ("image,label,probability\na,0,nan\n", "outside 0 to 1"),
        ("image,label,probability\na,0,0.5\na,1,0.5\n", "image a stands twice"),
        ("image,label,probability\n,0,0.5\n", "row 1, column image: the image has no name"),
        ('image,label,probability\n"a,0,0.5\n', "is no CSV"),
    ],
)
def test_what_is_wrong_is_said_with_file_row_and_column(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    with pytest.raises(TableError) as caught:
        read_predictions(tmp_path / "p.csv")
    assert str(caught.value).startswith(str(tmp_path / "p.csv"))
    assert says in str(caught.value)
    assert caught.value.mend


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"neither .csv nor .parquet"):
        read_predictions(tmp_path / "p.xlsx")
    with pytest.raises(TableError, match="cannot be read"):
        read_predictions(tmp_path / "none.csv")
    (tmp_path / "p.parquet").write_bytes(b"no parquet")
    with pytest.raises(TableError, match="cannot be read as Parquet"):
        read_predictions(tmp_path / "p.parquet")
    (tmp_path / "p.csv").write_bytes(b"image,label\n\xff\xfe")
    with pytest.raises(TableError, match="is no CSV in UTF-8"):
        read_predictions(tmp_path / "p.csv")

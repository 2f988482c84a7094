from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cxreader.errors import DataError, TableError, UsageError
from cxreader.evaluation.predictions import READINGS as READING_COLUMNS
from cxreader.evaluation.predictions import USED, TableOptions, read_models, read_predictions, write_predictions
from cxreader.records import PredictionTable


def _table() -> PredictionTable:
    return PredictionTable(
        np.array(["a,1.png", 'b"2.png', "ü.png"]),
        np.array([0, 1, 1], dtype=np.int8),
        np.array([0.1, 1 / 3, 1.0]),
        np.array(["007", "007", "x y"]),
        {"age": np.array([61.0, np.nan, 5.0]), "view": np.array(["PA", "", "AP"])},
    )


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.xlsx"])
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
        ("image,label,probability\na,0\n", "row 2: has 2 cells, the header 3"),
        ("image,label,probability\na,0,0.5\nb,ill,0.5\n", "row 3, column label: label 'ill' is neither"),
        ("image,label,probability\na,0,\n", "no row has both a label and a probability (1: no probability); complete"),
        (
            "image,label,probability\na,0,0;5\n",
            "row 2, column probability: '0;5' is no number; write it with a decimal point or comma",
        ),
        (
            "image,label,probability\na,0,55\n",
            "row 2, column probability: probability 55 is outside 0 to 1; if these are percentages, divide",
        ),
        ("image,label,probability\na,,nan\n", "no row has both a label and a probability (1: no label)"),
        (
            "image,label,probability\na,0,0.1\nb,0,-0.66\nc,1,2\n",
            "row 3, column probability: probability -0.66 is outside 0 "
            "to 1 (and 1 more); if these are logits, write 1 / (1 + exp(-logit))",
        ),
        (
            "image,label,probability\na,0,0.1\nb,1,1.2\n",
            "probability 1.2 is outside 0 to 1; give the probability of abnormal",
        ),
        (
            "image,label,probability\na,0,0.1\nb,1,12%\n",
            "row 3, column probability: some probabilities have a percent sign",
        ),
        (
            "image,label,probability\na,0,12%\nb,1,0.1\n",
            "row 3, column probability: some probabilities have a percent sign",
        ),
        ("image,label,probability,patient\na,0,0.1,081\nb,1,0.2,81\n", "1 patient is written in two ways"),
        ("image,label,probability\na,0,0.5\na,1,0.5\n", "image a stands twice: in row 2 and in row 3"),
        ("image,label,probability\n,0,0.5\n", "row 2, column image: the image has no name"),
        ('image,label,probability\n"a,0,0.5\n', "is no CSV"),
    ],
)
def test_what_is_wrong_is_said_with_file_row_and_column(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_models(tmp_path / "p.csv")
    assert str(caught.value).startswith(str(tmp_path / "p.csv"))
    assert says in str(caught.value)
    assert caught.value.mend


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be read"):
        read_predictions(tmp_path / "none.csv")
    (tmp_path / "p.parquet").write_bytes(b"PAR1 no parquet")
    with pytest.raises(TableError, match="cannot be read as Parquet"):
        read_predictions(tmp_path / "p.parquet")
    (tmp_path / "p.csv").write_bytes(b"image,label\n\x00\xfe")
    with pytest.raises(TableError, match="is no table: it holds bytes that are no text"):
        read_predictions(tmp_path / "p.csv")


def only(path: Path, **options: Any) -> PredictionTable:
    (table,) = read_models(path, TableOptions(**options)).tables.values()
    return table


PLAIN = "image,patient,label,probability\na,1,0,0.25\nb,2,1,0.5\n"
DRESSES = {
    "trailing empty columns": PLAIN.replace("\n", ",,\n"),
    "labels and patients of a column of floats": "image,patient,label,probability\na,1.0,0.0,0.25\nb,2.0,1.0,0.5\n",
    "percent signs": "image,patient,label,probability\na,1,0,25%\nb,2,1,50 %\n",
    "decimal commas": "image;patient;label;probability\na;1;0;0,25\nb;2;1;0,5\n",
    "an index column": ",image,patient,label,probability\n0,a,1,0,0.25\n1,b,2,1,0.5\n",
    "pandas' index column": "Unnamed: 0,image,patient,label,probability\n0,a,1,0,0.25\n1,b,2,1,0.5\n",
    "capitals": "Image,Patient,Label,Probability\na,1,Normal,0.25\nb,2,Abnormal,0.5\n",
    "a finding as the label": "image,patient,label,probability\na,1,NORMAL,0.25\nb,2,PNEUMONIA,0.5\n",
    "rounding": "image,patient,label,probability\na,1,0,0.25\nb,2,1,0.5\nc,,1,1.0000001\n",
    "other names": "file_name,Patient ID,label,probability\na,1,0,0.25\nb,2,1,0.5\n",
}


@pytest.mark.parametrize("dress", DRESSES)
def test_one_table_in_every_dress(tmp_path: Path, dress: str) -> None:
    (tmp_path / "p.csv").write_text(DRESSES[dress])
    table = only(tmp_path / "p.csv")
    assert (table.image.tolist()[:2], table.label.tolist()[:2]) == (["a", "b"], [0, 1])
    assert table.probability.tolist() == [0.25, 0.5, 1.0][: len(table)]
    assert table.patient is not None
    assert table.patient.tolist()[:2] == ["1", "2"]


@pytest.mark.parametrize("patients", [["12", " 12"], ["12.0", "12"], [12, 12], [12.0, 12.0], ["12.00", "12."]])
def test_one_patient_however_he_is_written(tmp_path: Path, patients: list[object]) -> None:
    columns = {"image": ["a", "b"], "label": [0, 1], "probability": [0.1, 0.9], "patient": patients}
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    for name in ("p.parquet", "p.csv"):
        patient = only(tmp_path / name).patient
        assert patient is not None
        assert patient.tolist() == ["12", "12"]


def test_a_source_whose_patients_were_named_otherwise_is_told(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("image,patient,label,probability\na,1.0,0,0.25\nb,2.0,1,0.5\nc,x,1,0.5\n")
    assert read_models(tmp_path / "p.csv").warnings == ("Patients of 2 rows are read as whole numbers: 12.0 is 12.",)
    (tmp_path / "p.csv").write_text(PLAIN)
    assert read_models(tmp_path / "p.csv").warnings == ()


def test_columns_by_the_users_names_and_several_models_in_columns(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("image,truth,Net A,netb,Site\na,0,0.1,0.2,x\nb,1,0.9,0.8,y\nc,1,,0.7,y\n")
    table = only(path, columns={"probability": "netb", "label": "Truth"})
    assert table.probability.tolist() == [0.2, 0.8, 0.7]
    assert table.columns["Site"].tolist() == ["x", "y", "y"]
    read = read_models(path, TableOptions({"label": "truth"}, ("NetB", "net a")))
    assert {name: t.probability.tolist() for name, t in read.tables.items()} == {
        "NetB": [0.2, 0.8],
        "net a": [0.1, 0.9],
    }
    assert read.excluded == {"no probability": 1}
    assert read.notes == ("columns not used: Site",)
    with pytest.raises(
        TableError, match=r"no column 'netc'; did you mean 'netb'\? rename it, or name it: --column NAME=COLUMN"
    ):
        read_models(path, TableOptions({"label": "truth"}, ("netc",)))
    with pytest.raises(UsageError, match="the probability is named twice"):
        read_models(path, TableOptions({"probability": "netb"}, ("netb",)))
    path.write_text("image,label,model,a\nx,0,A,0.1\ny,1,B,0.2\n")
    with pytest.raises(UsageError, match="names models in its column model and by --models"):
        read_models(path, TableOptions(models=("a",)))


LABELS = "Path,class,Patient_ID,Sex\nset\\a.png,normal,12.0,F\nset\\b.png,Mass,13,M\nset\\d.png,0,14,M\n"


@pytest.mark.parametrize(
    ("names", "how"),
    [
        (("set/a.png", "set/b.png", "set/c.png"), ()),
        (("./set/a.png", "set\\b.png", "set/c.png"), ()),
        (("a.png", "b.png", "c.png"), ("images are joined by the file's name alone",)),
        (("x/a", "x/b", "x/c"), ("images are joined by the file's name without its suffix",)),
    ],
)
def test_labels_of_another_table_are_joined_by_the_image(
    tmp_path: Path, names: Sequence[str], how: tuple[str, ...]
) -> None:
    (tmp_path / "l.csv").write_text(LABELS)
    lines = [f"{name},{p}" for name, p in zip(names, (0.1, 0.9, 0.5), strict=True)]
    (tmp_path / "p.csv").write_text("\n".join(["image,probability", *lines]))
    read = read_models(tmp_path / "p.csv", TableOptions(labels=str(tmp_path / "l.csv")))
    (table,) = read.tables.values()
    assert (table.image.tolist(), table.label.tolist()) == (list(names[:2]), [0, 1])
    assert table.patient is not None
    assert table.patient.tolist() == ["12", "13"]
    assert table.columns["sex"].tolist() == ["F", "M"]
    assert read.excluded == {"no label in l.csv": 1}
    assert read.notes == ("no prediction for 1 row of l.csv", *how)


def test_labels_are_not_joined_by_names_that_two_images_share(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("image,label\nx/a.png,0\ny/a.png,1\n")
    (tmp_path / "p.csv").write_text("image,probability\na.png,0.5\n")
    options = TableOptions(labels=str(tmp_path / "l.csv"))
    with pytest.raises(DataError, match=r"l\.csv: none of its 2 images is among the predictions; use the image names"):
        read_models(tmp_path / "p.csv", options)
    (tmp_path / "l.csv").write_text("image,label\na.png,0\na.png,1\n")
    with pytest.raises(TableError, match=r"image a\.png stands twice: in row 2 and in row 3"):
        read_models(tmp_path / "p.csv", options)


def test_labels_by_the_uid_of_dicom_files_are_joined_by_the_predictions_uids(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("sop_instance_uid,label\n1.2.3,abnormal\n1.2.4,normal\n1.2.9,normal\n")
    lines = ["image,probability,sop_instance_uid", "x/IM1,0.1,1.2.4", "y/IM1,0.9,1.2.3", "a.png,0.5,"]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    options = TableOptions(labels=str(tmp_path / "l.csv"))
    read = read_models(tmp_path / "p.csv", options)
    (table,) = read.tables.values()
    assert (table.image.tolist(), table.label.tolist()) == (["x/IM1", "y/IM1"], [0, 1])
    assert read.excluded == {"no label in l.csv": 1}
    assert read.notes == ("no prediction for 1 row of l.csv", "images are joined by the SOP Instance UID")
    (tmp_path / "p.csv").write_text("\n".join([*lines, "z/IM1,0.4,1.2.3"]))
    with pytest.raises(
        TableError, match=r"p\.csv: one SOP Instance UID stands twice: in row 3 and in row 5; keep one row"
    ):
        read_models(tmp_path / "p.csv", options)


READINGS = (
    "image,acceptance,decision,probability,threshold,operating_point,rank,label,patient\n"
    "a,accepted,normal,0.1,0.4,youden,3,normal,1\nb,warning,abnormal,0.45,0.4,youden,1,abnormal,2\n"
    "c,refused,,,0.4,youden,2,abnormal,3\nd,not read,,,0.4,youden,4,normal,4\ne,accepted,normal,0.2,0.4,youden,5,,5\n"
)


def test_our_own_table_of_readings_leaves_out_what_was_refused(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(READINGS)
    read = read_models(tmp_path / "r.csv")
    assert read.tables["r"].image.tolist() == ["a", "b"]
    assert read.excluded == {"refused by the reader": 1, "not read": 1, "no label": 1}
    assert read.notes == ()


def test_every_column_of_a_table_of_readings_is_known() -> None:
    from cxreader.inference.batch.table import COLUMNS

    assert set(COLUMNS) <= READING_COLUMNS | set(USED)


def test_sexes_and_ages_that_are_none_are_counted_and_left_empty(tmp_path: Path) -> None:
    rows = ["weiblich,1990-01-01", "MÄNNLICH,abc", "2,40", "X,nan", "unknown,", "F,058Y"]
    path = tmp_path / "p.csv"
    path.write_text(
        "image,label,probability,sex,age\n" + "".join(f"{k},{k % 2},0.5,{row}\n" for k, row in enumerate(rows))
    )
    read = read_models(path)
    (table,) = read.tables.values()
    assert table.columns["sex"].tolist() == ["F", "M", "", "", "", "F"]
    np.testing.assert_array_equal(table.columns["age"], [np.nan, np.nan, 40, np.nan, np.nan, 58])
    assert read.notes == (
        "2 ages are none, and left empty",
        "2 sexes are no word for male or female, and left empty",
    )


def test_an_image_of_several_models_is_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(
        "image,label,probability,sex,model\n" + "".join(f"{k % 2},{k % 2},0.5,X,{'ab'[k // 2]}\n" for k in range(4))
    )
    assert read_models(path).notes == ("2 sexes are no word for male or female, and left empty",)


@pytest.mark.parametrize(
    ("header", "told", "silent"),
    [
        ("image,label,a,b,c", "; a column for each of several models: --models a,b,c", "--labels"),
        ("image,label,risk", "--models A,B", "--labels"),
        ("image,probability", "; labels of their own: --labels FILE", "--models"),
        ("picture,label,probability,x", "--column NAME=COLUMN", "--"),
    ],
)
def test_what_is_missing_names_its_own_option_alone(header: str, told: str, silent: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f"{header}\n")
    with pytest.raises(TableError) as caught:
        read_models(path)
    first, own, more = str(caught.value).partition(", or name it: --column NAME=COLUMN")
    assert f"{own}{more}".endswith(told)
    assert silent not in first + more


def test_views_are_the_headers_terms(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "image,label,probability,view\na,0,0.1,p.a.\nb,1,0.2,pa\nc,0,0.3,n/a\nd,1,0.4,Bett\n"
    )
    assert read_predictions(tmp_path / "p.csv").columns["view"].tolist() == ["PA", "PA", "", "BETT"]

"""Predictions on disk: `image,patient,label,probability,...` as CSV or Parquet, ours or another product's."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxreader.atomic import write_whole
from cxreader.errors import TableError, UsageError, nearest
from cxreader.findings import value_or_missing
from cxreader.records import LABEL_NAMES, LABELS, PredictionTable

REQUIRED = ("image", "label", "probability")
HEADER = ("image", "patient", "label", "probability")
# Read as float64 with NaN where empty; every other column is read as text.
NUMERIC = frozenset({"age", "follow_up", "logit_normal", "logit_abnormal"})
Column = Sequence[object]


def read_models(path: str | os.PathLike[str]) -> dict[str, PredictionTable]:
    """As `read_predictions`, but a file whose column `model` names several gives a table for each, in their order.

    Where no model is named, the file's name without its ending is.
    """
    columns, where = _columns(path), os.fspath(path)
    models = [read_text(name) for name in columns.get("model", ())]
    names = list(dict.fromkeys(models))
    if len(names) < 2:
        return {(names[0] if names and names[0] else Path(path).stem): _table(columns, where)}
    if "" in names:
        row = models.index("") + 1
        raise TableError("no model is named, in a file of several", where=f"{where}, row {row}", mend="name it")
    return {
        name: _table(
            {key: [v for v, of in zip(values, models, strict=True) if of == name] for key, values in columns.items()},
            f"{where}, model {name}",
        )
        for name in names
    }


def read_predictions(path: str | os.PathLike[str]) -> PredictionTable:
    """Read `.csv` or `.parquet`: columns image, label (normal, abnormal, 0 or 1), probability; patient if known.

    Patient names are kept as written; one of `findings.MISSING`, such as `nan`, names nobody. Where some rows have none,
    each such image stands for itself; where no row has one, no patient is known. Further columns go to `columns`: those
    of `NUMERIC` as float64, the others as text.
    Raises TableError naming file, row and column; UsageError for another kind of file.
    """
    return _table(_columns(path), os.fspath(path))


def _columns(path: str | os.PathLike[str]) -> dict[str, list[object]]:
    return _read_parquet(path) if _suffix(path) == ".parquet" else read_csv(path)


def _table(columns: dict[str, list[object]], where: str) -> PredictionTable:
    for name in REQUIRED:
        if name not in columns:
            mend = f"name one column {name!r}; {nearest(name, columns)}"
            raise TableError(f"has no column {name!r}", where=where, mend=mend)
    image = [read_text(v) for v in columns.pop("image")]
    if "" in image:
        row = image.index("") + 1
        raise TableError("the image has no name", where=f"{where}, row {row}, column image", mend="name every image")
    label = [read_label(v, f"{where}, row {row}, column label") for row, v in enumerate(columns.pop("label"), 1)]
    probability = read_numbers(columns.pop("probability"), where, "probability", empty=False)
    patient = _patients(columns.pop("patient", ()), image)
    further: dict[str, NDArray[np.generic]] = {
        name: read_numbers(values, where, name)
        if name in NUMERIC
        else np.array([read_text(v) for v in values], dtype=np.str_)
        for name, values in columns.items()
    }
    try:
        names = np.array(image, dtype=np.str_)
        return PredictionTable(names, np.array(label, dtype=np.int8), probability, patient, further)
    except TableError as error:
        raise TableError(error.what, where=where, mend=error.mend) from None


def write_predictions(path: str | os.PathLike[str], table: PredictionTable) -> Path:
    """Write `.csv` or `.parquet`, whole or not at all: header `image,patient,label,probability`, then further columns.

    Labels are written as normal and abnormal, probabilities so that they are read back exactly.
    Raises UsageError for another kind of file, StorageError when it cannot be written.
    """
    suffix = _suffix(path)
    patient = [None] * len(table) if table.patient is None else _without_stand_ins(table)
    columns: dict[str, Column] = {
        "image": table.image.tolist(),
        "patient": patient,
        "label": [LABEL_NAMES[v] for v in table.label],
        "probability": np.asarray(table.probability, dtype=np.float64).tolist(),
        **{name: _plain(values) for name, values in table.columns.items()},
    }
    return write_whole(path, _parquet(columns) if suffix == ".parquet" else _csv(columns))


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise UsageError("is neither .csv nor .parquet", where=path, mend="name the file .csv or .parquet")
    return suffix


def read_csv(path: str | os.PathLike[str]) -> dict[str, list[object]]:
    """The columns of a CSV in UTF-8 by name, as text. Raises TableError naming file and row."""
    where = os.fspath(path)
    try:
        # A spreadsheet writes a byte order mark before the first column's name.
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except OSError as error:
        raise TableError(f"cannot be read ({error.strerror})", where=where, mend="check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"is no CSV in UTF-8 ({error})", where=where, mend="save it as CSV UTF-8") from error
    if not rows or not any(rows[0]):
        raise TableError("has no header", where=where, mend=f"begin with the line {','.join(HEADER)}")
    header = [name.strip() for name in rows[0]]
    _refuse_twice(header, where)
    body = [row for row in rows[1:] if row]
    for number, row in enumerate(body, 1):
        if len(row) != len(header):
            what = f"has {len(row)} cells, the header {len(header)}"
            raise TableError(what, where=f"{where}, row {number}", mend="quote cells that hold a comma")
    return {name: [row[k] for row in body] for k, name in enumerate(header)}


def _read_parquet(path: str | os.PathLike[str]) -> dict[str, list[object]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(os.fspath(path))
    except (OSError, pa.ArrowException) as error:
        mend = "check the path, or write the file again"
        raise TableError("cannot be read as Parquet", where=path, mend=mend) from error
    _refuse_twice(table.column_names, os.fspath(path))
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _refuse_twice(names: Sequence[str], where: str) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TableError(f"column {twice!r} stands twice", where=where, mend="keep one of them")


def read_text(value: object) -> str:
    """A cell without the blanks around it; empty for None."""
    return "" if value is None else str(value).strip()


def read_label(value: object, where: str) -> int:
    """0 or 1 of normal, abnormal, 0 or 1; raises TableError naming `where`."""
    text = read_text(int(value) if isinstance(value, bool | float) and value in (0, 1) else value)
    label = LABELS.get(text.lower())
    if label is None:
        mend = "write normal or abnormal, or 0 or 1"
        raise TableError(f"label {text!r} is neither normal nor abnormal", where=where, mend=mend)
    return label


def read_numbers(values: Column, where: str, name: str, *, empty: bool = True) -> NDArray[np.float64]:
    """A column (n,) of numbers, NaN for an empty cell and one that says that nothing is known (`findings.MISSING`).

    Raises TableError naming row and column, for an empty cell too unless `empty`.
    """
    numbers = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        text = read_text(value)
        if empty and not value_or_missing(text):
            continue
        try:
            numbers[row] = float(text)
        except ValueError:
            place = f"{where}, row {row + 1}, column {name}"
            raise TableError(f"{text!r} is no number", where=place, mend="write it with a decimal point") from None
    return numbers


def _patients(values: Column, image: Sequence[str]) -> NDArray[np.str_] | None:
    names = [value_or_missing(read_text(v)) for v in values]
    if not any(names):
        return None
    return np.array([name or f"image:{own}" for name, own in zip(names, image, strict=True)], dtype=np.str_)


def n_without_patient(table: PredictionTable) -> int:
    """Images that stand for themselves among others whose patient is known; 0 where none is."""
    return 0 if table.patient is None else _without_stand_ins(table).count(None)


def _without_stand_ins(table: PredictionTable) -> list[str | None]:
    """Patient names; None for an image that stands for itself."""
    patients = [] if table.patient is None else table.patient.tolist()
    return [None if p == f"image:{own}" else p for p, own in zip(patients, table.image.tolist(), strict=True)]


def _plain(values: NDArray[np.generic]) -> list[object]:
    """Python values; NaN becomes an empty cell."""
    return [None if isinstance(v, float) and np.isnan(v) else v for v in values.tolist()]


def _csv(columns: Mapping[str, Column]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def _parquet(columns: Mapping[str, Column]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = {name: list(values) for name, values in columns.items()}
    kinds = {"patient": pa.string()}  # a column of nothing but empty cells has no type of its own
    arrays = {name: pa.array(values, type=kinds.get(name)) for name, values in data.items()}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink)
    return bytes(sink.getvalue().to_pybytes())

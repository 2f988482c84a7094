"""Predictions on disk: `image,patient,label,probability,...` in a table of any kind, ours or another product's."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxreader.atomic import write_whole
from cxreader.counting import count_notes, format_count
from cxreader.errors import DataError, TableError, UsageError
from cxreader.evaluation.prediction_cells import Cells, numbers, probabilities, read_label
from cxreader.evaluation.prediction_labels import with_labels
from cxreader.evaluation.table_refusals import RefusedRows, refused_by_model
from cxreader.findings import value_or_missing
from cxreader.identity import MEND, patient_name, zero_twins
from cxreader.imaging.vocabulary.words import view_of
from cxreader.records import LABEL_NAMES, PredictionTable
from cxreader.tables import NO_AGE, NO_SEX, Table, parse_age, parse_sex, read_table
from cxreader.tables.workbook import write_workbook

HEADER = ("image", "patient", "label", "probability")
# Read as float64 with NaN where empty; every other column is read as text.
NUMERIC = frozenset({"age", "follow_up", "logit_normal", "logit_abnormal"})
USED = (
    *HEADER,
    "model",
    "sex",
    "age",
    "view",
    "follow_up",
    "visit",
    "width",
    "height",
    "size",
    "spacing",
    "source",
    "findings",
)
"""Columns by which something is judged; `threshold` and `operating_point` too, where every row holds the same."""
READINGS = frozenset(
    (
        *(
            "acceptance",
            "decision",
            "probability_low",
            "probability_high",
            "conformal",
            "agreement",
            "reasons",
            "notes",
        ),
        *("operating_point", "threshold", "artifact", "rank", "reason_of_rank", "ood_score", "sop_class"),
        *("sop_instance_uid", "score", "logit_normal", "logit_abnormal", "fold"),
    )
)
"""Columns of our own tables of readings and of predictions, which need no word when nothing is judged by them."""
ALIASES: Mapping[str, Sequence[str]] = {
    "image": (
        *(
            "file_name",
            "filename",
            "file name",
            "file",
            "path",
            "image_path",
            "filepath",
            "file_path",
            "image_id",
            "imageid",
        ),
        *("image id", "image_name", "image name", "image index"),
    ),
    "patient": ("patient_id", "patientid", "patient id", "subject_id", "subject"),
    "sex": ("gender", "patient_sex", "patient sex", "patient gender"),
    "age": ("patient_age", "patient age"),
    "view": ("view_position", "view position", "viewposition"),
}
"""Other names of these columns, taken where a table has none of the name itself."""
_SHOWN = 4
Column = Sequence[object]


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How tables of predictions are told.

    `columns`: by name (`probability`, `label`, ...) the column's name in the files. `models`: columns that each hold one model's
    probability. `labels`: a table that holds the labels, by image, with whatever else it tells of them.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    models: Sequence[str] = ()
    labels: str | None = None


@dataclass(frozen=True, eq=False)
class ReadModels:
    """A file of predictions: a table by model; rows left out, counted by reason; and what a reader must know of the file.

    `warnings` change what is judged (patients that were named otherwise); `notes` do not (columns that are not used).
    `refused`: by model, the rows that are refused in a column `acceptance` and hold no probability.
    """

    tables: dict[str, PredictionTable]
    excluded: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: dict[str, RefusedRows] = field(default_factory=dict)


def read_models(path: str | os.PathLike[str], options: TableOptions | None = None) -> ReadModels:
    """The predictions of a table of any kind that `tables.read_table` reads.

    Columns: image, label (`records.label_and_findings`), probability (a decimal comma and a percent sign are read); patient if
    known, named as `identity.patient_name` says. A file whose column `model` names several gives a table for each, in
    their order; where no model is named, the file's name without its ending is. One of `findings.MISSING`, such as `nan`, names
    no patient: where some rows have none, each such image stands for itself; where no row has one, no patient is known.
    Further columns go to `columns`: those of `NUMERIC` as float64, the others as text. Rows without a label or a
    probability, such as images that a reader refused, are left out and counted.
    Raises TableError naming file, row (as a spreadsheet shows it) and column; DataError where nothing is left.
    """
    options = options or TableOptions()
    if options.models and "probability" in options.columns:
        raise UsageError(
            "the probability is named twice", mend="name it as one of the models, or as the column probability"
        )
    table = read_table(path, columns=options.columns).aliased(ALIASES)
    scores = {name: " ".join(name.lower().split()) for name in options.models} or {"": "probability"}
    wanted = ("image", *(() if options.labels else ("label",)), *scores.values())
    table.require(*wanted, or_else=_or_else([name for name in wanted if name not in table], table))
    cells, excluded, notes = Cells.of(table), Counter[str](), [*table.notes]
    if not len(cells):
        raise DataError("holds no prediction", where=table.where, mend="give at least one row")
    if options.labels:
        cells, told = with_labels(cells, options.labels, ALIASES, excluded)
        notes += told
    whole, cells = cells, _complete(cells, tuple(scores.values()), excluded)
    if not len(cells):
        reasons = "; ".join(f"{count:,}: {reason}" for reason, count in excluded.items())
        raise DataError(
            f"no row has both a label and a probability ({reasons})", where=table.where, mend="complete the rows"
        )
    known = READINGS if "ood_score" in cells.columns else READINGS - {"score"}  # a vendor's score may be what is wanted
    notes += table.unused({*USED, *known, *scores.values()})
    notes += _left_empty(cells)
    tables, warnings = _tables(cells, scores, Path(path))
    return ReadModels(tables, dict(excluded), warnings, tuple(notes), refused_by_model(whole, scores, tables))


def _or_else(missing: Sequence[str], table: Table) -> str:
    """By which options the columns that a table lacks can be told."""
    named = ", or name it: --column NAME=COLUMN"
    if "label" in missing:
        named += "; labels of their own: --labels FILE"
    if "probability" in missing:
        others = [table.written(name) for name in table.names() if name not in {*USED, *READINGS}]
        several = others[:_SHOWN] if len(others) > 1 else ["A", "B"]
        named += f"; a column for each of several models: --models {','.join(several)}"
    return named


def read_predictions(path: str | os.PathLike[str]) -> PredictionTable:
    """The predictions of a file of one model, as `read_models`; of several, all rows together. Raises as it does."""
    table = read_table(path).aliased(ALIASES)
    table.require("image", "label", "probability")
    return _table(_complete(Cells.of(table), ("probability",), Counter()), "probability")


def _tables(cells: Cells, scores: Mapping[str, str], path: Path) -> tuple[dict[str, PredictionTable], tuple[str, ...]]:
    """The tables by model, and what must be said of the patients."""
    changed = sum(patient_name(text) != text for text in cells.columns.get("patient", ()) if value_or_missing(text))
    warnings = (
        (f"Patients of {format_count(changed, '[row|rows]')} are read as whole numbers: 12.0 is 12.",)
        if changed
        else ()
    )
    names = list(dict.fromkeys(cells.columns.get("model", ())))
    if "" not in scores:
        if len(names) > 1:
            raise UsageError(
                "names models in its column model and by --models", where=cells.table.where, mend="use one of them"
            )
        return {name: _table(cells, column) for name, column in scores.items()}, warnings
    if len(names) < 2:
        return {(names[0] if names and names[0] else _stem(path)): _table(cells, "probability")}, warnings
    if "" in names:
        row = cells.rows[cells.columns["model"].index("")]
        raise TableError("no model is named, in a file of several", where=cells.table.at(row), mend="name it")
    of = cells.columns["model"]
    parts = {name: cells.part([model == name for model in of]) for name in names}
    return {name: _table(part, "probability") for name, part in parts.items()}, warnings


def _stem(path: Path) -> str:
    return path.name.split(".")[0] or path.name


def _complete(cells: Cells, scores: Sequence[str], excluded: Counter[str]) -> Cells:
    """The rows with a label and every probability; the others are counted by reason."""
    answer = cells.columns.get("acceptance", [""] * len(cells))
    keep = []
    for row in range(len(cells)):
        reason = ""
        if not value_or_missing(cells.columns["label"][row]):
            reason = "no label"
        elif not all(value_or_missing(cells.columns[name][row]) for name in scores):
            given = answer[row].lower()
            own = any(value_or_missing(text) for text in cells.columns.get("score", [""] * len(cells))[row : row + 1])
            without = (
                "a score and no probability: to judge the scores, --column probability=score"
                if own
                else "no probability"
            )
            reason = {"refused": "refused by the reader", "not read": "not read"}.get(given, without)
        excluded[reason] += bool(reason)
        keep.append(not reason)
    del excluded[""]
    return cells if all(keep) else cells.part(keep)


def _table(cells: Cells, score: str) -> PredictionTable:
    columns, at = dict(cells.columns), cells.at
    image = columns.pop("image")
    if "" in image:
        raise TableError("the image has no name", where=at(image.index(""), "image"), mend="name every image")
    seen: dict[str, int] = {}
    for row, name in enumerate(image):
        if seen.setdefault(name, row) != row:
            what = f"image {name} stands twice: in row {cells.rows[seen[name]]} and in row {cells.rows[row]}"
            raise TableError(what, where=cells.table.where, mend="keep one row an image")
    label = [read_label(text, at(row, "label")) for row, text in enumerate(columns.pop("label"))]
    probability = probabilities(cells, score)
    patient = _patients(columns.pop("patient", ()), image, cells.table)
    columns.pop(score, None)
    columns.pop("probability", None)
    further: dict[str, NDArray[np.generic]] = {}
    for name, texts in columns.items():
        if name == "age":
            further[name] = np.array([_nan(parse_age(text)) for text in texts])
        elif name == "sex":
            further[name] = np.array([parse_sex(text) or "" for text in texts], dtype=np.str_)
        elif name == "view":
            further[name] = np.array([view_of(value_or_missing(text)) or "" for text in texts], dtype=np.str_)
        else:
            read = numbers(cells, name) if name in NUMERIC else np.array(texts, dtype=np.str_)
            further[name if name in USED or name in READINGS else cells.table.written(name)] = read
    names = np.array(image, dtype=np.str_)
    return PredictionTable(names, np.array(label, dtype=np.int8), probability, patient, further)


def _left_empty(cells: Cells) -> tuple[str, ...]:
    """How many images have an age or a sex that is none, and is read as an empty cell."""
    found = {}
    for name, parse, words in (("age", parse_age, NO_AGE), ("sex", parse_sex, NO_SEX)):
        told = zip(cells.columns["image"], cells.columns.get(name, ()), strict=False)
        found[words] = len({image for image, text in told if value_or_missing(text) and parse(text) is None})
    return count_notes(found)


def _nan(number: float | None) -> float:
    return float("nan") if number is None else number


def _patients(texts: Sequence[str], image: Sequence[str], table: Table) -> NDArray[np.str_] | None:
    names = [patient_name(value_or_missing(text)) for text in texts]
    if not any(names):
        return None
    twins = zero_twins(name for name in names if name)
    if twins:
        what = format_count(twins, "[patient is|patients are] written in two ways that differ by leading zeros alone")
        raise TableError(what, where=table.where, mend=MEND)
    return np.array([name or f"image:{own}" for name, own in zip(names, image, strict=True)], dtype=np.str_)


def write_predictions(path: str | os.PathLike[str], table: PredictionTable) -> Path:
    """Write `.csv`, `.parquet` or `.xlsx`, whole or not at all: header `image,patient,label,probability`, then further columns.

    Labels are written as normal and abnormal, probabilities so that they are read back exactly.
    Raises UsageError for another kind of file, MissingDependencyError without what writes it, StorageError when it cannot be
    written.
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
    return write_whole(path, {".csv": _csv, ".parquet": _parquet, ".xlsx": _excel}[suffix](columns))


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet", ".xlsx"):
        what = "is neither .csv nor .parquet nor .xlsx"
        raise UsageError(what, where=path, mend="name the file .csv, .parquet or .xlsx")
    return suffix


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


def _excel(columns: Mapping[str, Column]) -> bytes:
    data = io.BytesIO()
    write_workbook(tuple(columns), zip(*columns.values(), strict=True), data)
    return data.getvalue()


def _parquet(columns: Mapping[str, Column]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = {name: list(values) for name, values in columns.items()}
    kinds = {"patient": pa.string()}  # a column of nothing but empty cells has no type of its own
    arrays = {name: pa.array(values, type=kinds.get(name)) for name, values in data.items()}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink)
    return bytes(sink.getvalue().to_pybytes())

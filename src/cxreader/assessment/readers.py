"""Readers judged without a model: a table of readings, and labels beside it where there are any."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import TableError, UsageError
from cxreader.evaluation.prediction_cells import read_label
from cxreader.evaluation.predictions import ALIASES
from cxreader.evaluation.readers.panel import panel_of
from cxreader.evaluation.readers.readings import NAMED, NOT_READ, Readings, read_readings
from cxreader.evaluation.readers.study import ReaderStudy, study_readers
from cxreader.evaluation.statistics.intervals import N_RESAMPLES
from cxreader.findings import value_or_missing
from cxreader.identity import patient_name
from cxreader.reporting.evaluation.figures.readers_figure import draw_readers
from cxreader.reporting.evaluation.readers import readers_tables
from cxreader.reporting.for_papers import write_figures, write_tables
from cxreader.runs import provenance, write_json
from cxreader.tables import read_table


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Images (n,) by name, their `label` (n,) int8, -1 where the table says nothing, and `patient` (n,), empty where unknown.

    `notes`: what a reader of the table must know.
    """

    image: list[str]
    label: NDArray[np.int8]
    patient: list[str]
    notes: tuple[str, ...] = ()


def read_label_table(path: str | os.PathLike[str], columns: Mapping[str, str]) -> LabelTable:
    """`image`, `label` and, if there, `patient` of a table; `columns` names those that are called otherwise.

    Raises TableError, naming file, row and column.
    """
    table = read_table(path, columns=columns).aliased({name: ALIASES[name] for name in ("image", "patient")})
    table.require("image", "label", or_else=", or name it: --column label=COLUMN")
    image, label, patient = [], [], []
    for row, cells in table:
        if not cells["image"]:
            raise TableError("the image has no name", where=table.at(row, "image"), mend="name every image")
        text = value_or_missing(cells["label"])
        image.append(cells["image"])
        label.append(read_label(text, table.at(row, "label")) if text else NOT_READ)
        patient.append(patient_name(value_or_missing(cells.get("patient", ""))))
    return LabelTable(image, np.array(label, dtype=np.int8), patient, table.notes)


def judge_readings(
    path: str | os.PathLike[str],
    *,
    panel: Sequence[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> ReaderStudy:
    """The readers of a table of readings, against a panel's majority, else `labels`, else the readings' own column `truth`.

    With a panel, named as `panel_of` takes it, the label is judged too, as one more rater. `columns`: the names of NAMED are
    those of the readings, all others those of `labels`. Patients are those of `labels`, else of the readings. Raises
    TableError for what cannot be read, UsageError as `panel_of` does and for columns of labels that are not given, DataError
    as `truths_of` and `Readings.aligned` do.
    """
    own = {name: column for name, column in (columns or {}).items() if name in NAMED}
    others = {name: column for name, column in (columns or {}).items() if name not in NAMED}
    if others and labels is None:
        what = f"{next(iter(others))} names a column of the labels, which are not given"
        raise UsageError(what, where="--column", mend="give --labels FILE, or leave it out")
    readings, told = read_readings(path, own), None
    members = panel_of(panel, readings.reader)
    if labels is not None:
        told = read_label_table(labels, others)
        readings = readings.aligned(told.image, Path(labels).name)
        readings = replace(readings, notes=(*readings.notes, *(f"{Path(labels).name}: {note}" for note in told.notes)))
    groups, known = _groups(readings, None if told is None else told.patient)
    return study_readers(
        readings,
        groups=groups,
        patients_known=known,
        panel=members,
        label=_label(readings) if told is None else told.label,
        seed=seed,
        n_resamples=n_resamples,
    )


def write_readers(study: ReaderStudy, out: Path, *, seed: int) -> None:
    """`readers.json` with seed, date and machine, every table in `tables/` (CSV, LaTeX), the figure in `figures/` (PDF, SVG).

    Raises StorageError.
    """
    made = {"date": datetime.now(UTC).isoformat(timespec="seconds"), **provenance(seed)}
    write_json(out / "readers.json", replace(study, provenance=made).to_dict())
    write_tables({_slug(title): table for title, table in readers_tables(study).items()}, out)
    if study.readers:
        write_figures({"readers": draw_readers(study)}, out)


def _label(readings: Readings) -> NDArray[np.int8] | None:
    return readings.truth if (readings.truth >= 0).any() else None


def _groups(readings: Readings, patients: list[str] | None) -> tuple[NDArray[np.integer], bool]:
    """Who is resampled together, one number a patient; an image without a patient stands for itself."""
    named = patients if patients is not None and any(patients) else None
    if named is None and readings.patient is not None:
        named = readings.patient.tolist()
    if named is None:
        return np.arange(len(readings.image)), False
    names = [name or f"image:{image}" for name, image in zip(named, readings.image.tolist(), strict=True)]
    return np.asarray(np.unique(names, return_inverse=True)[1]), True


def _slug(title: str) -> str:
    return f"readers_{title.lower().replace(' ', '_')}"

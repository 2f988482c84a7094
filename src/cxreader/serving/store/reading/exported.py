"""Answers and verdicts as rows of a table of predictions, without anybody's name."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cxreader.atomic import writing_whole
from cxreader.inference.batch.table import answer_of
from cxreader.serving.store.reading.patients import header_of
from cxreader.serving.store.reading.results import reading_of
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.people import Verdict
from cxreader.serving.store.tables.readings import Result
from cxreader.tables import parse_age

Row = dict[str, Any]
TEXT = (
    *("image", "patient", "label", "sex", "view", "acceptance", "decision", "conformal", "reasons", "operating_point"),
    *("artifact", "verdict", "verdict_mode"),
)
NUMBERS = (
    *("age", "probability", "probability_low", "probability_high", "score", "agreement", "ood_score", "threshold"),
)
COLUMNS = (*TEXT, *NUMBERS)
SEXES, VIEWS = frozenset({"F", "M", "O"}), frozenset({"AP", "PA", "LL", "RL", "LLD", "RLD", "LLO", "RLO"})
"""Codes of the standard (PS3.3 C.7.1.1, C.8.11.1.1.1): any other text in their place may be somebody's name."""
OLDEST = 90
"""Years: nobody is told to be older (45 CFR 164.514 (b)(2)(i)(C))."""
_AT_ONCE = 8_192


def rows(session: Session, pseudonym: Callable[..., str]) -> Iterator[Row]:
    """The latest answer to every image, in the order in which they came.

    `label`: what the reader of a final verdict on an answer to this image called it, else what the verdict makes of that answer;
    empty without one. `patient` is empty where
    none is known. `pseudonym`: makes a text that tells nothing of its parts.
    """
    latest = (
        select(Result.instance_id, func.max(Result.revision).label("revision")).group_by(Result.instance_id).subquery()
    )
    query = (
        select(Result, Instance, Study)
        .join(latest, (latest.c.instance_id == Result.instance_id) & (latest.c.revision == Result.revision))
        .join(Instance, Instance.id == Result.instance_id)
        .join(Study, Study.id == Instance.study_id)
        .order_by(Instance.id)
    )
    labels = _labels(session)
    for result, image, study in session.execute(query.execution_options(yield_per=1000)):
        told = answer_of(reading_of(result))
        label, verdict, mode = labels.get(image.id, ("", "", ""))
        header = header_of(study, image)
        yield {name: told.get(name) for name in COLUMNS} | {
            "image": pseudonym("image", image.sha256),
            "patient": pseudonym("patient", study.issuer, study.patient_id) if study.patient_id else "",
            "label": label,
            "sex": header["sex"] if header["sex"] in SEXES else "",
            "age": _age(header["age"]),
            "view": image.view if image.view in VIEWS else "",
            "verdict": verdict,
            "verdict_mode": mode,
        }


def write(table: Iterator[Row], path: Path) -> int:
    """Write rows as CSV or Parquet, by the path's ending; returns how many. Raises StorageError."""
    return _parquet(table, path) if path.suffix == ".parquet" else _csv(table, path)


def _csv(table: Iterator[Row], path: Path) -> int:
    count = 0
    with writing_whole(path) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in table:
            writer.writerow(row)
            count += 1
        text.detach()
    return count


def _parquet(table: Iterator[Row], path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {name: pa.float64() if name in NUMBERS else pa.string() for name in COLUMNS}
    count = 0
    with writing_whole(path) as file, pq.ParquetWriter(file, pa.schema(list(kinds.items()))) as writer:
        while chunk := list(islice(table, _AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(chunk, pa.schema(list(kinds.items()))))
            count += len(chunk)
    return count


def _labels(session: Session) -> dict[int, tuple[str, str, str]]:
    """Label, kind of verdict and mode by image, from the latest final verdict on an answer of that image."""
    query = (
        select(Verdict, Result)
        .join(Result, Result.id == Verdict.result_id)
        .where(Verdict.stage == "final")
        .order_by(Verdict.id)
    )
    found = {}
    for verdict, result in session.execute(query):
        decision = result.reading.get("decision")
        label = verdict.impression or label_of(verdict.kind, decision)
        found[result.instance_id] = label, verdict.kind, verdict.mode
    return found


def label_of(kind: str, decision: str | None) -> str:
    """Accepted: as the answer says; rejected: the other one; supplemented: something was missed, so abnormal."""
    if kind == "supplemented":
        return "abnormal"
    if decision not in ("normal", "abnormal"):
        return ""
    return decision if (kind == "accepted") else {"normal": "abnormal", "abnormal": "normal"}[decision]


def _age(text: str) -> float | None:
    age = parse_age(text)
    return None if age is None else min(float(age), OLDEST)

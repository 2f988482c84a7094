"""Readings as a table: JSON, CSV, Parquet or Excel by the file's name, written row by row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from cxreader.atomic import writing_whole
from cxreader.errors import UsageError, nearest
from cxreader.inference.batch.names import as_text
from cxreader.inference.triage import urgency
from cxreader.records import Reading
from cxreader.tables.workbook import refuse_workbook, write_workbook

Row = dict[str, Any]
COLUMNS = (
    *(
        "image",
        "acceptance",
        "decision",
        "probability",
        "probability_low",
        "probability_high",
        "conformal",
        "agreement",
    ),
    *("reasons", "notes", "operating_point", "threshold", "artifact", "rank", "reason_of_rank"),
    *("ood_score", "sop_class", "sop_instance_uid", "score"),
)
NUMBERS = frozenset(
    {"probability", "probability_low", "probability_high", "agreement", "threshold", "ood_score", "score"}
)
MEMBER = ("artifact", "probability", "decision", "ood_score")
"""Columns of each of several models: in JSON a list `members`, elsewhere `artifact_1`, `probability_1`, ..."""
FORMATS = ("csv", "json", "parquet", "xlsx")
NOT_READ = "not read"
_AT_ONCE = 8_192  # rows of a Parquet row group, which are Python objects for a moment


def answer_of(reading: Reading) -> Row:
    """The row of a reading without `image` and `rank`: plain values for JSON, the same for one content under any name.

    `acceptance` is accepted, warning, refused, or "not read"; `probability_low` and `probability_high` are the Venn-Abers
    pair; `score` stands in their place where the artifact was calibrated on too few images. None where
    a reading has no such value. Of several models `members` is a list of dicts of `MEMBER`, in their order.
    """
    low, high = reading.interval or (None, None)
    answer: Row = {
        "acceptance": reading.acceptance or NOT_READ,
        "decision": reading.decision,
        "probability": reading.probability,
        "probability_low": low,
        "probability_high": high,
        "conformal": reading.conformal,
        "agreement": reading.agreement,
        "reasons": "; ".join(reading.reasons),
        "notes": "; ".join(reading.notes),
        "operating_point": reading.operating_point.name,
        "threshold": reading.operating_point.threshold,
        "artifact": reading.artifact,
        "reason_of_rank": urgency(reading).reason,
        "ood_score": reading.ood_score,
        "sop_class": reading.sop_class,
        "sop_instance_uid": reading.sop_instance_uid,
        "score": reading.score,
    }
    if reading.members:
        answer["members"] = [{name: getattr(member, name) for name in MEMBER} for member in reading.members]
    return answer


def row_of(name: str | bytes, rank: int, answer: Row) -> Row:
    r"""A row: `COLUMNS`, and `members` where there are several models. A byte of the name that is no text stands as `\xff`."""
    row = {column: answer.get(column) for column in COLUMNS} | {"image": as_text(name), "rank": rank}
    return row | {"members": answer["members"]} if "members" in answer else row


def format_of(path: Path, rows: int = 0) -> str:
    """csv, json, parquet or xlsx.

    Raises UsageError for any other ending, and for more `rows` than its format holds; MissingDependencyError without what
    writes it.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise UsageError(f"cannot write a {path.suffix or 'nameless'} table", where=path, mend=nearest(kind, FORMATS))
    if kind == "xlsx":
        refuse_workbook(path, rows)
    return kind


def write_table(table: Iterable[Row], path: Path, *, members: int = 1) -> None:
    """Write the rows whole or not at all, without ever holding all of them; `members`: how many models read.

    Raises UsageError for an unknown ending, StorageError for a full disk.
    """
    kind = format_of(path)
    with writing_whole(path) as file:
        if kind == "parquet":
            _write_parquet(table, file, members)
            return
        if kind == "xlsx":
            names = columns(members)
            write_workbook(names, ([row[name] for name in names] for row in map(_flat, table)), file)
            return
        text = io.TextIOWrapper(file, "utf-8", newline="")
        if kind == "json":
            _write_json(table, text)
        else:
            write_csv(table, text, members=members)
        text.detach()  # flushed; the file is closed by who opened it


def write_csv(table: Iterable[Row], file: IO[str], *, members: int = 1) -> None:
    """The rows as CSV, header first; names with commas, quotes or newlines are quoted."""
    writer = csv.DictWriter(file, columns(members), lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_flat, table))


def columns(members: int) -> tuple[str, ...]:
    """The columns of a CSV or Parquet table of so many models."""
    if members < 2:
        return COLUMNS
    return COLUMNS + tuple(f"{name}_{n}" for n in range(1, members + 1) for name in MEMBER)


def _flat(row: Row) -> Row:
    flat = {name: row[name] for name in COLUMNS}
    for n, member in enumerate(row.get("members", ()), 1):
        flat |= {f"{name}_{n}": member[name] for name in MEMBER}
    return flat


def _write_json(table: Iterable[Row], file: IO[str]) -> None:
    """A list, one row a line, so that it can be read in pieces too."""
    file.write("[")
    for n, row in enumerate(table):
        file.write(("," if n else "") + "\n" + json.dumps(row, ensure_ascii=False, allow_nan=False))
    file.write("\n]\n")


def _write_parquet(table: Iterable[Row], file: IO[bytes], members: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {name: pa.float64() if name in NUMBERS else pa.string() for name in (*COLUMNS, *MEMBER)} | {
        "rank": pa.int64()
    }
    of_members = [(f"{name}_{n}", kinds[name]) for n in range(1, members + 1) for name in MEMBER if members > 1]
    schema = pa.schema([(name, kinds[name]) for name in COLUMNS] + of_members)
    with pq.ParquetWriter(file, schema) as writer:
        for group in _groups(map(_flat, table)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _groups(table: Iterator[Row]) -> Iterator[list[Row]]:
    while group := list(islice(table, _AT_ONCE)):
        yield group

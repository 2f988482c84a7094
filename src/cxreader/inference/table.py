"""Readings as a table: JSON, CSV or Parquet by the file's name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cxreader.atomic import write_whole
from cxreader.errors import UsageError, nearest
from cxreader.records import Reading

COLUMNS = (
    *("image", "decision", "probability", "probability_low", "probability_high", "conformal", "reasons"),
    *("operating_point", "threshold", "artifact"),
)
NUMBERS = frozenset({"probability", "probability_low", "probability_high", "threshold"})
FORMATS = ("csv", "json", "parquet")


def rows(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """One plain row a reading: `COLUMNS`; decision and probability are None for a file that could not be read.

    `probability_low` and `probability_high` are the Venn-Abers pair; `conformal` is normal, abnormal or refer. They are
    None where the artifact holds neither.
    """
    return [
        {
            "image": reading.image,
            "decision": reading.decision,
            "probability": reading.probability,
            "probability_low": None if reading.interval is None else reading.interval[0],
            "probability_high": None if reading.interval is None else reading.interval[1],
            "conformal": reading.conformal,
            "reasons": "; ".join(reading.reasons),
            "operating_point": reading.operating_point.name,
            "threshold": reading.operating_point.threshold,
            "artifact": reading.artifact,
        }
        for reading in readings
    ]


def format_of(path: Path) -> str:
    """csv, json or parquet. Raises UsageError for any other ending."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise UsageError(f"cannot write a {path.suffix or 'nameless'} table", where=path, mend=nearest(kind, FORMATS))
    return kind


def write_readings(readings: Sequence[Reading], path: Path) -> None:
    """Write the table whole or not at all. Raises UsageError for an unknown ending, StorageError for a full disk."""
    kind = format_of(path)
    if kind == "csv":
        write_whole(path, to_csv(readings).encode())
    elif kind == "json":
        write_whole(path, (json.dumps(rows(readings), indent=1, ensure_ascii=False) + "\n").encode())
    else:
        write_whole(path, _parquet(readings))


def to_csv(readings: Sequence[Reading]) -> str:
    """The table as CSV, header first; names with commas, quotes or newlines are quoted."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(readings))
    return buffer.getvalue()


def _parquet(readings: Sequence[Reading]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number = pa.string(), pa.float64()
    kinds = {name: number if name in NUMBERS else text for name in COLUMNS}
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows(readings), schema=pa.schema(list(kinds.items()))), buffer)
    return buffer.getvalue()

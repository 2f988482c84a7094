"""Which files are tables, by name."""

from __future__ import annotations

from pathlib import PurePath

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".pq", ".xlsx", ".xlsm")
_PACKED = (".gz", ".zip")


def is_table_name(path: PurePath) -> bool:
    """True for a name that ends as a table's does, packed or not: `labels.csv`, `labels.csv.gz`, `labels.xlsx`, any case."""
    ends = [suffix.lower() for suffix in path.suffixes]
    if ends and ends[-1] in _PACKED:
        ends.pop()
    return bool(ends) and ends[-1] in SUFFIXES

"""The typed index: every image of a source and what its table says of it, whatever the source was."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.atomic import write_whole
from cxreader.config import Kind, Uncertain
from cxreader.counting import format_count
from cxreader.errors import TableError
from cxreader.findings import FINDINGS, OTHER
from cxreader.identity import MEND, patient_name, zero_twins
from cxreader.records import LABEL_NAMES, Box, ImageRecord

NO_PATIENTS = "no patient is known: patient-wise splitting is impossible, one patient's images may be in several parts"
_METADATA = b"cxreader.index"
_VERSION = 2
_READ = (1, _VERSION)
_LATER = ("published_part",)
"""Columns that version 1 had not."""


@dataclass(frozen=True)
class Index:
    """The images of one source.

    `records` are those with a file (all rows, when the source was opened without requiring files), in the order of
    the table. `name` is the data set's (empty when nobody gave one), `root` the folder or table it was opened from and
    `tables` where its tables lay when elsewhere: with `uncertain`, what uncertain labels became where somebody chose it, these
    reopen it. Of kind several, `sources` are those read together, as `config.SourceSection` has them, and `root` is for people.
    `rows_without_file`: rows of the table whose file is not there. `files_without_row`: images there that no row names, or
    no folder labels. Both are None where nobody counted. `notes` are for people.
    Patients are named as `identity.patient_name` says, with a note where that changed a name.
    Raises TableError when an image name stands twice, and for patients of one source whose names differ by leading zeros alone.
    """

    records: tuple[ImageRecord, ...] = field(repr=False)
    name: str
    kind: Kind | Literal["several"]
    root: str
    rows_without_file: int | None = None
    files_without_row: int | None = None
    notes: tuple[str, ...] = ()
    tables: str | None = None
    uncertain: Uncertain | None = None
    sources: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        refuse_duplicates(((r.image, n) for n, r in enumerate(self.records, 1)), self.root)
        changed = {n: r for n, r in enumerate(map(_normalised, self.records)) if r is not self.records[n]}
        if changed:
            records = tuple(changed.get(n, record) for n, record in enumerate(self.records))
            images = format_count(len(changed), "[image|images]")
            note = f"patients of {images} are read as whole numbers or without blanks: 12.0 is 12"
            object.__setattr__(self, "records", records)
            object.__setattr__(self, "notes", (*self.notes, note))
        _refuse_zero_twins(self.records, self.root)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def title(self) -> str:
        """The name, or where nobody gave one that of the folder or table; a `labels.csv` has its folder's. Never empty."""
        place = Path(self.root)
        is_table = place.suffix.lower() in (".csv", ".json", ".parquet", ".pq", ".xlsx")
        file = place.stem if is_table else place.name
        if is_table and file == "labels":
            file = place.parent.name or file
        return self.name.strip() or file or self.root or self.kind

    @cached_property
    def by_image(self) -> dict[str, ImageRecord]:
        """Every record by its image name."""
        return {record.image: record for record in self.records}

    @cached_property
    def labels(self) -> NDArray[np.int8]:
        """(n,) int8: 0 normal, 1 abnormal, in the order of `records`."""
        return np.fromiter((r.label for r in self.records), np.int8, len(self.records))

    @cached_property
    def source_of(self) -> dict[str, Mapping[str, Any]]:
        """Of several read together, the entry of `sources` by the folder that begins its images' names."""
        return {Path(str(source["root"])).name: source for source in self.sources}

    def entry_of(self, record: ImageRecord) -> Mapping[str, Any]:
        """The entry of `sources` that a record comes from; empty where one source was read alone."""
        return self.source_of.get(record.image.partition("/")[0], {}) if self.sources else {}

    def teaches_places_alone(self, record: ImageRecord) -> bool:
        """Whether a record's source has weight 0: its boxes teach a region head, and the classifier never meets it."""
        return self.entry_of(record).get("weight") == 0

    @cached_property
    def has_patients(self) -> bool:
        """True when every record names its patient; without that no split can be made by patient."""
        return bool(self.records) and all(r.patient is not None for r in self.records)

    @cached_property
    def n_patients(self) -> int:
        """Distinct known patients; the same number in two sources is two patients."""
        return len({(r.source, r.patient) for r in self.records if r.patient is not None})

    def summary(self) -> dict[str, Any]:
        """Counts as JSON-ready data: images, patients, labels, views, sexes, findings, boxes, ages, files and rows."""
        records = self.records
        found = Counter(name for r in records for name in r.findings)
        ages = [r.age for r in records if r.age is not None and r.age_plausible]
        return {
            "name": self.name,
            "kind": self.kind,
            "images": len(records),
            "patients": self.n_patients if self.n_patients else None,
            "labels": {label: int((self.labels == n).sum()) for n, label in enumerate(LABEL_NAMES)},
            "views": _counts(r.view for r in records),
            "sexes": _counts(r.sex for r in records),
            "findings": {name: found[name] for name in (*(f.name for f in FINDINGS), OTHER) if found[name]},
            "published_parts": dict(Counter(r.published_part for r in records if r.published_part is not None)),
            "boxes": sum(len(r.boxes) for r in records),
            "ages": len(ages),
            "median_age": float(np.median(ages)) if ages else None,
            "implausible_ages": sum(not r.age_plausible for r in records),
            "rows_without_file": self.rows_without_file,
            "files_without_row": self.files_without_row,
            "notes": list(self.notes),
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write Parquet: typed columns, findings as lists, boxes as lists of structs. Raises StorageError."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        about = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "records"}
        text = json.dumps({"version": _VERSION, **about})
        columns = {f.name: [_plain(getattr(r, f.name)) for r in self.records] for f in fields(ImageRecord)}
        table = pa.table(columns, schema=_schema().with_metadata({_METADATA: text.encode()}))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        return write_whole(path, sink.getvalue().to_pybytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The index that `save` wrote, equal in every field. Raises TableError when it is none, damaged or too new."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(os.fspath(path))
        except FileNotFoundError:
            raise TableError("no such file", where=path, mend="check the path") from None
        except (OSError, pa.ArrowException):
            raise TableError("cannot be read as Parquet", where=path, mend="write the index again") from None
        about = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
        if about.pop("version", None) not in _READ:
            raise TableError("is no index of this version", where=path, mend="make it with `cxreader data index`")
        names = [f.name for f in fields(ImageRecord) if f.name in table.column_names]
        if lacking := {f.name for f in fields(ImageRecord)}.difference(names, _LATER):
            what = f"is a damaged index: it has no column {min(lacking)!r}"
            raise TableError(what, where=path, mend="make it with `cxreader data index`")
        rows = zip(*(table.column(name).to_pylist() for name in names), strict=True)
        records = tuple(_record(dict(zip(names, row, strict=True))) for row in rows)
        lists = {name: tuple(about.get(name, ())) for name in ("notes", "sources")}
        return cls(records=records, **{**about, **lists})


def is_index(path: Path) -> bool:
    """True for a Parquet file that `Index.save` wrote."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return _METADATA in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException):
        return False


def refuse_duplicates(rows: Iterable[tuple[str, int]], where: str | os.PathLike[str]) -> None:
    """Raise TableError, naming both rows, when one image name of (image, row number) pairs stands twice."""
    first: dict[str, int] = {}
    for image, row in rows:
        if first.setdefault(image, row) != row:
            raise TableError(
                f"image {image!r} stands in row {first[image]} and again in row {row}",
                where=where,
                mend="keep one row an image",
            )


def patient_notes(records: Iterable[ImageRecord]) -> tuple[str, ...]:
    """What must be said of the patients: nothing when all are known."""
    known = [r.patient is not None for r in records]
    if all(known):
        return ()
    if not any(known):
        return (NO_PATIENTS,)
    return (format_count(known.count(False), f"of {len(known):,} images [names|name] no patient"),)


def _normalised(record: ImageRecord) -> ImageRecord:
    name = None if record.patient is None else patient_name(record.patient) or None
    return record if name == record.patient else replace(record, patient=name)


def _refuse_zero_twins(records: Iterable[ImageRecord], where: str) -> None:
    """Raise TableError when one source writes a patient with leading zeros and without: nobody knows whether it is one."""
    names: dict[str, set[str]] = {}
    for record in records:
        if record.patient is not None:
            names.setdefault(record.source, set()).add(record.patient)
    twins = sum(map(zero_twins, names.values()))
    if twins:
        words = "[patient is|patients are] written in two ways that differ by leading zeros alone, as 12 and 0012"
        raise TableError(format_count(twins, words), where=where, mend=MEND)


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    found = Counter("unknown" if v is None else v for v in values)
    return {name: found[name] for name in sorted(found, key=lambda v: (v == "unknown", v))}


def _plain(value: Any) -> Any:
    """A field as Arrow takes it."""
    if isinstance(value, tuple) and value and isinstance(value[0], Box):
        return [{f.name: getattr(box, f.name) for f in fields(Box)} for box in value]
    return list(value) if isinstance(value, tuple) else value


def _record(row: dict[str, Any]) -> ImageRecord:
    spacing = row["spacing"]
    boxes = tuple(Box(**box) for box in row["boxes"])
    return ImageRecord(
        **{**row, "findings": tuple(row["findings"]), "spacing": spacing and tuple(spacing), "boxes": boxes}
    )


def _schema() -> Any:
    import pyarrow as pa

    box = pa.struct([("finding", pa.string())] + [(name, pa.float64()) for name in ("x", "y", "width", "height")])
    types = {
        "label": pa.int8(),
        "findings": pa.list_(pa.string()),
        "follow_up": pa.int32(),
        "age": pa.float64(),
        "age_plausible": pa.bool_(),
        "width": pa.int32(),
        "height": pa.int32(),
        "spacing": pa.list_(pa.float64(), 2),
        "boxes": pa.list_(box),
    }
    return pa.schema([(f.name, types.get(f.name, pa.string())) for f in fields(ImageRecord)])

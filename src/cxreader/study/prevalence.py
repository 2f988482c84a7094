"""A split whose learning parts are thinned to another share of abnormal images; the test part stays as it is."""

from __future__ import annotations

from dataclasses import replace

from cxreader.data.index import Index
from cxreader.data.split import PARTS, Split
from cxreader.records import ABNORMAL, ImageRecord, patient_hash

_SALT = "cxreader-thinned"


def subsample_to_prevalence(split: Split, index: Index, abnormal_share: float) -> Split:
    """`split` with train, tune and calibrate cut down to `abnormal_share`, keeping all they can of the rarer kind.

    Images are left out whole patients first, in the order of a hash, so that every machine keeps the same ones.
    """
    parts = {part: split.records(index, part) for part in PARTS}
    kept = {part: records if part == "test" else _thin(records, abnormal_share) for part, records in parts.items()}
    surplus = {part: split.surplus[part] + len(parts[part]) - len(kept[part]) for part in PARTS}
    note = f"train, tune and calibrate thinned to {abnormal_share:.0%} abnormal images; test as it was"
    names = {part: tuple(sorted(record.image for record in records)) for part, records in kept.items()}
    return replace(split, parts=names, surplus=surplus, notes=(*split.notes, note))


def _thin(records: tuple[ImageRecord, ...], share: float) -> list[ImageRecord]:
    """As many as the share allows: all of one class, and of the other the first ones by hash."""
    by_class = [[r for r in records if (r.label == ABNORMAL) == abnormal] for abnormal in (False, True)]
    normal, abnormal = (sorted(found, key=_order) for found in by_class)
    if abnormal and len(abnormal) > share * len(records):
        abnormal = abnormal[: round(len(normal) * share / (1 - share))] if share < 1 else abnormal
    elif normal:
        normal = normal[: round(len(abnormal) * (1 - share) / share)] if share > 0 else normal
    return [*normal, *abnormal]


def _order(record: ImageRecord) -> tuple[str, str]:
    return patient_hash(_SALT, record.source, record.group), record.image

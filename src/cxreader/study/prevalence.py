"""A split whose learning parts are subsampled to another prevalence of abnormal images; the test part stays as it is."""

from __future__ import annotations

from dataclasses import replace

from cxreader.data.index import Index
from cxreader.data.split import PARTS, Split, patient_hash
from cxreader.records import ABNORMAL, ImageRecord

_SALT = "cxreader-thinned"


def subsample_to_prevalence(split: Split, index: Index, abnormal_share: float) -> Split:
    """`split` with train, tune and calibrate cut down to `abnormal_share` in [0, 1].

    The class of which there are too few stays whole. Of the other one, images are kept in the order of their patient's hash
    and, within a patient, of their names: every machine keeps the same ones, and what a farther share keeps of a class lies
    within what a nearer one keeps.
    """
    parts = {part: split.records(index, part) for part in PARTS}
    kept = {part: records if part == "test" else _subsample(records, abnormal_share) for part, records in parts.items()}
    surplus = {part: split.surplus[part] + len(parts[part]) - len(kept[part]) for part in PARTS}
    note = f"train, tune and calibrate thinned to {abnormal_share:.0%} abnormal images; test as it was"
    names = {part: tuple(sorted(record.image for record in records)) for part, records in kept.items()}
    return replace(split, parts=names, surplus=surplus, notes=(*split.notes, note))


def _subsample(records: tuple[ImageRecord, ...], share: float) -> list[ImageRecord]:
    ordered = sorted(records, key=lambda record: (patient_hash(_SALT, record.source, record.group), record.image))
    normal, abnormal = ([r for r in ordered if (r.label == ABNORMAL) == wanted] for wanted in (False, True))
    if abnormal and len(abnormal) > share * len(records):
        abnormal = abnormal[: round(len(normal) * share / (1 - share))] if share < 1 else abnormal
    elif normal:
        normal = normal[: round(len(abnormal) * (1 - share) / share)] if share > 0 else normal
    return [*normal, *abnormal]

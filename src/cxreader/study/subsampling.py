"""A split whose learning parts are cut down, to another prevalence or to fewer patients; the test part stays as it is."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cxreader.data.index import Index
from cxreader.data.salt import hashes, order_key
from cxreader.data.split import PARTS, Split, group_of, patient_hash
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


def cut_to_patients(split: Split, index: Index, share: float) -> Split:
    """`split` with the train part cut to a share, in (0, 1], of its patients (`share_of_patients`); other parts are whole.

    The images left out are counted as the part's surplus.
    """
    records = split.records(index, "train")
    images = share_of_patients(records, share, split.salt)
    left_out = len(records) - len(images)
    note = f"train part cut to {100 * share:g} % of its patients: {left_out:,} images left out"
    surplus = {**split.surplus, "train": split.surplus["train"] + left_out}
    return replace(split, parts={**split.parts, "train": images}, surplus=surplus, notes=(*split.notes, note))


def share_of_patients(records: Sequence[ImageRecord], share: float, salt: int) -> tuple[str, ...]:
    """The images, sorted, of a share of the patients.

    The share is taken of the patients with normal, with abnormal and with both kinds of images alike, rounded, at least
    one of each, in the order of their hash under `salt`: a smaller share lies within a larger one, on every machine.
    """
    people: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        people[group_of(record)].append(record)
    names = sorted(people)
    strata: dict[frozenset[int], list[str]] = defaultdict(list)
    for n in np.argsort(order_key(hashes(names), salt), kind="stable"):
        strata[frozenset(record.label for record in people[names[n]])].append(names[n])
    kept = [name for stratum in strata.values() for name in stratum[: max(1, math.floor(share * len(stratum) + 0.5))]]
    return tuple(sorted(record.image for name in kept for record in people[name]))


def _subsample(records: tuple[ImageRecord, ...], share: float) -> list[ImageRecord]:
    ordered = sorted(records, key=lambda record: (patient_hash(_SALT, record.source, record.group), record.image))
    normal, abnormal = ([r for r in ordered if (r.label == ABNORMAL) == wanted] for wanted in (False, True))
    if abnormal and len(abnormal) > share * len(records):
        abnormal = abnormal[: round(len(normal) * share / (1 - share))] if share < 1 else abnormal
    elif normal:
        normal = normal[: round(len(abnormal) * (1 - share) / share)] if share > 0 else normal
    return [*normal, *abnormal]

"""Folds by patient for cross-validation: each patient's fold is a hash of his own, and every fold has both classes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxreader.counting import format_count
from cxreader.data.index import NO_PATIENTS, Index
from cxreader.data.salt import assign, hashes
from cxreader.data.split import Split, make_split
from cxreader.errors import SplitError, UsageError, nearest
from cxreader.records import ABNORMAL, NORMAL, ImageRecord, group_of

SALTS = 1000
SHARE_TOLERANCE, RATE_TOLERANCE = 0.02, 0.03
"""How far a fold's share of the images, and its share of abnormal ones, may lie from the even one."""


@dataclass(frozen=True, slots=True)
class Folds:
    """`of`: the fold of each patient who is judged, 1 to `count`, by `group_of`; a function of patient, count and salt alone.

    `note` says how uneven the folds are where no salt was found that makes them even; None where one was.
    """

    count: int
    salt: int
    of: dict[str, int]
    note: str | None


def judged_records(index: Index, sources: Collection[str]) -> tuple[ImageRecord, ...]:
    """The images of these sources, named as their folders or as the source of their patients.

    Where none is named, of all that do not only teach. Raises UsageError for a name that no source has.
    """
    if not sources:
        return tuple(record for record in index.records if not index.entry_of(record).get("only_train"))
    names = [{record.source or "", _folder(index, record)} - {""} for record in index.records]
    known = set().union(*names)
    for name in sources:
        if name not in known:
            raise UsageError(f"no source is named {name!r}", where="--judge-sources", mend=nearest(name, known))
    return tuple(record for record, own in zip(index.records, names, strict=True) if not own.isdisjoint(sources))


def _folder(index: Index, record: ImageRecord) -> str:
    """The folder of a record's source, which begins its name where several were read together."""
    return record.image.partition("/")[0] if index.kind == "several" else ""


def make_folds(records: Sequence[ImageRecord], count: int) -> Folds:
    """Share the patients of `records` out to folds by a salted hash, with the first salt that makes the folds even.

    Even: every fold's share of the images within 2 points of 1 / `count`, its share of abnormal images within 3 points of
    the whole's; the nearest of 1,000 salts where none does that. A patient is a source's: the same number under the same
    source's name is one patient, in whichever folder. Raises UsageError for fewer than 2 folds, SplitError where a class
    has fewer patients than there are folds, or where no salt gives every fold both classes.
    """
    if count < 2:
        raise UsageError(f"{count} is no number of folds", where="--folds", mend="give 2 or more, such as 5")
    names, member = np.unique([group_of(record) for record in records], return_inverse=True)
    labels = np.array([record.label for record in records], np.int64)
    for label, word in ((NORMAL, "normal"), (ABNORMAL, "abnormal")):
        people = len(np.unique(member[labels == label]))
        if people < count:
            there = format_count(people, "such [patient is|patients are] there")
            what = f"{count} folds need {count} patients with {word} images: {there}"
            raise SplitError(what, mend="give fewer --folds, or more images" if people > 1 else "give more images")
    images = np.bincount(member, minlength=len(names))
    abnormal = np.bincount(member, weights=labels, minlength=len(names)).astype(np.int64)
    numbers = hashes(names.tolist())
    best, best_score = 0, np.inf
    for salt in range(SALTS):
        score = _unevenness(assign(numbers, salt, [1 / count] * count), images, abnormal, count)
        if score < best_score:
            best, best_score = salt, score
        if score <= 1:
            break
    if np.isinf(best_score):
        what = f"no salt of {SALTS:,} gives each of {count} folds both classes"
        raise SplitError(what, mend="give fewer --folds, or more images")
    fold = assign(numbers, best, [1 / count] * count) + 1
    note = None if best_score <= 1 else f"no salt of {SALTS:,} makes the folds even: the nearest was taken"
    return Folds(count, best, dict(zip(names.tolist(), fold.tolist(), strict=True)), note)


def _unevenness(fold: NDArray[np.int64], images: NDArray[np.int64], abnormal: NDArray[np.int64], count: int) -> float:
    """The largest deviation in units of its tolerance; infinite where a fold lacks a class."""
    total = np.bincount(fold, weights=images, minlength=count)
    positive = np.bincount(fold, weights=abnormal, minlength=count)
    if (positive == 0).any() or (positive == total).any():
        return float("inf")
    share = np.abs(total / total.sum() - 1 / count).max() / SHARE_TOLERANCE
    rate = np.abs(positive / total - positive.sum() / total.sum()).max() / RATE_TOLERANCE
    return float(max(share, rate))


def split_of_fold(
    index: Index, judged: Sequence[ImageRecord], folds: Folds, number: int, section: dict[str, object]
) -> Split:
    """The split whose test part is every judged image of the fold's patients, whole; nobody else's images learn with them.

    All other images of these patients, of whatever source, are left out. The rest goes to train, tune and calibrate as
    `make_split` does it, by `section`: shares (of which test plays no part), balance, abnormal_share and size.
    """
    own = {name for name, fold in folds.of.items() if fold == number}
    test = {record.image for record in judged if group_of(record) in own}
    kept = tuple(record for record in index.records if record.image in test or group_of(record) not in own)
    lists = frozenset(record.image for record in kept) - test, frozenset(test)
    made = make_split(replace(index, records=kept), kind="official", lists=lists, **section)  # type: ignore[arg-type]
    left_out = len(index.records) - len(kept)
    notes = [f"fold {number} of {folds.count}: its patients by a hash with salt {folds.salt}; the test part is whole"]
    if left_out:
        notes.append(
            format_count(left_out, "[image|images] of the fold's patients in sources that are not judged left out")
        )
    notes += [note for note in made.notes if note != NO_PATIENTS and not note.startswith("test:")]
    notes += [] if index.n_patients else [NO_PATIENTS]
    return replace(
        made,
        kind="patient",
        parts={**made.parts, "test": tuple(sorted(test))},
        surplus={**made.surplus, "test": 0},
        notes=tuple(notes),
    )

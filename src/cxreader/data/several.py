"""What is taken of sources: whose patients are old enough, and each image once; and which of them holds one class alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cxreader.counting import format_count
from cxreader.data.index import Index
from cxreader.errors import DataError
from cxreader.records import LABEL_NAMES, ImageRecord


def old_enough(index: Index, min_age: float | None) -> Index:
    """The index without images of patients known to be younger than `min_age` years; who is of unknown age stays, and is told.

    Raises DataError where nobody is left.
    """
    if min_age is None:
        return index
    known = [record.age if record.age_plausible else None for record in index.records]
    kept = tuple(r for r, age in zip(index.records, known, strict=True) if age is None or age >= min_age)
    if not kept:
        raise DataError(f"no patient is {min_age:g} years old or older", where=index.root, mend="lower min_age")
    left, untold = len(known) - len(kept), known.count(None)
    notes = [format_count(left, f"[image|images] left out: the patient is under {min_age:g} years")] if left else []
    if untold:
        notes.append(format_count(untold, "[image stays|images stay] though nobody knows the patient's age"))
    return replace(index, records=kept, notes=(*index.notes, *notes))


def each_once(sources: Sequence[Sequence[ImageRecord]]) -> tuple[tuple[ImageRecord, ...], list[str]]:
    """The records of all sources without those that an earlier one has, and a note for each pair of sources that share some."""
    first: dict[tuple[str | None, str, str], ImageRecord] = {}
    shared: dict[tuple[str, str], list[bool]] = {}
    kept = []
    for records in sources:
        own = {}
        for record in records:
            key = (record.source, record.patient or "", Path(record.image).stem)
            if record.patient is None or key not in first:
                kept.append(record)
                own[key] = record
            else:
                pair = record.image.partition("/")[0], first[key].image.partition("/")[0]
                shared.setdefault(pair, []).append(record.label != first[key].label)
        first |= {key: record for key, record in own.items() if record.patient is not None}
    notes = []
    for (later, earlier), differ in shared.items():
        note = format_count(len(differ), f"[image stands|images stand] in {earlier} too and [is|are] taken from there")
        contrary = f"; the labels of {sum(differ):,} differ, and those of {earlier} hold" if any(differ) else ""
        notes.append(f"{later}: {note}{contrary}")
    return tuple(kept), notes


def of_one_class(places: Sequence[str], opened: Sequence[Index]) -> list[str]:
    """A warning for sources that hold one class alone."""
    notes = []
    for place, index in zip(places, opened, strict=True):
        labels = set(index.labels.tolist())
        if len(labels) == 1:
            what = f"{place} holds {LABEL_NAMES[labels.pop()]} images alone"
            notes.append(
                f"warning: {what}: what else sets its images apart (preparation, view, age) can tell the label"
            )
    return notes

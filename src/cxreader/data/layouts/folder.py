"""A folder tree whose folders are the labels: `normal/` and `abnormal/`."""

from __future__ import annotations

from pathlib import Path

from cxreader.data.index import Index, patient_notes
from cxreader.errors import DataError
from cxreader.records import LABEL_NAMES, ImageRecord

SUFFIXES = (".png", ".jpg", ".jpeg")


def open_folder(root: Path, *, name: str | None = None) -> Index:
    """The index of a tree: the label is the folder `normal` or `abnormal` (any case) above an image, however deep.

    The image's name is its path below `root`. Image files under neither folder are counted as `files_without_row`. No
    patient is known. Raises DataError when no image has a label, or one stands under both.
    """
    records, without = [], 0
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        inside = path.relative_to(root)
        found = {part.lower() for part in inside.parts[:-1]} & set(LABEL_NAMES)
        if len(found) > 1:
            raise DataError("stands under both normal and abnormal", where=path, mend="move it out of one of them")
        if not found:
            without += 1
            continue
        label = LABEL_NAMES.index(found.pop())
        records.append(ImageRecord(inside.as_posix(), label, path=str(path), source=name or ""))
    if not records:
        raise DataError("no image under a folder named normal or abnormal", where=root, mend="make these two folders")
    notes = patient_notes(records)
    notes += (f"{without:,} images lie under neither normal nor abnormal",) if without else ()
    return Index(tuple(records), name=name or "", kind="folder", root=str(root), files_without_row=without, notes=notes)


def is_labelled_tree(root: Path) -> bool:
    """True when a folder named normal or abnormal (any case) stands somewhere below `root`."""
    return any(path.is_dir() and path.name.lower() in LABEL_NAMES for path in root.rglob("*"))

"""A folder tree whose folders are the labels: `normal/` and `abnormal/`."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

from cxreader.counting import count_notes
from cxreader.data.index import Index, patient_notes
from cxreader.data.layouts.headers import facts, read_headers, refuse_zero_twins
from cxreader.data.layouts.table import LATERAL
from cxreader.errors import DataError, ImageError
from cxreader.imaging.containers import SEPARATOR, is_archive, is_dicomdir, member_names, referenced
from cxreader.imaging.duplicates.copies import copies
from cxreader.imaging.files import below, is_hidden
from cxreader.imaging.vocabulary.words import is_lateral
from cxreader.imaging.walk import walk
from cxreader.records import LABEL_NAMES, LABELS, ImageRecord
from cxreader.remote import is_remote


def open_folder(root: Path | str, *, name: str | None = None) -> Index:
    """The index of a tree: the label is the folder `normal` or `abnormal` (any case) above an image, however deep.

    `root`: a folder, a zip archive, a DICOMDIR, or the address of a folder in a store. Images are known by their content and
    found as `imaging.walk` says, in zip archives too, which count as folders of their name (`normal.zip`). An image's name is
    its path below `root`, in NFC. Of DICOM files patient, sex, age and view come from the header. Images under neither folder
    are counted as `files_without_row`. Files of the same bytes are counted once; those that stand under both labels are left
    out. What is no image, is hidden or cannot be opened is counted in `notes`.
    Raises DataError when no image has a label, or one stands under both folders.
    """
    found = walk(root)
    labels: dict[str, int] = {}
    images: dict[str, str] = {}
    without = unnamed = 0
    for met in found.images:
        inside = normalize("NFC", inside_of(met.name, root))
        label = _label(inside, met.name)
        if label is None:
            without += 1
        elif not _is_text(inside):
            unnamed += 1
        else:
            labels[met.name], images[met.name] = label, inside
    headers = read_headers([met.name for met in found.images if met.kind == "DICOM" and met.name in labels])
    repeated, contradicted = _repeated(labels)
    kept = [path for path in labels if path not in repeated and path not in contradicted]
    refuse_zero_twins((headers.get(path) for path in kept), root)
    every = [
        replace(ImageRecord(images[path], labels[path], path=path, source=name or ""), **facts(headers.get(path)))
        for path in kept
    ]
    records = tuple(record for record in every if not is_lateral(record.view or ""))
    left = {
        "[image lies|images lie] under neither normal nor abnormal": without,
        "[image is a copy of another|images are copies of others] here: each is counted once": len(repeated),
        "[image stands|images stand] under both normal and abnormal, as copies: left out": len(contradicted),
        LATERAL: len(every) - len(records),
        "[image has|images have] a name that is no UTF-8 text: left out": unnamed,
    }
    notes = count_notes(left) + found.passed_over.notes()
    if not records:
        seen = f" ({'; '.join(notes)})" if notes else ""
        what = f"no image under a folder named normal or abnormal{seen}"
        raise DataError(what, where=root, mend="make these two folders, or give a table of labels (--tables)")
    return Index(
        records,
        name=name or "",
        kind="folder",
        root=str(root),
        rows_without_file=0,
        files_without_row=without,
        notes=patient_notes(records) + notes,
    )


def is_labelled_tree(root: Path) -> bool:
    """True when a file lies under a folder named normal or abnormal (any case) below `root`, or in an archive there."""
    if is_dicomdir(root):
        return any(_labels(inside_of(name, root)) for name in _referenced(root))
    if not root.is_dir():
        return is_archive(root) and any(map(_labels, _members(root)))
    for path in below(root).files:
        inside = inside_of(str(path), root)
        if _labels(inside):
            return True
        members = _members(path) if path.suffix.lower() == ".zip" and is_archive(path) else ()
        if any(_labels(f"{inside}{SEPARATOR}{member}") for member in members):
            return True
    return False


def inside_of(name: str, root: Path | str) -> str:
    """The name that a walk of `root` gave, as it stands below the root: a folder, an archive or a DICOMDIR."""
    if is_remote(root):
        return name.removeprefix(str(root)).lstrip("/")
    root = Path(root)
    top = f"{root}{SEPARATOR}" if name.startswith(f"{root}{SEPARATOR}") else f"{root if root.is_dir() else root.parent}"
    return name.removeprefix(top).lstrip(os.sep).replace(os.sep, "/")


def _labels(inside: str) -> set[str]:
    """The labels among the folders of a path, an archive being a folder of its name."""
    folders = (part.removesuffix("!").removesuffix(".zip").strip() for part in inside.lower().split("/")[:-1])
    return {str(label) for label in LABEL_NAMES}.intersection(folders)


def _label(inside: str, name: str) -> int | None:
    found = _labels(inside)
    if len(found) > 1:
        raise DataError("stands under both normal and abnormal", where=name, mend="move it out of one of them")
    return LABELS[found.pop()] if found else None


def _repeated(labels: dict[str, int]) -> tuple[set[str], set[str]]:
    """Of files with the same bytes, those to leave out: all but the one nearest to the root, or all where their labels differ."""
    groups: dict[str, list[str]] = defaultdict(list)
    for copy, first in copies(sorted(labels, key=lambda name: name.count("/"))).items():
        groups[first].append(copy)
    repeated, contradicted = set[str](), set[str]()
    for first, others in groups.items():
        if all(labels[other] == labels[first] for other in others):
            repeated.update(others)
        else:
            contradicted.update([first, *others])
    return repeated, contradicted


def _members(archive: Path) -> list[str]:
    try:
        return [name for name in member_names(archive) if not any(map(is_hidden, name.split("/")))]
    except ImageError:
        return []


def _referenced(dicomdir: Path) -> list[str]:
    try:
        return referenced(dicomdir)
    except ImageError:
        return []


def _is_text(name: str) -> bool:
    """False for a name with bytes that are no UTF-8: it can be written into no table."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

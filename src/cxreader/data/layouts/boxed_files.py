"""Boxes of single files, from a table of boxes that a data set brings."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from cxreader.counting import count_notes
from cxreader.data.layouts.boxes import UNOPENED, by_image, original_size
from cxreader.data.layouts.dicom import UID
from cxreader.data.layouts.files import by_name, picture_size
from cxreader.data.layouts.framed_boxes import Size, place_boxes, read_framed
from cxreader.data.layouts.meant_images import meant_images
from cxreader.data.layouts.table import ALIASES
from cxreader.records import Box
from cxreader.tables import read_table

_LABELS = "labels.csv"
_OTHERS = 200
"""Further images by which it is judged whether a whole table is in another frame."""


def boxes_of_files(place: Path, files: Sequence[str]) -> tuple[dict[str, tuple[Box, ...]], tuple[str, ...]]:
    """By file, its boxes in pixels of it, from the table of boxes at `place`, and what must be said.

    Columns, rows that are left out and errors as `boxes.with_boxes`, or the columns of the NIH release's list. A file of the
    table's folder goes by its path from there, another one by its name alone (`meant_images`). The images' names and the size of
    the originals come from a `labels.csv` beside the table; without one the files are the images. A finding that is none of the
    fourteen stays as it is written, and is empty where none is named. A file without a box is left out.
    """
    framed, left = read_framed(place, (*ALIASES["image"], UID))
    originals = _originals(place.parent / _LABELS)
    names = {file: _name(file, place.parent) for file in files}
    known = originals or dict.fromkeys(names.values())
    meant, several = meant_images(framed, known)
    boxes = by_image(framed, meant, several, left)
    images, unclear = meant_images(dict.fromkeys(names.values()), [*known, *boxes])
    found: dict[str, tuple[Box, ...]] = {}
    told: Counter[str] = Counter()
    for file, name in names.items():
        image = images.get(name, "")
        if name in unclear or image not in boxes:
            told["[file|files] may be any of several images: no box is drawn"] += name in unclear
            told[f"[file has|files have] no box in {place.name}"] += name not in unclear
            continue
        sides = picture_size(file)
        told[UNOPENED] += sides is None
        placed = () if sides is None else place_boxes(boxes[image], originals.get(image), sides, left)
        if placed:
            found[file] = tuple(replace(one.box, finding=one.written) for one in placed)
    if left.beyond:  # the row alone, or the whole table: the other pictures beside it tell
        seen = set(images.values())
        for image in islice((image for image in boxes if image not in seen), _OTHERS):
            if (sides := picture_size(str(place.parent / image))) is not None:
                place_boxes(boxes[image], originals.get(image), sides, left)
    return {} if left.in_another_frame else found, (*left.notes(place.name), *count_notes(told))


def _name(file: str, folder: Path) -> str:
    path = os.path.relpath(file, folder)
    return by_name(path) if Path(path).parts[:1] == (os.pardir,) else path


def _originals(labels: Path) -> dict[str, Size | None]:
    """By image of the table beside the boxes the size of its original, None where it is not told."""
    if not labels.is_file():
        return {}
    table = read_table(labels).aliased({"image": (*ALIASES["image"], UID)})
    table.require("image")
    return {cells["image"]: original_size(cells, table.at(row)) for row, cells in table}

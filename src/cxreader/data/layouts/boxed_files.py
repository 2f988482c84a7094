"""Boxes of single files, from a table of boxes that a data set brings."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from cxreader.counting import count_notes
from cxreader.data.layouts.boxes import FRAME, Framed, in_file, is_inside, original_size, read_framed
from cxreader.data.layouts.files import picture_size
from cxreader.data.layouts.sets.nih import BOX_FRAME, read_boxes
from cxreader.data.layouts.table import ALIASES
from cxreader.records import Box
from cxreader.tables import read_table

_LABELS, _NIH = "labels.csv", "finding label"
_BEYOND = (
    f"[file has|files have] a box beyond [its|their] picture, none is drawn: tell its frame by {' and '.join(FRAME)}"
)


def boxes_of_files(place: Path, files: Sequence[str]) -> tuple[dict[str, tuple[Box, ...]], tuple[str, ...]]:
    """By file, its boxes in pixels of it, from the table of boxes at `place`, and what must be said.

    Columns as `boxes.with_boxes`, or those of the NIH release's list (`nih.read_boxes`). The table names a file by its path
    from the table's folder, or by its name alone. The size of the originals comes from a `labels.csv` beside it. A file
    without a box is left out, and so is one that has a box beyond its picture, which was drawn in another frame. Raises
    TableError as `with_boxes`.
    """
    framed, originals = _framed(place), _originals(place.parent / _LABELS)
    names = _by_file_name(framed)
    found: dict[str, tuple[Box, ...]] = {}
    told: Counter[str] = Counter()
    for file in files:
        path = os.path.relpath(file, place.parent)
        name = path if path in framed else names.get(os.path.basename(path), "")  # noqa: PTH119 (a name, no path)
        sides = picture_size(file) if name else None
        if sides is None:
            continue
        boxes = in_file(framed[name], originals.get(name), sides)
        if all(is_inside(box, sides) for box in boxes):
            found[file] = boxes
        else:
            told[_BEYOND] += 1
    told[f"[file has|files have] no box in {place.name}"] = len(files) - len(found) - sum(told.values())
    return found, count_notes(told)


def _framed(place: Path) -> dict[str, tuple[Framed, ...]]:
    if _NIH not in read_table(place):
        return read_framed(place, ALIASES["image"])
    frame = (float(BOX_FRAME), float(BOX_FRAME))
    return {image: tuple((box, frame) for box in boxes) for image, boxes in read_boxes(place).items()}


def _by_file_name(names: Iterable[str]) -> dict[str, str]:
    """Names in a table by the file's name alone, where that is one image's."""
    several = Counter(map(os.path.basename, names))
    return {os.path.basename(name): name for name in names if several[os.path.basename(name)] == 1}  # noqa: PTH119


def _originals(labels: Path) -> dict[str, tuple[float, float] | None]:
    if not labels.is_file():
        return {}
    table = read_table(labels).aliased(ALIASES)
    table.require("image")
    return {os.path.normpath(cells["image"]): original_size(cells, table.at(row)) for row, cells in table}

"""Boxes around findings beside a table of one's own: `boxes.csv`, a row a box."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cxreader.counting import count_notes, format_count
from cxreader.data.layouts.files import picture_size
from cxreader.errors import TableError
from cxreader.findings import OTHER, read_findings, value_or_missing
from cxreader.records import Box, ImageRecord
from cxreader.tables import parse_number, read_table

BOXES = "boxes.csv"
SIDES = ("x", "y", "width", "height")
FRAME = ("frame_width", "frame_height")
ORIGINAL = ("original_width", "original_height")
"""Columns of the table of the images: the size of the pictures that its files were made from."""
_ROUNDING = 1.0
"""Pixels by which a box may reach beyond its picture."""
Framed = tuple[Box, tuple[float, float] | None]
"""A box and the width and height of the picture in which it was drawn, None for that of the file."""


def with_boxes(
    records: Sequence[ImageRecord],
    folder: Path,
    image: Sequence[str],
    originals: Mapping[str, tuple[float, float] | None] | None = None,
) -> tuple[tuple[ImageRecord, ...], tuple[str, ...]]:
    """The records with the boxes that `boxes.csv` in `folder` holds of them, in pixels of their files, and what must be said.

    Columns: `image` (as the table of the images names it; `image` are that column's other names), `finding`, `x, y` of the upper
    left corner, `width, height`. Where the files are copies of another size the boxes are in pixels of a picture of
    `frame_width, frame_height` (columns), else of the width and height in `originals`, by image, as the table of the images
    tells them (`original_size`); without either in pixels of the file. A finding that is none of the fourteen is kept as
    `findings.OTHER`. Where a box reaches beyond its picture the frame must be another: none is taken then, and a note says
    so. Raises TableError, with its row, for a missing column, and for a box or a frame that is not told in numbers above 0.
    """
    place = folder / BOXES
    if not place.is_file():
        return tuple(records), ()
    found = read_framed(place, image)
    placed: list[ImageRecord] = []
    told: Counter[str] = Counter()
    for record in records:
        framed = found.pop(os.path.normpath(record.image), ())
        sides = picture_size(record.path) if framed and record.path else None
        if framed and sides is None:
            told["boxed [image|images] could not be opened: [its|their] boxes are left out"] += 1
        original = (originals or {}).get(record.image)
        boxes = () if sides is None else in_file(framed, original, sides)
        told["outside"] += sum(not is_inside(box, sides) for box in boxes if sides is not None)
        placed.append(replace(record, boxes=boxes))
    told[f"[row|rows] of {BOXES} [names|name] no image of the table"] = sum(map(len, found.values()))
    if outside := told.pop("outside", 0):
        beyond = format_count(outside, f"[box|boxes] of {BOXES} [reaches|reach] beyond [its|their] picture")
        mend = f"none is taken; tell the size of the pictures they were drawn in by the columns {' and '.join(FRAME)}"
        mend += f", or by {' and '.join(ORIGINAL)} in the table of the images"
        return tuple(records), (f"{beyond}: {mend}",)
    return tuple(placed), count_notes(told)


def original_size(cells: Mapping[str, str], where: str) -> tuple[float, float] | None:
    """`original_width, original_height` of an image's row, None where a table has no such columns or leaves both empty.

    Raises TableError, at `where`, for a size that is no number above 0.
    """
    texts = [value_or_missing(cells.get(name, "")) for name in ORIGINAL]
    if not any(texts):
        return None
    width, height = (parse_number(text) or 0.0 for text in texts)
    if min(width, height) <= 0:
        what = f"the size of the original picture, {texts[0]!r} x {texts[1]!r}, is no number above 0"
        raise TableError(what, where=where, mend=f"correct {' and '.join(ORIGINAL)}, or leave both empty")
    return width, height


def read_framed(place: Path, image: Sequence[str]) -> dict[str, tuple[Framed, ...]]:
    """The boxes of a table, by the image's name there as a normalised path. Columns and errors as `with_boxes`."""
    table = read_table(place).aliased(
        {"image": image, "width": ("w",), "height": ("h",), "finding": ("label", "class")}
    )
    table.require("image", "finding", *SIDES)
    framed = all(name in table for name in FRAME)
    if not framed and any(name in table for name in FRAME):
        table.require(*FRAME)
    found: dict[str, tuple[Framed, ...]] = defaultdict(tuple)
    for row, cells in table:
        x, y, width, height = _numbers(cells, SIDES, table.at(row))
        frame = _numbers(cells, FRAME, table.at(row)) if framed else []
        if min(width, height, *frame) <= 0:
            raise TableError("a side of the box or its frame is not above 0", where=table.at(row), mend="correct it")
        known, _ = read_findings(cells["finding"])
        box = Box(known[0] if known else OTHER, x, y, width, height)
        found[os.path.normpath(cells["image"])] += ((box, (frame[0], frame[1]) if framed else None),)
    return found


def _numbers(cells: Mapping[str, str], names: Sequence[str], where: str) -> list[float]:
    numbers = [parse_number(cells[name]) for name in names]
    missing = next((name for name, number in zip(names, numbers, strict=True) if number is None), None)
    if missing is not None:
        raise TableError(f"the {missing} of a box is no number", where=where, mend="correct it")
    return [number for number in numbers if number is not None]


def in_file(framed: Sequence[Framed], original: tuple[float, float] | None, sides: tuple[int, int]) -> tuple[Box, ...]:
    """Boxes in pixels of a file with these `sides`: out of their own frame, else that of the `original`, else as they are."""
    frames = [(box, frame or original or sides) for box, frame in framed]
    return tuple(box.scaled(sides[0] / width, sides[1] / height) for box, (width, height) in frames)


def is_inside(box: Box, sides: tuple[int, int]) -> bool:
    """Whether a box lies in a picture with these `sides`, but for rounding."""
    right, lower = box.x + box.width, box.y + box.height
    beyond = max(-box.x, -box.y, right - sides[0], lower - sides[1])
    return beyond <= _ROUNDING

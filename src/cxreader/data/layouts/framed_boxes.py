"""Rows of a table of boxes: each box in the frame in which it was drawn, and where it lies in a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cxreader.counting import format_count
from cxreader.findings import OTHER, read_findings, value_or_missing
from cxreader.records import Box
from cxreader.tables import parse_number, read_table

SIDES = ("x", "y", "width", "height")
FRAME = ("frame_width", "frame_height")
ORIGINAL = ("original_width", "original_height")
"""Columns of the table of the images: the size of the pictures that its files were made from."""
Size = tuple[float, float]
"""Width and height."""
_ROUNDING = 1.0
"""Pixels, of the frame or of the file, by which a box may reach beyond its picture: that much is cut off."""
NIH_FRAME = 1024.0
"""Boxes of the NIH release's list are in pixels of its 1024 x 1024 images."""
_NIH = "bbox [x"
"""A column that this list alone has."""
_NAMED = 3
"""Rows that a note names."""
_FRAMES = f"by the columns {' and '.join(FRAME)}, or by {' and '.join(ORIGINAL)} in the table of the images"


@dataclass(frozen=True, slots=True)
class FramedBox:
    """A box of a row, in pixels of a picture of the size `frame`, None for that of the file.

    `written`: the findings for people, those that are none of the fourteen as the table has them; empty where none is named.
    """

    row: int
    box: Box
    written: str
    frame: Size | None


@dataclass(slots=True)
class LeftOut:
    """Rows of a table of boxes that have no place in their picture, by the `reasons`, and how those with a frame fared.

    `beyond` end right of or below their picture, as boxes do that were drawn in a larger one; `placed` lie in theirs.
    """

    reasons: dict[int, str] = field(default_factory=dict)
    beyond: set[int] = field(default_factory=set)
    placed: set[int] = field(default_factory=set)

    @property
    def in_another_frame(self) -> bool:
        """Whether no box can be believed: half of them or more reach beyond, so the others lie in a wrong place too."""
        return bool(self.beyond) and len(self.beyond) >= len(self.placed)

    def notes(self, table: str) -> tuple[str, ...]:
        """What must be said, for people: the first rows with their reasons, and what mends them."""
        if not self.in_another_frame:
            mend = f"; a box that ends beyond its picture may be of a larger one: tell its size {_FRAMES}"
            return self._listed(table, "[row is|rows are] left out", set(self.reasons), mend if self.beyond else "")
        words = f"of {len(self.beyond | self.placed):,} boxes [reaches|reach] beyond [its|their] picture: none is taken"
        mend = f"; tell the size of the pictures they were drawn in {_FRAMES}"
        others = set(self.reasons) - self.beyond
        return (
            *self._listed(table, words, self.beyond, mend),
            *self._listed(table, "[row is|rows are] left out besides", others, ""),
        )

    def _listed(self, table: str, words: str, rows: set[int], mend: str) -> tuple[str, ...]:
        if not rows:
            return ()
        told = "; ".join(f"row {row}: {self.reasons[row]}" for row in sorted(rows)[:_NAMED])
        more = f"; and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
        return (f"{table}: {format_count(len(rows), words)} ({told}{more}){mend}",)


def read_framed(place: Path, image: Sequence[str]) -> tuple[dict[str, tuple[FramedBox, ...]], LeftOut]:
    """The boxes of a table by the image's name there, and the rows that tell none.

    Columns as `boxes.with_boxes`, or those of the NIH release's list, in its own frame; `image` are that column's other names.
    Raises TableError for a missing column.
    """
    read = read_table(place)
    frame = (NIH_FRAME, NIH_FRAME) if _NIH in read else None
    table = read.aliased(
        {
            "image": image,
            "x": (_NIH,),
            "width": ("w",),
            "height": ("h", "h]"),
            "finding": ("label", "class", "finding label"),
        }
    )
    table.require("image", "finding", *SIDES)
    framed = FRAME if any(name in table for name in FRAME) else ()
    table.require(*framed)
    found: dict[str, tuple[FramedBox, ...]] = defaultdict(tuple)
    left = LeftOut()
    for row, cells in table:
        if fault := _fault(cells, framed):
            left.reasons[row] = fault
            continue
        x, y, width, height, *told = (parse_number(cells[name]) or 0.0 for name in (*SIDES, *framed))
        known, others = read_findings(cells["finding"])
        box = Box(known[0] if known else OTHER, x, y, width, height)
        written = ", ".join((*known, *others)) or value_or_missing(cells["finding"])
        found[cells["image"]] += (FramedBox(row, box, written, (told[0], told[1]) if told else frame),)
    return dict(found), left


def place_boxes(
    framed: Sequence[FramedBox], original: Size | None, sides: Size, left: LeftOut
) -> tuple[FramedBox, ...]:
    """Boxes in pixels of a file with these `sides`: out of their own frame, else that of the `original`, else as they are.

    What reaches a pixel beyond the picture is cut there; boxes that reach further are told to `left`.
    """
    found = []
    for one in framed:
        frame, box = one.frame or original or sides, one.box
        across = _clipped(box.x, box.width, frame[0], sides[0])
        down = _clipped(box.y, box.height, frame[1], sides[1])
        if across is None or down is None:
            left.reasons[one.row], is_beyond = _outside(box, frame, is_across=across is None)
            left.beyond |= {one.row} if is_beyond else set()
            continue
        left.placed.add(one.row)
        inside = Box(box.finding, across[0], down[0], across[1], down[1])
        inside = inside.scaled(sides[0] / frame[0], sides[1] / frame[1])
        found.append(FramedBox(one.row, inside, one.written, sides))
    return tuple(found)


def _fault(cells: Mapping[str, str], framed: Sequence[str]) -> str | None:
    """Why a row tells no box, whatever its picture."""
    if not cells["image"]:
        return "names no image"
    for name in (*SIDES, *framed):
        number = parse_number(cells[name])
        if number is None:
            return f"{name} is no number"
        if number <= 0 and name not in ("x", "y"):
            return f"{name} is {number:g}, not above 0"
    return None


def _clipped(start: float, length: float, whole: float, pixels: float) -> tuple[float, float] | None:
    """Start and length within a frame that is `whole` long, in a file of so many `pixels`; None for what lies beyond."""
    rounding = _ROUNDING * max(1.0, whole / pixels)
    begin, end = max(start, 0.0), min(start + length, whole)
    if begin - start > rounding or start + length - end > rounding or end <= begin:
        return None
    return (start, length) if (begin, end) == (start, start + length) else (begin, end - begin)


def _outside(box: Box, frame: Size, *, is_across: bool) -> tuple[str, bool]:
    """Why a box is none of its picture, and whether it ends beyond it, as one of a larger picture does."""
    name, start, length, side, words, whole = (
        ("x", box.x, box.width, "width", ("left of", "wide"), frame[0])
        if is_across
        else ("y", box.y, box.height, "height", ("above", "high"), frame[1])
    )
    if start < 0 and start + length <= whole + _ROUNDING:
        return f"{name} is {start:g}, {words[0]} the picture", False
    return f"{name} + {side} is {start + length:g}, the picture is {whole:g} {words[1]}", True

"""Boxes around findings beside a table of one's own: `boxes.csv`, a row a box."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cxreader.counting import count_notes, format_count
from cxreader.data.layouts.files import picture_size
from cxreader.data.layouts.framed_boxes import ORIGINAL, FramedBox, LeftOut, Size, place_boxes, read_framed
from cxreader.data.layouts.meant_images import meant_images
from cxreader.errors import TableError
from cxreader.findings import value_or_missing
from cxreader.records import ImageRecord
from cxreader.tables import parse_number

BOXES = "boxes.csv"
UNOPENED = "boxed [image|images] could not be opened: [its|their] boxes are left out"
"""Words of a count (`counting.format_count`)."""
_SEVERAL = "may mean several images: write the path as the table of the images has it"


def with_boxes(
    records: Sequence[ImageRecord],
    folder: Path,
    image: Sequence[str],
    originals: Mapping[str, Size | None] | None = None,
    others: Iterable[str] = (),
) -> tuple[tuple[ImageRecord, ...], tuple[str, ...]]:
    """The records with the boxes that `boxes.csv` in `folder` holds of them, in pixels of their files, and what must be said.

    Columns: `image` (as `meant_images` finds it among the images of the records and the `others` that their table names;
    `image` are that column's other names), `finding`, `x, y` of the upper left corner, `width, height`. Where the files are
    copies of another size the boxes are in pixels of a picture of `frame_width, frame_height` (columns), else of the width and
    height in `originals`, by image, as the table of the images tells them (`original_size`); without either in pixels of the
    file. A finding that is none of the fourteen is kept as `findings.OTHER`.
    A row that tells no box, or one that reaches more than a pixel beyond its picture, is left out and named; where half of the
    boxes end beyond their picture the frame must be another: none is taken then. Raises TableError for a missing column.
    """
    place = folder / BOXES
    if not place.is_file():
        return tuple(records), ()
    framed, left = read_framed(place, image)
    own = [record.image for record in records]
    meant, several = meant_images(framed, [*own, *others])
    found = by_image(framed, meant, several, left)
    placed: list[ImageRecord] = []
    told: Counter[str] = Counter()
    for record in records:
        boxes = found.pop(record.image, ())
        sides = picture_size(record.path) if boxes and record.path else None
        told[UNOPENED] += bool(boxes) and sides is None
        boxes = () if sides is None else place_boxes(boxes, (originals or {}).get(record.image), sides, left)
        placed.append(replace(record, boxes=tuple(one.box for one in boxes)))
    known = set(meant.values())
    unknown = [one.row for name, boxes in found.items() if name not in known for one in boxes]
    told[f"[row|rows] of {BOXES} [is|are] of images that are left out"] = sum(map(len, found.values())) - len(unknown)
    first = f": row {min(unknown)}{' first' if len(unknown) > 1 else ''}" if unknown else ""
    nameless = format_count(len(unknown), f"[row|rows] of {BOXES} [names|name] no image of the table")
    notes = (*left.notes(BOXES), *count_notes(told), *((f"{nameless}{first}",) if unknown else ()))
    return tuple(records) if left.in_another_frame else tuple(placed), notes


def by_image(
    framed: Mapping[str, Sequence[FramedBox]], meant: Mapping[str, str], several: frozenset[str], left: LeftOut
) -> dict[str, tuple[FramedBox, ...]]:
    """The boxes by the image that is `meant`, else by the name in their table; those whose name means `several` are left out."""
    found: dict[str, tuple[FramedBox, ...]] = defaultdict(tuple)
    for name, boxes in framed.items():
        if name in several:
            left.reasons |= dict.fromkeys((one.row for one in boxes), _SEVERAL)
        else:
            found[meant.get(name, name)] += tuple(boxes)
    return dict(found)


def original_size(cells: Mapping[str, str], where: str) -> Size | None:
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

"""How a camera held the picture: the orientation tag of EXIF, and nothing else of it (CIPA DC-008, JEITA CP-3451, 4.6.4).

Other tags are not looked at, so that none of them, whatever its type or damage, can stop a picture.
"""

from __future__ import annotations

import re
import struct

ORIENTATION = 0x0112
_PREFIX = b"Exif\0\0"
_FORMATS = {1: "B", 3: "H", 4: "L", 5: "LL", 6: "b", 8: "h", 9: "l", 10: "ll", 11: "f", 12: "d"}
"""By TIFF's type (TIFF 6.0, section 2): every kind of number; text and bytes without a type are no orientation."""
_ENTRIES = 1000
"""Of a directory; cameras write some twenty."""
_XMP = re.compile(rb"tiff:Orientation(?:=[\"']|>)\s*([0-9]+)")


def orientation(exif: bytes, xmp: bytes = b"") -> tuple[int, tuple[str, ...]]:
    """The orientation, 1 (as stored) to 8, and a note when there is one that is no such number: the picture stays as stored.

    `exif`: a TIFF file, with or without EXIF's prefix. `xmp`: a packet, looked at where EXIF has no orientation (XMP part 2,
    2.4). Never raises: what is damaged before its orientation says nothing.
    """
    while exif.startswith(_PREFIX):
        exif = exif[len(_PREFIX) :]
    try:
        found = _tag(exif)
    except struct.error:
        found = None
    if found is None and (match := _XMP.search(xmp)):
        found = float(match[1][:4])
    if found is None:
        return 1, ()
    if found in range(1, 9):
        return int(found), ()
    return 1, ("an EXIF orientation that is none of 1 to 8: shown as stored",)


def _tag(tiff: bytes) -> float | None:
    """The value of the tag in the first directory; NaN for one that is no number, None without it."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    (at,) = struct.unpack_from(f"{order}L", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    for n in range(min(count, _ENTRIES)):
        entry = at + 2 + 12 * n
        tag, kind, values = struct.unpack_from(f"{order}HHL", tiff, entry)
        if tag == ORIENTATION:
            return _number(tiff, entry + 8, order + _FORMATS[kind], values) if kind in _FORMATS else float("nan")
    return None


def _number(tiff: bytes, place: int, form: str, values: int) -> float:
    """The first value: in the entry's last four bytes, or, when it has more, where these point to."""
    if struct.calcsize(form) * max(values, 1) > 4:
        (place,) = struct.unpack_from(f"{form[0]}L", tiff, place)
    try:
        first, *below = struct.unpack_from(form, tiff, place)
    except struct.error:  # it points behind the end
        return float("nan")
    return float(first) / (below[0] or float("nan")) if below else float(first)

"""JPEG Lossless, checked and written anew for GDCM, which ends the whole process at a header it does not expect.

Kept are the Huffman tables, the frame, the restart interval and the scans (ITU-T T.81 B.2, H.1). Comments, application data and
quantisation tables are dropped. Damage in the compressed values themselves is GDCM's to meet; it does so without harm.
"""

from __future__ import annotations

import re
import struct

from cxreader.errors import ImageError
from cxreader.imaging.files import COPY_AGAIN
from cxreader.imaging.refusing import PERHAPS

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_FRAME, _TABLES, _SCAN, _RESTART, _END = 0xC3, 0xC4, 0xDA, 0xDD, 0xD9
_SEGMENTS, _FILL = 1000, 64
"""Marker segments of a picture, and bytes of fill before a marker: an ordinary picture has some ten, and none."""
_DROPPED = frozenset((0xDB, 0xFE, *range(0xE0, 0xF0)))
"""Quantisation tables, which a lossless picture has no use for; comments; application data."""
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
"""A marker among compressed values: not a stuffed byte, not a restart."""


def rewritten(data: bytes, label: str) -> bytes:
    """The same picture, of the marker segments that it needs alone, each of them checked. Raises ImageError.

    `data`: a JPEG interchange format of process 14 (T.81 annex H); the compressed values are copied as they are.
    """
    try:
        return b"".join(_segments(data))
    except (_CutShortError, struct.error, IndexError) as error:
        what = f"damaged JPEG Lossless picture ({error})"
        raise ImageError(what, where=label, mend=COPY_AGAIN) from None
    except ValueError as error:
        what = f"this JPEG Lossless picture is damaged, or of a kind that is not read ({error})"
        raise ImageError(what, where=label, mend=PERHAPS) from None


class _CutShortError(ValueError):
    """Bytes are missing."""


def _segments(data: bytes) -> list[bytes]:
    if not data.startswith(_SOI):
        raise _CutShortError("no start")
    kept, at = [_SOI], 2
    components: dict[int, int] = {}
    tables: set[int] = set()
    scanned: set[int] = set()
    for _ in range(_SEGMENTS):
        at, marker = _next(data, at)
        if marker == _END:
            break
        (length,) = struct.unpack_from(">H", data, at)
        body, at = data[at + 2 : at + length], at + length
        if len(body) != length - 2:  # so for a length below 2 too
            raise _CutShortError("cut short")
        whole = struct.pack(">BBH", 0xFF, marker, length) + body
        if marker == _FRAME and not components:
            components = _frame(body)
        elif marker == _TABLES:
            tables |= _tables(body)
        elif marker == _SCAN:
            scanned |= _scan(body, components, tables, scanned)
            whole = whole[:-2] + bytes(
                (0, body[-1] & 15)
            )  # as they must be (T.81 table B.3), whatever a writer put there
            found = _MARKER.search(data, at)
            if found is None:
                raise _CutShortError("no end")
            whole, at = whole + data[at : found.start()], found.start()
        elif marker != _RESTART or length != 4:
            if marker not in _DROPPED:
                raise ValueError(f"marker {marker:#04x} where none belongs")
            continue
        kept.append(whole)
    else:
        raise ValueError("too many parts")
    if not components or scanned != set(components):
        raise _CutShortError("not all of it is there")
    return [*kept, _EOI]


def _next(data: bytes, at: int) -> tuple[int, int]:
    """Where a marker's segment starts, and the marker at `at`."""
    if data[at] != 0xFF:
        raise ValueError("no marker where one belongs")
    fill = len(data[at : at + _FILL]) - len(data[at : at + _FILL].lstrip(b"\xff"))
    return at + fill + 1, data[at + fill]


def _frame(body: bytes) -> dict[int, int]:
    """Sampling factors by component identifier, of a frame header (T.81 B.2.2): 1 to 3 components, all in full resolution."""
    count = body[5]
    if len(body) != 6 + 3 * count or not 1 <= count <= 3:
        raise ValueError("a frame that makes no sense")
    found = {body[6 + 3 * n]: body[7 + 3 * n] for n in range(count)}
    if len(found) != count or set(found.values()) != {0x11}:
        raise ValueError("a subsampled frame")
    return found


def _tables(body: bytes) -> set[int]:
    """Destinations (0 to 3) of the Huffman tables of a segment (T.81 B.2.4.2).

    Each is a prefix code (the lengths fulfil Kraft's inequality) for some of the 17 categories of differences, each once.
    """
    found, at = set(), 0
    while at < len(body):
        place, counts = body[at], body[at + 1 : at + 17]
        symbols = body[at + 17 : at + 17 + sum(counts)]
        room = 1
        for count in counts:
            room = 2 * room - count
            if room < 0:
                raise ValueError("a Huffman table that is no code")
        if place > 3 or not symbols or len(symbols) != sum(counts) or max(symbols) > 16:
            raise ValueError("a Huffman table that makes no sense")
        if len(set(symbols)) != len(symbols):
            raise ValueError("a Huffman table with a difference twice")
        found.add(place)
        at += 17 + len(symbols)
    return found


def _scan(body: bytes, components: dict[int, int], tables: set[int], scanned: set[int]) -> set[int]:
    """Identifiers of the components of a scan header (T.81 B.2.3): each in the frame, with a table, and not `scanned` before."""
    count = body[0]
    if not count or len(body) != 4 + 2 * count:
        raise ValueError("a scan that makes no sense")
    found = {body[1 + 2 * n] for n in range(count)}
    used = {body[2 + 2 * n] >> 4 for n in range(count)}
    if len(found) != count or not found <= set(components) or found & scanned or not used <= tables:
        raise ValueError("a scan of what is not there")
    if not 1 <= body[-3] <= 7:
        raise ValueError("a scan with an unknown predictor")
    return found

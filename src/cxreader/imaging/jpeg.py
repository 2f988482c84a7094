"""JPEG marker segments (ITU-T T.81 B), read before a decoder is given the file: by PNG and JPEG files, and by DICOM pixels."""

from __future__ import annotations

import struct

from cxreader.errors import ImageError
from cxreader.imaging.files import COPY_AGAIN
from cxreader.imaging.limits import MAX_PARTS

MAX_SCANNED = 1_000_000_000
"""Pixels times scans of a progressive JPEG: some ten scans are usual."""
_FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers: T.81 table B.1, and T.87 C.1.1 (JPEG-LS)."""


def frame_header(data: bytes, label: str) -> tuple[int, int, int, int, int]:
    """Marker's second byte, precision in bits, height, width in pixels and components of the first frame header (T.81 B.2.2).

    Raises ImageError when there is none.
    """
    at = 2 if data[:2] == b"\xff\xd8" else len(data)
    for _ in range(MAX_PARTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD7:  # fill bytes, and markers that stand alone
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES and at + 10 <= len(data):
            return marker, *struct.unpack_from(">BHHB", data, at + 4)
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise ImageError("damaged JPEG (no frame header)", where=label, mend=COPY_AGAIN)


def refuse_many_scans(data: bytes, pixels: int, label: str) -> None:
    """Raise ImageError for a JPEG of `pixels` whose many scans each pass over all of them: a few bytes would cost minutes."""
    scans = data.count(b"\xff\xda")
    if scans > 1 and scans * pixels > MAX_SCANNED:
        raise ImageError(f"a JPEG of {scans:,} scans", where=label, mend="such a file is a bomb")

"""JPEG marker segments (ITU-T T.81 B), read before a decoder is given the file: by PNG and JPEG files, and by DICOM pixels."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from cxreader.errors import ImageError
from cxreader.imaging.files import COPY_AGAIN
from cxreader.imaging.limits import MAX_PARTS

MAX_SCANNED = 1_000_000_000
"""Pixels times scans of a progressive JPEG: some ten scans are usual."""
START_OF_SCAN, END = 0xDA, 0xD9
FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers: T.81 table B.1, and T.87 C.1.1 (JPEG-LS)."""
_COLOURS = (0xE0, 0xEE)
"""JFIF's and Adobe's application data, by which a decoder knows what the components are; the others are not needed."""
_ADOBE_RGB = b"\xff\xee\0\x0eAdobe\0\x64" + bytes(5)
"""Adobe's application data of a picture whose colours were not transformed."""
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
"""JFIF's application data: colours are luma and chroma."""
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def segments(data: bytes, label: str) -> Iterator[tuple[int, int, int]]:
    """Marker's second byte, start and end of each marker segment up to the first scan's header, which is the last one.

    Between `start` and `end` lies the segment with its marker; bytes between segments are passed over (B.1.1.2 allows fill
    bytes, and decoders any). Raises ImageError for a file that ends before its first scan.
    """
    at = 2 if data[:2] == b"\xff\xd8" else len(data)
    for _ in range(MAX_PARTS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data) or data[at + 1] == END:
            break
        marker = data[at + 1]
        if marker in (0, 1, 0xFF) or 0xD0 <= marker <= 0xD8:  # fill bytes, stuffing, and markers that stand alone
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if end < at + 4 or end > len(data):
            break
        yield marker, at, end
        if marker == START_OF_SCAN:
            return
        at = end
    raise ImageError("damaged JPEG (no frame header)", where=label, mend=COPY_AGAIN)


def frame_header(data: bytes, label: str) -> tuple[int, int, int, int, int]:
    """Marker's second byte, precision in bits, height, width in pixels and components of the first frame header (T.81 B.2.2).

    Raises ImageError when there is none.
    """
    for marker, at, end in segments(data, label):
        if marker in FRAMES and end >= at + 10:
            return marker, *struct.unpack_from(">BHHB", data, at + 4)
    raise ImageError("damaged JPEG (no frame header)", where=label, mend=COPY_AGAIN)


def without_metadata(data: bytes, label: str) -> tuple[bytes, bytes, bytes]:
    """The same picture without what is not needed to decode it; and its EXIF and XMP, empty when it has none.

    Left out are application data, but for JFIF's and Adobe's, and comments. Raises ImageError as `segments`.
    """
    kept: list[bytes | memoryview] = [data[:2]]
    exif = xmp = b""
    view, behind = memoryview(data), len(data)
    for marker, at, end in segments(data, label):
        behind = end
        if marker == 0xE1:
            body = data[at + 4 : end]
            exif += body[len(_EXIF) if exif else 0 :] if body.startswith(_EXIF) else b""
            xmp = xmp or (body[len(_XMP) :] if body.startswith(_XMP) else b"")
        if marker in _COLOURS or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(view[at:end])
    return b"".join((*kept, view[behind:])), exif, xmp


def sequential(data: bytes, label: str) -> bytes:
    """A JPEG for strict decoders: without metadata, and where it is sequential its scan headers as they must be (T.81 table B.3).

    In a sequential DCT a scan has all coefficients, 0 to 63, in one go; some writers tell others, though they mean these.
    Where nothing but the components themselves tells their colours, a marker says so (`_colours_told`).
    """
    found = bytearray(without_metadata(data, label)[0])
    found[2:2] = _colours_told(data, label)
    if frame_header(data, label)[0] not in (0xC0, 0xC1):
        return bytes(found)
    at = found.find(b"\xff\xda")
    while at >= 0 and at + 4 <= len(found):
        end = at + 2 + int.from_bytes(found[at + 2 : at + 4])
        if end <= len(found) and end == at + 8 + 2 * found[at + 4]:
            found[end - 3 : end] = b"\0\x3f\0"
        at = found.find(b"\xff\xda", at + 2)
    return bytes(found)


def _colours_told(data: bytes, label: str) -> bytes:
    """The marker that says what the components are, where there is none and their frame header leaves no doubt; else empty.

    Components that are called R, G and B are these, as libjpeg understands them; subsampled ones are luma and chroma.
    """
    for marker, at, end in segments(data, label):
        if marker in _COLOURS:
            return b""
        if marker in FRAMES:
            names, sampling = data[at + 10 : end : 3], data[at + 11 : end : 3]
            return _ADOBE_RGB if names == b"RGB" else _JFIF if len(names) == 3 and len(set(sampling)) > 1 else b""
    return b""


def refuse_many_scans(data: bytes, pixels: int, label: str) -> None:
    """Raise ImageError for a JPEG of `pixels` whose many scans each pass over all of them: a few bytes would cost minutes."""
    scans = data.count(b"\xff\xda")
    if scans > 1 and scans * pixels > MAX_SCANNED:
        raise ImageError(f"a JPEG of {scans:,} scans", where=label, mend="such a file is a bomb")

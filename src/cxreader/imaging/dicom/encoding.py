"""How a data set is encoded (PS3.5 7.1, annex A.1 to A.5), by its first bytes: what a file says of it may be wrong."""

from __future__ import annotations

import struct
import zlib

from cxreader.errors import ImageError
from cxreader.imaging.dicom.sniff import KNOWN_VR
from cxreader.imaging.limits import MAX_BYTES

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
NEXT = 8
"""Bytes of an element's start."""
_LAST_FIRST = 0x0028
"""The greatest group that a data set is taken to begin with: it holds a picture's size."""


def encoding_of(start: bytes) -> tuple[bool, bool] | None:
    """Whether VRs are implicit, and the order little endian, of the data set that starts so; None where no data set does.

    NEXT bytes are enough. The first element's group tells the order, since it is small; letters of a VR behind its tag are what
    no length of a first element is (PS3.5 7.1.2, 7.1.3).
    """
    if len(start) < NEXT:
        return None
    little = not (start[0] == 0 and start[1] != 0)
    group, _, length = struct.unpack(f"{'<' if little else '>'}HHL", start[:NEXT])
    if group > _LAST_FIRST or group % 2:
        return None
    if bytes(start[4:6]) in KNOWN_VR:
        return False, little
    return (True, little) if length <= 0xFFFF or length == 0xFFFFFFFF else None


def named(implicit: bool, little: bool, *, deflated: bool) -> str:
    """In words."""
    kind = f"{'implicit' if implicit else 'explicit'} VR {'little' if little else 'big'} endian"
    return f"deflated {kind}" if deflated else kind


def inflated(data: bytes, start: int, syntax: str, label: str) -> bytes | None:
    """The data set from `start` on, inflated (PS3.5 A.5), None when it is not deflated, whatever the file says.

    Raises ImageError for one of more than MAX_BYTES.
    """
    view = memoryview(data)[start:]
    if encoding_of(bytes(view[:NEXT])) is not None:
        return None
    try:
        if (
            syntax != DEFLATED
            and encoding_of(zlib.decompressobj(-zlib.MAX_WBITS).decompress(view[:4096], NEXT)) is None
        ):
            return None
        engine = zlib.decompressobj(-zlib.MAX_WBITS)
        found = engine.decompress(view, MAX_BYTES)
    except zlib.error:
        if syntax == DEFLATED:
            raise
        return None
    if engine.unconsumed_tail:
        what = f"the deflated data set has more than {MAX_BYTES // 2**20} MiB"
        raise ImageError(what, where=label or None, mend="such a file is a bomb or a mistake")
    return found

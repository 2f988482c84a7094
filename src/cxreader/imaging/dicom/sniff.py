"""Whether bytes are the start of a DICOM file (PS3.10 7.1), with its preamble or without."""

from __future__ import annotations

import struct

PREAMBLE = 128
"""Bytes before the prefix DICM."""
LONG_VR = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Of those whose length takes four bytes (PS3.5 7.1.2)."""
KNOWN_VR = LONG_VR | frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())


def is_dicom(data: bytes) -> bool:
    """True for the first bytes (132 or more) of a DICOM file, with or without its preamble."""
    return data[PREAMBLE : PREAMBLE + 4] == b"DICM" or _lacks_preamble(data)


def _lacks_preamble(data: bytes) -> bool:
    """True when the bytes start with the elements of a DICOM file that has no preamble.

    Two elements in a row must make sense: the first of group 2 or 8, the second behind it.
    """
    for order, explicit in (("<", True), ("<", False), (">", True)):
        try:
            first, next_at = _element(data, 0, order, explicit=explicit)
            second, _ = _element(data, next_at, order, explicit=explicit)
        except (struct.error, ValueError):
            continue
        if first >> 16 in (2, 8) and first & 0xFFFF <= 0x0070 and first < second and second >> 16 <= 0x0010:
            return True
    return False


def _element(data: bytes, at: int, order: str, *, explicit: bool) -> tuple[int, int]:
    """Tag of the element at `at`, and where the next one starts. Raises ValueError when it is none, struct.error at the end."""
    group, element = struct.unpack_from(f"{order}HH", data, at)
    if not explicit:
        (length,) = struct.unpack_from("<L", data, at + 4)
        after = at + 8 + length
    else:
        vr = bytes(data[at + 4 : at + 6])
        if vr not in KNOWN_VR:
            raise ValueError("no value representation")
        long = vr in LONG_VR
        (length,) = struct.unpack_from(f"{order}{'L' if long else 'H'}", data, at + (8 if long else 6))
        after = at + (12 if long else 8) + length
    if length > 1024:
        raise ValueError("too long for a first element")
    return group << 16 | element, after

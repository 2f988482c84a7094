"""A header with elements that no parser can pass: left out, so that the rest can be read (PS3.5 7.1).

Some writers give private elements a VR of their own, or tell their length in the form of another one. Where an element ends is
then found by what stands behind it: another element, whose tag is greater.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from cxreader.imaging.dicom.sniff import KNOWN_VR, LONG_VR

_LAST = 0x7FE00008
"""Pixels: nothing behind them is needed."""
_MOST = 20_000
"""Elements of a header that is mended."""
_UNDEFINED = 0xFFFFFFFF
_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_FAR = 2**21
"""Bytes behind an element's start in which its end is looked for."""
_SEARCHES, _JUMPS = 256, 8
"""Ends of sequences that are tried, and elements that are jumped over, in one file."""


def without_odd_elements(data: bytes, start: int, *, little: bool, wanted: Iterable[int]) -> bytes | None:
    """The same explicit data set, from `start` on, without elements that are none; None when there are none, or no end of one.

    `wanted`: tags that the walk goes on with behind an element whose end is not to be found.
    """
    walk = _Walk(data, little=little)
    kept, at, odd = [data[:start]], start, False
    targets = sorted(wanted)
    for _ in range(_MOST):
        if at + 8 > len(data) or walk.tag(at) >= _LAST:
            kept.append(data[at:])
            return b"".join(kept) if odd else None
        end, known = walk.end(at)
        if end is None:
            end, known = walk.next_of(targets, at), False
        if end is None:
            return None
        if known:
            kept.append(data[at:end])
        odd |= not known
        at = end
    return None


class _Walk:
    def __init__(self, data: bytes, *, little: bool) -> None:
        self._data, self._order = data, "<" if little else ">"
        self._searches, self._jumps = _SEARCHES, _JUMPS

    def tag(self, at: int) -> int:
        group, element = struct.unpack_from(f"{self._order}HH", self._data, at)
        return int(group << 16 | element)

    def end(self, at: int) -> tuple[int | None, bool]:
        """Where the element at `at` ends, None where no way to tell its length fits, and whether it is told as it must be."""
        vr = self._data[at + 4 : at + 6]
        proper = "long" if vr in LONG_VR else "short" if vr in KNOWN_VR else None
        for form in dict.fromkeys((proper or "short", "short", "long", "implicit")):
            for end in self._ends(at, form):
                if self._begins(end, self.tag(at)):
                    return end, form == proper
        return None, False

    def next_of(self, tags: list[int], at: int) -> int | None:
        """Where, behind `at`, the first element of one of `tags` begins that has another behind it."""
        here, found = self.tag(at), []
        self._jumps -= 1
        for tag in tags if self._jumps >= 0 else ():
            name = struct.pack(f"{self._order}HH", tag >> 16, tag & 0xFFFF)
            place = self._data.find(name, at + 1, at + _FAR) if tag > here else -1
            if place >= 0 and self._data[place + 4 : place + 6] in KNOWN_VR and self.end(place)[0] is not None:
                found.append(place)
        return min(found, default=None)

    def _ends(self, at: int, form: str) -> Iterable[int]:
        place, code, header = {"short": (6, "H", 8), "long": (8, "L", 12), "implicit": (4, "L", 8)}[form]
        if at + header > len(self._data):
            return
        (length,) = struct.unpack_from(f"{self._order}{code}", self._data, at + place)
        if length != _UNDEFINED:
            yield at + header + length
            return
        end = at
        while form == "long" and self._searches > 0:
            self._searches -= 1
            end = self._data.find(_END, end, at + _FAR) + len(_END)
            if end < len(_END):
                return
            yield end

    def _begins(self, at: int, after: int) -> bool:
        """Whether an element of a greater tag begins at `at`, or the data end there."""
        if at == len(self._data):
            return True
        if at + 8 > len(self._data):
            return False
        same_group = self.tag(at) >> 16 == after >> 16  # there may be more odd ones
        return after < self.tag(at) and (same_group or self._data[at + 4 : at + 6] in KNOWN_VR)

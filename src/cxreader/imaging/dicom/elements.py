"""Values of DICOM elements as plain numbers and texts, straight from their bytes (PS3.5 6.2).

pydicom's own conversion would warn of damaged values and quote them: here they count as missing.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom import Dataset

_SHORT = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
MAX_SEQUENCE = 2 * 2**20
"""Bytes of a sequence that is parsed: a lookup table has at most 128 KiB."""
_TEXT = 4096
"""Bytes of a text that are looked at: a header's codes and numbers are far shorter."""


class Elements:
    """The elements of one data set, by the keywords of `tags` (PS3.6).

    An element may be raw, as it was read, or converted, as in a data set that was made in memory. An element that is absent,
    empty, unreadable or of another kind than was asked for counts as missing.
    """

    __slots__ = ("_dataset", "_tags")

    def __init__(self, dataset: Dataset, tags: Mapping[str, int]) -> None:
        self._dataset = dataset
        self._tags = tags

    def __contains__(self, keyword: str) -> bool:
        return self._tags[keyword] in self._dataset

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Every value of a text (VM 1-n), stripped, empty ones too; letters outside ASCII are decoded as Latin-1."""
        value = self._value(keyword)[0]
        if isinstance(value, bytes):
            text = value[:_TEXT].decode("latin-1")
            return tuple(part.strip(" \0\t\r\n") for part in text.split("\\"))
        many = value if isinstance(value, list) or hasattr(value, "append") else [] if value is None else [value]
        return tuple(str(part)[:_TEXT].strip(" \0\t\r\n") for part in many)

    def text(self, keyword: str) -> str | None:
        """The first value of a text that is not empty; None when it is missing."""
        return next((text for text in self.texts(keyword) if text), None)

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """All numbers, of text (DS, IS) or binary; none at all when one of them is no finite number."""
        found = self._finite(keyword)
        return () if None in found else tuple(v for v in found if v is not None)

    def first_numbers(self, keyword: str) -> tuple[float, ...]:
        """The finite numbers before the first value that is not one."""
        return tuple(v for v in takewhile(lambda v: v is not None, self._finite(keyword)) if v is not None)

    def code(self, keyword: str) -> str | None:
        """The first value of a code (CS), in upper case: some devices write it in lower."""
        found = self.text(keyword)
        return None if found is None else found.upper()

    def _finite(self, keyword: str) -> list[float | None]:
        """Each value as a number, None where it is no finite one."""
        value, vr, order = self._value(keyword)
        if value is None:
            return []
        if isinstance(value, bytes):
            return [_number(v) for v in _unpacked(value, vr, order)]
        return [_number(v) for v in (value if hasattr(value, "append") else [value])]

    def number(self, keyword: str) -> float | None:
        """The first of `numbers`; None when it is missing."""
        found = self.numbers(keyword)
        return found[0] if found else None

    def integer(self, keyword: str, default: int) -> int:
        """The first of `numbers` when it is a whole one, else `default`."""
        found = self.number(keyword)
        return default if found is None or not found.is_integer() else int(found)

    def words(self, keyword: str) -> NDArray[np.uint16]:
        """A lookup table's data (OW or US) as 16-bit words (n,), in this machine's order; a copy, empty when it is missing."""
        value, _, order = self._value(keyword)
        if isinstance(value, bytes):
            return np.frombuffer(value[: len(value) // 2 * 2], f"{order}u2").astype(np.uint16)
        if value is None:
            return np.empty(0, np.uint16)
        many = value if hasattr(value, "append") else [value]
        return np.asarray(many, np.int64).astype(np.uint16)

    def octets(self, keyword: str) -> int:
        """How many bytes a value has; 2 for each of a list of words."""
        value = self._value(keyword)[0]
        return len(value) if isinstance(value, bytes) else 2 * len(value) if hasattr(value, "append") else 0

    def items(self, keyword: str, tags: Mapping[str, int], *, most: int = MAX_SEQUENCE) -> list[Elements]:
        """The items of a sequence, whose elements have the keywords of `tags`; none of a sequence of more than `most` bytes.

        pydicom parses it only now, and may raise any exception for a damaged one.
        """
        if keyword not in self or self.octets(keyword) > most:
            return []
        value = self._dataset[self._tags[keyword]].value
        return [Elements(item, tags) for item in value or () if hasattr(item, "get_item")]

    def _value(self, keyword: str) -> tuple[Any, str, str]:
        """The value (bytes where it is still raw, None when absent), its VR, and the order of its bytes, `<` or `>`."""
        element: Any = self._dataset.get_item(self._tags[keyword])
        if element is None:
            return None, "UN", "<"
        order = "<" if getattr(element, "is_little_endian", True) else ">"
        vr = str(element.VR or "UN")
        return element.value, _dictionary_vr(self._tags[keyword]) if vr == "UN" else vr, order


def _dictionary_vr(tag: int) -> str:
    """The VR of PS3.6, where the file has none: in implicit VR, or as UN."""
    from pydicom.datadict import dictionary_VR

    return str(dictionary_VR(tag))


def _unpacked(value: bytes, vr: str, order: str) -> Sequence[float | bytes]:
    """The values in raw bytes: numbers of a binary VR ("US or SS" as unsigned), of any other VR the parts between backslashes."""
    code = _SHORT.get(vr[:2])
    if code is not None:
        size = struct.calcsize(code)
        count = len(value) // size
        return struct.unpack(f"{order}{count}{code}", value[: count * size])
    text = value[:_TEXT].strip(b" \0")
    return text.split(b"\\") if text else []


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if math.isfinite(found) else None

"""From codes and the header's tables to the picture as it is stored, its values in an order that means something."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxreader.imaging.dicom.codecs import StoredPixels
from cxreader.imaging.dicom.lut import Values
from cxreader.imaging.stored import StoredPicture, Window

_TOP = 65535


def stored_picture(
    codes: StoredPixels, shown: Values, measured: tuple[Values, bool], *, inverted: bool, windows: Sequence[Window]
) -> StoredPicture:
    """The picture of `codes` (H, W), each of which is shown as `shown` and measures `measured` (`lut.modality`), both (codes,).

    Values are the codes in the order of what they measure where that is a straight line: of signed ones the lowest becomes
    0, and where the slope is negative they are turned round. Where it is a table, values are its entries.
    """
    measures, by_table = measured
    grey = np.rint(shown * 255).astype(np.uint8)
    if by_table:
        values = np.clip(np.rint(measures), 0, _TOP).astype(np.uint16)
        bits = max(1, int(values.max()).bit_length())
        table = np.zeros(1 << bits, np.uint8)
        table[values] = grey
        return StoredPicture(values[codes], bits, _filled(table, values), windows=tuple(windows), inverted=inverted)
    order = np.argsort(measures, kind="stable")
    places = np.empty(len(order), np.uint16)
    places[order] = np.arange(len(order), dtype=np.uint16)
    low, high = float(measures[order[0]]), float(measures[order[-1]])
    slope = (high - low) / max(1, len(order) - 1)
    bits = max(1, (len(order) - 1).bit_length())
    picture = codes.astype(np.uint16) if np.array_equal(places, np.arange(len(order))) else places[codes]
    return StoredPicture(picture, bits, grey[order], slope, low, tuple(windows), inverted)


def _filled(table: NDArray[np.uint8], there: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Values that no entry has are shown as the next lower one that an entry has, or as the lowest of all."""
    known = np.unique(there)
    at = np.clip(np.searchsorted(known, np.arange(len(table)), side="right") - 1, 0, None)
    return table[known[at]]

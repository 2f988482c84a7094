"""Stored values become grey: modality LUT, then VOI LUT, then inversion, all in one table (PS3.3 C.11, PS3.4 N.2).

A stored value of n bits is one of 2**n codes (as unsigned; a negative one is its two's complement). What the header asks
for is worked out once for each code, so that a picture of any size is one look into the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ImageError, UsageError
from cxreader.imaging.dicom.codecs import ImagePixelModule
from cxreader.imaging.dicom.elements import Elements

LOW, HIGH = 0.005, 0.995
"""The shares of pixels between which a picture without a window is shown; beyond them lie letters, borders, dead pixels."""

_TABLE = {"LUTDescriptor": 0x00283002, "LUTData": 0x00283006}
_FULL = 65_536
_INVERSE = ("MONOCHROME1", "INVERSE")

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lut:
    """A lookup table: what `first` and lower map to, then one entry a value, the last for all above; `top` is its full scale."""

    first: int
    entries: NDArray[np.uint16]
    top: int

    def apply(self, values: Values) -> Values:
        """The entries of values, float64 as given."""
        at = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.intp)
        return np.asarray(self.entries[at], np.float64)


def modality(elements: Elements, form: ImagePixelModule, label: str) -> tuple[Values, bool]:
    """float64 (codes,): what each code measures; and whether a table said so, and not a slope (C.11.1). Raises ImageError."""
    codes = np.arange(form.codes, dtype=np.float64)
    values = np.where(codes >= form.codes // 2, codes - form.codes, codes) if form.signed else codes
    items = elements.items("ModalityLUTSequence", _TABLE)
    if items:
        return lut(items[0], form.signed, label).apply(values), True
    slope, intercept = elements.number("RescaleSlope"), elements.number("RescaleIntercept")
    with np.errstate(all="ignore"):
        values = values * (1.0 if slope in (None, 0.0) else slope) + (intercept or 0.0)
    if not np.isfinite(values).all():
        raise ImageError("the header's slope and intercept lead beyond all numbers", where=label, mend="correct them")
    return values, False


def voi(
    elements: Elements, measured: tuple[Values, bool], *, window: int, label: str
) -> tuple[Values | None, tuple[str, ...]]:
    """float64 (codes,) in [0, 1] by the `window`-th VOI LUT or window of the header, and notes; None when none is usable.

    The tables of a VOI LUT sequence count first, then the windows (C.11.2). None without a note: the header has none. Raises
    UsageError for a negative `window`, ImageError when the header has not so many, or a table is damaged.
    """
    if window < 0:
        raise UsageError(f"window {window} is negative", mend="0 is the first")
    values, by_table = measured
    tables = elements.items("VOILUTSequence", _TABLE)
    centers, widths = elements.first_numbers("WindowCenter"), elements.first_numbers("WindowWidth")
    count = len(tables) + min(len(centers), len(widths))
    if window and window >= count:
        mend = f"choose one below {count}" if count else "leave it out: a range is taken from the picture"
        raise ImageError(f"the header has {count} windows", where=label, mend=mend)
    if window < len(tables):
        table = lut(tables[window], not by_table and bool(values.min() < 0), label)
        return np.minimum(table.apply(values) / table.top, 1.0), ()
    if not count:
        told = elements.text("WindowCenter") or elements.text("WindowWidth")
        return None, ("the header's window cannot be read",) if told else ()
    center, width = centers[window - len(tables)], widths[window - len(tables)]
    function = elements.code("VOILUTFunction") or "LINEAR"
    known = function in ("LINEAR", "LINEAR_EXACT", "SIGMOID")
    notes = () if known else ("an unknown window function in the header: taken as LINEAR",)
    if width <= 0 or (width < 1 and function != "LINEAR_EXACT" and function != "SIGMOID"):
        return None, (*notes, "the header's window has no width")
    return windowed(values, center, width, function), notes


def windowed(values: Values, center: float, width: float, function: str = "LINEAR") -> Values:
    """Values through a window, in [0, 1] (C.11.2.1.2, C.11.2.1.3)."""
    with np.errstate(all="ignore"):
        return _windowed(values, center, width, function)


def _windowed(values: Values, center: float, width: float, function: str) -> Values:
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700))))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0, 1)
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def by_percentiles(values: Values, counts: NDArray[np.int64]) -> tuple[Values, tuple[float, float]]:
    """float64 (codes,) in [0, 1] between two percentiles of a picture, and the values there.

    `counts`: (codes,) pixels of each code, padding left out. A picture of one value is black.
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(counts[order])
    total = int(below[-1])
    if not total:
        return np.zeros_like(values), (0.0, 0.0)
    low, high = (float(values[order[np.searchsorted(below, max(1.0, share * total))]]) for share in (LOW, HIGH))
    if high <= low:  # nearly all pixels are alike: show what there is
        there = values[counts > 0]
        low, high = float(there.min()), float(there.max())
    return np.clip((values - low) / ((high - low) or 1.0), 0, 1), (low, high)


def full_range(values: Values) -> Values:
    """float64 (codes,) in [0, 1] from the least to the greatest value that can be stored."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / ((high - low) or 1.0)


def inverted(elements: Elements, form: ImagePixelModule) -> bool:
    """True when the greatest value is meant black: MONOCHROME1 or a presentation LUT shape INVERSE, which say the same thing."""
    return form.photometric in _INVERSE or elements.code("PresentationLUTShape") in _INVERSE


def padding(elements: Elements, form: ImagePixelModule) -> tuple[int, int] | None:
    """The least and greatest stored value that is padding, in the picture's sign; None when the header has none (C.7.5.1.1.2)."""
    value, limit = elements.number("PixelPaddingValue"), elements.number("PixelPaddingRangeLimit")
    if value is None:
        return None
    ends = [_in_sign(int(value), form), _in_sign(int(value if limit is None else limit), form)]
    return min(ends), max(ends)


def _in_sign(value: int, form: ImagePixelModule) -> int:
    """A padding value may be written as US where SS was meant, or the other way round."""
    word = value % (1 << form.allocated)
    return word - (1 << form.allocated) if form.signed and word >> (form.allocated - 1) else word


def lut(item: Elements, signed: bool, label: str, *, names: tuple[str, str] = ("LUTDescriptor", "LUTData")) -> Lut:
    """A table of the header (C.11.1.1); `signed`: a first value told without a sign may mean a negative one.

    Entries may be packed as bytes, and the depth told wrong. Raises ImageError.
    """
    told = item.numbers(names[0])
    if len(told) < 3:
        raise ImageError("a lookup table without a description", where=label, mend="export the image again")
    length, first, bits = int(told[0]) % _FULL or _FULL, int(told[1]), int(told[2])
    entries = item.words(names[1])
    if len(entries) < length:
        if item.octets(names[1]) < length:
            raise ImageError("a lookup table that is cut short", where=label, mend="export the image again")
        entries = entries.astype("<u2").view(np.uint8).astype(np.uint16)
    entries = entries[:length]
    top = (1 << min(max(bits, 1), 16)) - 1
    highest = int(entries.max())
    if highest > top:
        top = (1 << highest.bit_length()) - 1
    return Lut(first - _FULL if signed and first >= _FULL // 2 else first, entries, top)

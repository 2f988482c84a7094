"""Stored values become grey: modality LUT, then VOI LUT, then inversion, all in one table (PS3.3 C.11, PS3.4 N.2).

A code is the unsigned number in the n stored bits of a pixel; a negative stored value is there as its two's complement. The
header's transformations are computed once for each of the 2**n codes; a picture of any size is then looked up in one table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ImageError, UsageError
from cxreader.imaging.dicom.elements import Elements
from cxreader.imaging.dicom.pixel_module import ImagePixelModule
from cxreader.imaging.formats.depth import DEPTHS
from cxreader.imaging.stored import Window

LOW, HIGH = 0.005, 0.995
"""The shares of pixels between which a picture without a window is shown; beyond them lie letters, borders, dead pixels."""

_PICTURE = 2.0**-6
"""Share of the values that can be stored over which a picture's own must spread to show anything."""
_TABLE = {"LUTDescriptor": 0x00283002, "LUTData": 0x00283006}
_FULL = 65_536
_INVERSE = ("MONOCHROME1", "INVERSE")

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_UNREAD = "a VOI LUT that cannot be read: left out"

Values = NDArray[np.float64]
"""(codes,): one value for each code a pixel can have, `ImagePixelModule.codes` of them."""


@dataclass(frozen=True, slots=True)
class Lut:
    """A lookup table (PS3.3 C.11.1.1, C.11.2.1.1).

    `first`: the input that `entries[0]` is for; lower inputs map to it too. `entries`: (n,), one for each input from `first`
    on; inputs above map to the last. `top`: the greatest number that its bits can hold, so its full scale. `notes`: where
    the entries use other bits than the table says.
    """

    first: int
    entries: NDArray[np.uint16]
    top: int
    notes: tuple[str, ...] = ()

    def apply(self, values: Values) -> Values:
        """The entry for each of `values`, rounded to the nearest input; of the same shape, 0 to `top`."""
        at = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.intp)
        return np.asarray(self.entries[at], np.float64)


def modality(elements: Elements, module: ImagePixelModule, label: str) -> tuple[Values, bool]:
    """The output of the Modality LUT for each code (C.11.1), and whether it was a table rather than slope and intercept.

    Raises ImageError for a damaged table, and for a slope and intercept that lead beyond the finite numbers.
    """
    codes = np.arange(module.codes, dtype=np.float64)
    values = np.where(codes >= module.codes // 2, codes - module.codes, codes) if module.signed else codes
    items = [item for item in elements.items("ModalityLUTSequence", _TABLE) if _has_table(item)]
    if items:
        return lut(items[0], module.signed, label).apply(values), True
    slope, intercept = elements.number("RescaleSlope"), elements.number("RescaleIntercept")
    with np.errstate(all="ignore"):
        values = values * (1.0 if slope in (None, 0.0) else slope) + (intercept or 0.0)
    if not np.isfinite(values).all():
        raise ImageError("the header's slope and intercept lead beyond all numbers", where=label, mend="correct them")
    return values, False


def voi(
    elements: Elements, measured: tuple[Values, bool], *, window: int, label: str
) -> tuple[Values | None, tuple[str, ...]]:
    """Grey in [0, 1] of each code by the `window`-th VOI LUT or window of the header (C.11.2), and notes for the reader.

    `measured` is what `modality` gave. `window` counts from 0: the tables of the VOI LUT Sequence first, then the windows. A
    table that cannot be read counts for nothing, and a note says so. Grey is None when the header has no usable window, with a
    note that says why, and without one when it has none at all. Raises UsageError for a negative `window`, ImageError when
    the header has not so many.
    """
    if window < 0:
        raise UsageError(f"window {window} is negative", mend="0 is the first")
    values, by_table = measured
    tables, notes = _tables(elements, not by_table and bool(values.min() < 0), label)
    centers, widths = elements.first_numbers("WindowCenter"), elements.first_numbers("WindowWidth")
    count = len(tables) + min(len(centers), len(widths))
    if window and window >= count:
        mend = f"choose one below {count}" if count else "leave it out: a range is taken from the picture"
        raise ImageError(f"the header has {count} windows", where=label, mend=mend)
    if window < len(tables):
        table = tables[window]
        return table.apply(values) / table.top, (*notes, *table.notes)
    if not count:
        unreadable = elements.text("WindowCenter") or elements.text("WindowWidth")
        return None, (*notes, "the header's window cannot be read") if unreadable else notes
    function = elements.code("VOILUTFunction") or "LINEAR"
    known = function in _FUNCTIONS
    notes += () if known else ("an unknown window function in the header: taken as LINEAR",)
    pairs = list(zip(centers, widths, strict=False))[window - len(tables) :]
    usable = [n for n, (_, width) in enumerate(pairs) if _has_width(width, function if known else "LINEAR")]
    if not usable or (window and usable[0]):
        return None, (*notes, "the header's window has no width")
    notes += ("the header's first window has no width: the next one that has is taken",) if usable[0] else ()
    center, width = pairs[usable[0]]
    return windowed(values, center, width, function), notes


def notes_of_slope(elements: Elements) -> tuple[str, ...]:
    """What must be said of the header's slope: 0 would make one value of all."""
    return ("the header's Rescale Slope is 0: taken as 1",) if elements.number("RescaleSlope") == 0 else ()


def windows(elements: Elements) -> tuple[Window, ...]:
    """The windows of the header that can be used, in their order; its tables are not among them."""
    function = elements.code("VOILUTFunction") or "LINEAR"
    function = function if function in _FUNCTIONS else "LINEAR"
    pairs = zip(elements.first_numbers("WindowCenter"), elements.first_numbers("WindowWidth"), strict=False)
    return tuple(Window(center, width, function) for center, width in pairs if _has_width(width, function))


def _has_width(width: float, function: str) -> bool:
    return width > 0 and (width >= 1 or function != "LINEAR")


def _tables(elements: Elements, signed: bool, label: str) -> tuple[list[Lut], tuple[str, ...]]:
    """The VOI LUTs that can be read, and a note when there are others."""
    try:
        items = elements.items("VOILUTSequence", _TABLE)
    except Exception:  # noqa: BLE001 - what pydicom raises for a damaged sequence is open-ended
        return [], (_UNREAD,)
    found = []
    for item in items:
        try:
            found.append(lut(item, signed, label))
        except ImageError:
            continue
    return found, () if len(found) == len(items) else (_UNREAD,)


def _has_table(item: Elements) -> bool:
    return bool(item.numbers("LUTDescriptor")) or item.octets("LUTData") > 0


def windowed(values: Values, center: float, width: float, function: str = "LINEAR") -> Values:
    """Values through a window, in [0, 1]; any `function` but SIGMOID and LINEAR_EXACT is LINEAR (C.11.2.1.2, C.11.2.1.3)."""
    with np.errstate(all="ignore"):
        if function == "SIGMOID":
            return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700))))
        if function == "LINEAR_EXACT":
            return np.clip((values - center) / width + 0.5, 0, 1)
        if width == 1:
            return (values > center - 0.5).astype(np.float64)
        return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def by_percentiles(values: Values, counts: NDArray[np.int64]) -> tuple[Values, tuple[float, float]]:
    """Grey of each code in [0, 1], stretched between two percentiles of a picture (LOW, HIGH), and the values at them.

    `counts`: (codes,) how many pixels have each code, padding left out. A picture of one value is black.
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(counts[order])
    total = int(below[-1])
    if not total:
        return np.zeros_like(values), (0.0, 0.0)
    low, high = (float(values[order[np.searchsorted(below, max(1.0, share * total))]]) for share in (LOW, HIGH))
    if high <= low:  # nearly all pixels are alike: show what there is
        present = values[counts > 0]
        low, high = float(present.min()), float(present.max())
    return np.clip((values - low) / ((high - low) or 1.0), 0, 1), (low, high)


def shows_nothing(shown: Values, values: Values, codes: NDArray[np.unsignedinteger]) -> bool:
    """Whether `shown` makes one grey of a picture whose values differ: its window lies beside the picture.

    `codes`: (n,) pixels of it, padding left out. The tails beyond LOW and HIGH count for nothing, nor do values that differ by
    less than `_PICTURE` of all that can be stored: a blank exposure stays blank.
    """
    if not codes.size:
        return False
    measured = values[codes]
    low, high = np.quantile(measured, (LOW, HIGH))
    if high - low < _PICTURE * np.ptp(values):
        return False
    return bool(np.ptp(shown[codes[(measured >= low) & (measured <= high)]]) == 0)


def full_range(values: Values) -> Values:
    """Grey of each code in [0, 1], from the least to the greatest value that can be stored."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / ((high - low) or 1.0)


def inverted(elements: Elements, module: ImagePixelModule) -> bool:
    """True when the greatest value is meant black: MONOCHROME1, or Presentation LUT Shape INVERSE (C.7.6.3.1.2, C.11.6).

    A header that has both is inverted once: they say the same.
    """
    return module.photometric in _INVERSE or elements.code("PresentationLUTShape") in _INVERSE


def padding(elements: Elements, module: ImagePixelModule) -> tuple[int, int] | None:
    """The least and greatest stored value that is padding (Pixel Padding Value and Range Limit, C.7.5.1.1.2), both included.

    Signed where the pixels are. None when the header names none.
    """
    value, limit = elements.number("PixelPaddingValue"), elements.number("PixelPaddingRangeLimit")
    if value is None:
        return None
    ends = [_in_sign(int(value), module), _in_sign(int(value if limit is None else limit), module)]
    return min(ends), max(ends)


def _in_sign(value: int, module: ImagePixelModule) -> int:
    """A padding value in the pixels' sign, though it was written as US where SS was meant, or the other way round."""
    cell = value % (1 << module.allocated)
    return cell - (1 << module.allocated) if module.signed and cell >> (module.allocated - 1) else cell


def lut(item: Elements, signed: bool, label: str, *, names: tuple[str, str] = ("LUTDescriptor", "LUTData")) -> Lut:
    """The table of a LUT Descriptor and LUT Data (C.11.1.1), called `names`.

    `signed`: a first input of 32768 or more is a negative one, written without its sign. Entries may be packed as bytes. The
    depth is the described one where the entries use it, else the least of `depth.DEPTHS`, or of bits, that holds them. Raises
    ImageError for a table without a description, or with fewer entries than it says.
    """
    descriptor = item.numbers(names[0])
    if len(descriptor) < 3:
        raise ImageError("a lookup table without a description", where=label, mend="export the image again")
    length, first, bits = int(descriptor[0]) % _FULL or _FULL, int(descriptor[1]), int(descriptor[2])
    entries = item.words(names[1])
    if len(entries) < length:
        if item.octets(names[1]) < length:
            raise ImageError("a lookup table that is cut short", where=label, mend="export the image again")
        entries = entries.astype("<u2").view(np.uint8).astype(np.uint16)
    entries = entries[:length]
    told = min(max(bits, 1), 16)
    used = int(entries.max()).bit_length()
    depth = used if used > told else next((d for d in DEPTHS if used <= d < told), told) if used else told
    notes = () if depth == told else (f"a lookup table of {told} bits holds {depth}: taken by what it holds",)
    return Lut(first - _FULL if signed and first >= _FULL // 2 else first, entries, (1 << depth) - 1, notes)

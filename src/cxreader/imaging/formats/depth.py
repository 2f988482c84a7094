"""How many bits stored values use, where a format stores 16 and cannot say: what is there decides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxreader.counting import format_count

DEPTHS = (8, 10, 12, 14, 15)
"""Bits of values that are stored in 16: of pictures, of detectors, and of signed numbers that lost their sign."""
STRAY = 1e-4
"""The share of pixels that may lie above a picture's depth: dead pixels, and the overshoot of filters."""


def depth_of(stored: NDArray[np.generic], *, most: int = 16) -> tuple[int, int]:
    """The least of DEPTHS below `most`, or `most`, whose range holds all but STRAY of the values; and how many it leaves out.

    `stored`: values of at most `most` bits, of any shape. Nothing but zeros has `most` bits.
    """
    top = int(stored.max()) if stored.size else 0
    if top == 0:
        return most, 0
    for bits in DEPTHS:
        if bits >= most:
            break
        above = 0 if top < 1 << bits else int(np.count_nonzero(np.greater_equal(stored, 1 << bits)))
        if above <= STRAY * stored.size:
            return bits, above
    return most, 0


def by_depth(stored: NDArray[np.generic], told: int = 16) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Values stored in `told` bits, of any shape, as float32 in [0, 1] by the full scale of their depth; a note if it is less."""
    bits, above = depth_of(stored, most=told)
    pixels = scaled(stored, (1 << bits) - 1)
    if bits == told:
        return pixels, ()
    note = f"{told} bits with {bits}-bit values: scaled by {(1 << bits) - 1}"
    if above:
        np.minimum(pixels, 1, out=pixels)
        note += f" ({format_count(above, 'brighter [pixel|pixels]')} cut)"
    return pixels, (note,)


def scaled(stored: NDArray[np.generic], top: int) -> NDArray[np.float32]:
    """float32 in [0, 1], in place: the largest pictures would not fit twice."""
    pixels = stored.astype(np.float32)
    pixels /= np.float32(top)
    return pixels

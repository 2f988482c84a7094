"""Sharpness of a picture in the network's size: its fine detail, the same at every brightness and contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FLAT = 1e-3
"""Standard deviation, of pixels in [0, 1], that a picture is given at least: a constant one has no detail."""


def sharpness(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n,), at least 0 and without unit, of images (n, S, S), S at least 4.

    The standard deviation of each pixel's difference from its four neighbours' mean, by that of the pixels; over the middle three
    quarters of each side, since the edges of a collimated or padded picture are sharp in any case.
    """
    return np.array([_sharpness(image) for image in pixels])


def _sharpness(image: NDArray[np.uint8]) -> float:
    cut = max(1, len(image) // 8)
    grey = image[cut - 1 : 1 - cut or None, cut - 1 : 1 - cut or None].astype(np.float32) / 255
    middle = grey[1:-1, 1:-1]
    around = (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]) / 4
    detail, whole = ((part.std(dtype=np.float64)) for part in (middle - around, middle))
    return float(detail / max(whole, _FLAT))

"""How much fine detail a picture has in the network's size: one number, the same at every brightness and contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FLAT = 1e-3
"""Deviation of a picture in which nothing can be seen, in [0, 1]."""


def sharpness(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n,) of images (n, S, S): the deviation of each pixel from its four neighbours' mean, by that of the picture.

    Of the middle three quarters of each side: the edges of a collimated or padded picture are sharp in any case.
    """
    return np.array([_sharpness(image) for image in pixels])


def _sharpness(image: NDArray[np.uint8]) -> float:
    cut = max(1, len(image) // 8)
    grey = image[cut - 1 : 1 - cut or None, cut - 1 : 1 - cut or None].astype(np.float32) / 255
    middle = grey[1:-1, 1:-1]
    around = (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]) / 4
    detail, whole = ((part.std(dtype=np.float64)) for part in (middle - around, middle))
    return float(detail / max(whole, _FLAT))

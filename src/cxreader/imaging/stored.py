"""A picture as its file stores it, for viewers that apply windows of their own: values of up to 16 bits, and how to show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_WHOLE = 1e-3
"""A grey value of 8 bits times 255 is nearer than this to a whole number; what is not has more bits."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window of the header (PS3.3 C.11.2.1.2) in measured units; `function` is LINEAR, LINEAR_EXACT or SIGMOID."""

    center: float
    width: float
    function: str = "LINEAR"


@dataclass(frozen=True, slots=True, eq=False)
class StoredPicture:
    """The pixels before any window.

    `values`: uint16 (H, W), of `bits` bits, larger for what the Modality LUT makes larger; what is hidden or padding has the
    value that is shown darkest. `slope`, `intercept`: value * slope + intercept is what the Modality LUT gives, the unit of
    `windows`. `shown`: uint8 (2 ** bits,), the grey of each value as `Radiograph` shows it; `inverted`: whether its greatest
    is black. `aspect`: height of a pixel divided by its width; a Radiograph has been made square.
    """

    values: NDArray[np.uint16]
    bits: int
    shown: NDArray[np.uint8]
    slope: float = 1.0
    intercept: float = 0.0
    windows: tuple[Window, ...] = ()
    inverted: bool = False
    aspect: float = 1.0


def of_grey(pixels: NDArray[np.float32]) -> StoredPicture:
    """The picture of float32 (H, W) in [0, 1]: of 8 bits where all of them are multiples of 1/255, else of 16."""
    by_255 = pixels * np.float32(255)
    whole = np.rint(by_255)
    if np.abs(by_255 - whole).max() < _WHOLE:
        return StoredPicture(whole.astype(np.uint16), 8, np.arange(256, dtype=np.uint8))
    values = np.rint(pixels * np.float32(65535)).astype(np.uint16)
    return StoredPicture(values, 16, np.rint(np.arange(65536) / 257).astype(np.uint8))

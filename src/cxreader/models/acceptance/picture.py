"""What the whole picture says: whether it can be a chest radiograph at all. No network is asked."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxreader.records import Acceptance

if TYPE_CHECKING:
    from cxreader.imaging.radiograph import Radiograph

MIN_SIDE = 64
"""Pixels: the smallest picture in which a radiograph can be told from other pictures."""
MAX_COLOUR = 0.04
"""Mean distance between the strongest and the weakest channel, in [0, 1]; a grey picture has 0, JPEG's rounding some 0.01."""
MIN_SPREAD = 0.08
"""Between the 2nd and the 98th percentile of a picture with anything in it."""
MAX_WHITE, MAX_BLACK = 0.5, 0.85
"""Share of pixels at the end of the scale above which nothing is left of a chest."""
MIN_ANATOMY = 0.05
"""Share of a picture's variance that a smooth quadratic surface leaves over; chests leave 0.1 and more."""


def judge_picture(radiograph: Radiograph) -> Acceptance:
    """What the whole picture says: refused when it is too small, coloured, blank, an empty gradient, or over-exposed."""
    reasons = []
    width, height = radiograph.width, radiograph.height
    if min(width, height) < MIN_SIDE:
        reasons.append(f"{width} x {height} pixels are too small: at least {MIN_SIDE} a side")
    if max(width, height) > 3 * min(width, height):
        reasons.append(f"{width} x {height} pixels are no shape of a chest radiograph")
    if radiograph.colour > MAX_COLOUR:
        reasons.append("a colour picture, not a radiograph")
    step = max(1, min(width, height) // 128)
    sample = np.ascontiguousarray(radiograph.pixels[::step, ::step])
    low, high = np.percentile(sample, (2, 98))
    if high - low < MIN_SPREAD:
        reasons.append("blank: nothing in the picture differs from the rest")
    elif _beside_a_surface(sample[::4, ::4]) < MIN_ANATOMY:
        reasons.append("empty: nothing in the picture but a smooth gradient")
    elif (sample >= 0.99).mean() > MAX_WHITE:
        reasons.append(f"over-exposed: more than {100 * MAX_WHITE:.0f} % of the picture is white")
    elif (sample <= 0.01).mean() > MAX_BLACK:
        reasons.append(f"under-exposed or cut off: more than {100 * MAX_BLACK:.0f} % of the picture is black")
    return Acceptance("refused", tuple(reasons)) if reasons else Acceptance()


def _beside_a_surface(picture: NDArray[np.floating]) -> float:
    """The share of the variance of a picture (H, W) that the best quadratic surface leaves over."""
    flat = picture.reshape(-1).astype(np.float64)
    surface = _surfaces(picture.shape)
    left = flat - surface @ (flat @ surface)
    return float(left.var() / max(flat.var(), np.finfo(np.float64).tiny))


@lru_cache(maxsize=16)
def _surfaces(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Orthonormal columns (H * W, 6) that span the quadratic surfaces over such a picture."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].reshape(2, -1)
    return np.asarray(np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1))[0])

"""Does a chest stand upright, with bone white? A small classifier of 16 x 16 thumbnails, fitted on the training images.

The training images, turned and inverted, are its other classes, so that it needs no label. A mirrored image is not among
them: that is a heart on the right as well, and no error to be refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.imaging.preprocess import thumbnails
from cxreader.models.acceptance.packed import PackedRecord

SIDE = 16
LOOKS = (
    "upright",
    "rotated by 90 degrees anticlockwise",
    "rotated by 180 degrees",
    "rotated by 90 degrees clockwise",
    "inverted (bright and dark exchanged)",
)


@dataclass(frozen=True, slots=True, eq=False)
class Orientation(PackedRecord):
    """A multinomial logistic regression: `weights` (5, 256) and `bias` (5,) for thumbnails, classes as in `LOOKS`."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def apply(self, small: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n, 5) of each look for `standardised_thumbnails` (n, 256), each as if it came alone."""
        scores = (small[:, None] @ self.weights.T.astype(np.float64))[:, 0] + self.bias
        odds = np.exp(scores - scores.max(1, keepdims=True))
        return np.asarray(odds / odds.sum(1, keepdims=True))


def fit_orientation(pixels: NDArray[np.uint8], seed: int = 0) -> Orientation:
    """Fit on upright training images (n, S, S)."""
    from sklearn.linear_model import LogisticRegression

    looks = [standardised_thumbnails(shown) for shown in turned(pixels)]
    given, look = np.concatenate(looks), np.repeat(np.arange(len(looks)), len(pixels))
    fitted = LogisticRegression(C=0.1, max_iter=1000, random_state=seed).fit(given, look)
    return Orientation(fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32))


def turned(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Images (n, S, S) in each of `LOOKS`."""
    quarter, half, three = (np.rot90(pixels, k, (1, 2)) for k in (1, 2, 3))
    return pixels, quarter, half, three, np.stack([inverted(image) for image in pixels])


def inverted(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image (S, S) with bright and dark exchanged, but for black bars at its sides: they are no part of the picture."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    found = image.copy()
    if len(rows):
        inside = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        found[inside] = 255 - image[inside]
    return found


def standardised_thumbnails(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n, 256): 16 x 16 means, less their mean and by their deviation, which brightness and contrast so do not change."""
    flat = thumbnails(pixels, SIDE).reshape(len(pixels), -1).astype(np.float64)
    flat -= flat.mean(1, keepdims=True)
    return np.asarray(flat / np.maximum(flat.std(1, keepdims=True), 1.0))

"""Features of pixels that cannot show a finding: statistics of the grey values, means of the border, a 16 x 16 thumbnail.

Images are uint8 arrays or memory maps; they are read in small pieces, once for all three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import TableError

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

CENTRE = 0.8
"""Share of each side that is blanked, or shown, as the centre."""
THUMBNAIL = 16
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
STATISTICS = ("mean", "deviation", *(f"percentile {q}" for q in PERCENTILES), "black", "white", "gradient", "laplacian")
_GRID = 20
"""Cells a side of the border's grid: the centre is exactly its inner 16 x 16."""
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """Features of n images, float64: `statistics` (n, 13), `border` (n, 144), `thumbnail` (n, 256)."""

    statistics: Floats
    border: Floats
    thumbnail: Floats


def image_features(
    pixels: Pixels, rows: NDArray[np.integer] | None = None, *, progress: Callable[[int, int], None] | None = None
) -> ImageFeatures:
    """All features of images (N, H, W) uint8, or of its `rows` (n,), in their order; each pixel is read once.

    `progress(done, total)` counts images. Raises TableError for arrays that are not images.
    """
    parts, done = [], 0
    total = len(pixels) if rows is None else len(rows)
    for piece in pieces(pixels, rows):
        parts.append((image_statistics(piece), border(piece), thumbnails(piece)))
        done += len(piece)
        if progress is not None:
            progress(done, total)
    if not parts:
        return ImageFeatures(*(np.empty((0, k)) for k in (len(STATISTICS), _GRID**2 - THUMBNAIL**2, THUMBNAIL**2)))
    return ImageFeatures(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def pieces(pixels: Pixels, rows: NDArray[np.integer] | None = None, size: int = _CHUNK) -> Iterator[Pixels]:
    """Images (N, H, W), or their `rows` in order, in arrays of at most `size` images. Raises TableError for another shape."""
    _require_images(pixels)
    total = len(pixels) if rows is None else len(rows)
    for start in range(0, total, size):
        wanted: slice | NDArray[np.integer] = slice(start, start + size)
        yield np.asarray(pixels[wanted if rows is None else rows[wanted]])


def image_statistics(pixels: Pixels) -> Floats:
    """Brightness, contrast, percentiles and sharpness (n, 13) of images (n, H, W) uint8, named by `STATISTICS`.

    Mean, standard deviation and percentiles in [0, 255] (the least value that so many pixels do not exceed); shares of
    black (0) and of white (255) pixels; sharpness twice: the mean absolute difference of neighbours, by the deviation,
    and the logarithm of the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000).
    """
    _require_images(pixels)
    n, height, width = pixels.shape
    values = np.arange(256)
    shifted = pixels.reshape(n, -1).astype(np.int64) + 256 * np.arange(n)[:, None]
    counts = np.bincount(shifted.ravel(), minlength=256 * n).reshape(n, 256) / (height * width)
    mean = counts @ values
    deviation = np.sqrt(np.maximum(counts @ values**2 - mean**2, 0))
    below = np.cumsum(counts, axis=1)
    ranks = [np.argmax(below >= q / 100 - 1e-12, axis=1) for q in PERCENTILES]
    grey = pixels.astype(np.float32)
    across, down = np.diff(grey, axis=2), np.diff(grey, axis=1)
    gradient = (np.abs(across).mean(axis=(1, 2)) + np.abs(down).mean(axis=(1, 2))) / 2
    laplacian = np.diff(across, axis=2)[:, 1:-1] + np.diff(down, axis=1)[:, :, 1:-1]
    sharpness = np.log1p(laplacian.var(axis=(1, 2)))
    columns = [mean, deviation, *ranks, counts[:, 0], counts[:, -1], gradient / np.maximum(deviation, 1), sharpness]
    return np.column_stack(columns).astype(np.float64)


def border(pixels: Pixels) -> Floats:
    """Means (n, 144) of the border of images (n, H, W) uint8, in cells of a twentieth of each side.

    The border is what lies outside the central 80 % of each side; no pixel of the centre enters.
    """
    inner = slice((_GRID - THUMBNAIL) // 2, (_GRID + THUMBNAIL) // 2)
    outside = np.ones((_GRID, _GRID), bool)
    outside[inner, inner] = False
    return thumbnails(pixels, _GRID)[:, outside.ravel()]


def thumbnails(pixels: Pixels, side: int = THUMBNAIL) -> Floats:
    """Area means (n, side * side) float64 in [0, 255] of images (n, H, W) uint8; pixels on an edge count in part."""
    _require_images(pixels)
    n, height, width = pixels.shape
    down, across = _area_means(height, side), _area_means(width, side)
    small = np.empty((n, side * side))
    for start in range(0, n, _CHUNK):
        piece = np.asarray(pixels[start : start + _CHUNK], dtype=np.float64)
        small[start : start + _CHUNK] = (down @ piece @ across.T).reshape(len(piece), -1)
    return small


def blanked(pixels: Pixels, keep: str, grey: int) -> Pixels:
    """Images (n, H, W) uint8 with `grey` in the place of the centre (`keep="border"`) or of the border (`keep="centre"`)."""
    _require_images(pixels)
    _, height, width = pixels.shape
    inside = np.outer(_central(height), _central(width))
    return np.where(inside if keep == "centre" else ~inside, pixels, np.uint8(grey))


def _central(length: int) -> NDArray[np.bool_]:
    margin = round(length * (1 - CENTRE) / 2)
    return np.pad(np.ones(length - 2 * margin, bool), margin)


def _area_means(length: int, side: int) -> Floats:
    """Matrix (side, length) whose row k averages the pixels between k and k + 1 of `side` equal stretches."""
    edges = np.arange(side + 1)[:, None] * (length / side)
    covered = np.clip(edges - np.arange(length), 0, 1)
    return np.asarray(np.diff(covered, axis=0) * (side / length))


def _require_images(pixels: Pixels) -> None:
    if pixels.ndim != 3:
        raise TableError(f"pixels have shape {pixels.shape}", mend="give grey images as (n, height, width)")

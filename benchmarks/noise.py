"""Random pixels where a pixel cache would have radiographs: what training costs does not depend on what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cxreader.data.dataset import CachedImages


def noise(folder: Path, train: int, tune: int, size: int) -> dict[str, CachedImages]:
    """Parts `train` and `tune` of uint8 images (size, size) in a memory-mapped file, scattered in it as in a cache.

    Every other image is abnormal, so that no part is of one class.
    """
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.memmap(folder / "pixels.bin", np.uint8, "w+", shape=(train + tune, size, size))
    pixels[:] = generator.integers(0, 256, pixels.shape, np.uint8)
    rows = generator.permutation(train + tune)
    labels = np.arange(train + tune) % 2
    return {
        "train": CachedImages(pixels, rows[:train], labels[:train]),
        "tune": CachedImages(pixels, rows[train:], labels[train:]),
    }

"""Small pictures of files for a page."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from cxreader.errors import ImageError
from cxreader.imaging.read import read
from cxreader.inference.reader import DECODERS, Reader

SIDE = 160
"""Pixels of a thumbnail's longer side."""


def thumbnails(
    reader: Reader, files: Sequence[str], *, progress: Callable[[int, int], None] | None = None
) -> list[bytes | None]:
    """A JPEG in grey for each file, in their order; None for one that cannot be read.

    Large pictures keep to the reader's pixel budget.
    """

    def small(file: str) -> bytes | None:
        with reader.pixel_budget.slot() as reserve:
            try:
                pixels = read(file, reserve=reserve, site=reader.site).pixels
            except ImageError:
                return None
            image = Image.fromarray(pixels)
            scale = SIDE / max(image.size)
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            fitted = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
        data = io.BytesIO()
        Image.fromarray(np.rint(np.clip(fitted, 0, 1) * 255).astype(np.uint8)).save(data, "JPEG", quality=80)
        return data.getvalue()

    found: list[bytes | None] = []
    with ThreadPoolExecutor(DECODERS, "thumbnails") as pool:
        for one in pool.map(small, files):
            found.append(one)
            if progress is not None:
                progress(len(found), len(files))
    return found

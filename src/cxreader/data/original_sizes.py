"""How wide images are by their height, before they are made square."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cxreader.imaging.read import size
from cxreader.records import ImageRecord


def all_square(records: Iterable[ImageRecord]) -> bool:
    """Whether each original is as wide as high, within a pixel, by its header alone; the first that is not ends the search.

    Raises as `imaging.read.size` does.
    """
    sizes = (size(record.path or record.image) for record in records)
    return all(abs(width - height) <= 1 for width, height in sizes)


def aspects(records: Sequence[ImageRecord]) -> NDArray[np.float64]:
    """Width by height (n,) of each original, from its header alone. Raises as `imaging.read.size` does."""
    sizes = np.array([size(record.path or record.image) for record in records], np.float64).reshape(-1, 2)
    return np.asarray(sizes[:, 0] / sizes[:, 1])

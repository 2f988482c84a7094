"""How wide images are by their height, before they are made square."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxreader.imaging.read import size
from cxreader.records import ImageRecord


def aspects(records: Sequence[ImageRecord]) -> NDArray[np.float64]:
    """Width by height (n,) of each original, from its header alone. Raises as `imaging.read.size` does."""
    sizes = np.array([size(record.path or record.image) for record in records], np.float64).reshape(-1, 2)
    return np.asarray(sizes[:, 0] / sizes[:, 1])

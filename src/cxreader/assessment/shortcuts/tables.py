"""What the tables say of each image: the columns that baselines without a picture look at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxreader.data.index import Index
from cxreader.records import ImageRecord

Floats = NDArray[np.float64]


def sources(index: Index, records: Sequence[ImageRecord]) -> NDArray[np.str_]:
    """(n,) where each image comes from: its source, and in a release's layout the folder its file lies in.

    In other layouts folders often bear the label's name, which says nothing of where an image was taken; there the
    table's column `source` alone counts.
    """
    if index.kind != "nih":
        return np.array([record.source for record in records], np.str_)
    folders = (os.path.relpath(Path(record.path or "").parent, index.root) for record in records)
    return np.array([f"{r.source} {folder}" for r, folder in zip(records, folders, strict=True)], np.str_)


def metadata(records: Sequence[ImageRecord], source: NDArray[np.str_]) -> dict[str, NDArray[np.generic]]:
    """What the tables say of each image (n,), by column: numbers with NaN and texts with nothing where they are silent."""

    def number(values: Sequence[float | None]) -> Floats:
        return np.array([np.nan if value is None else value for value in values], np.float64)

    visits = ["" if r.follow_up is None else "first" if r.follow_up == 0 else "follow-up" for r in records]
    sizes = ["" if r.width is None or r.height is None else f"{r.width} x {r.height}" for r in records]
    return {
        "age": number([r.age if r.age_plausible else None for r in records]),
        "sex": np.array([r.sex or "" for r in records], np.str_),
        "view": np.array([r.view or "" for r in records], np.str_),
        "follow_up": number([r.follow_up for r in records]),
        "visit": np.array(visits, np.str_),
        "width": number([r.width for r in records]),
        "height": number([r.height for r in records]),
        "size": np.array(sizes, np.str_),
        "spacing": number([None if r.spacing is None else float(np.mean(r.spacing)) for r in records]),
        "source": source,
    }

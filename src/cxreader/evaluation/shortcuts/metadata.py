"""Features of an image from the columns of its table alone: age, sex, view, size, source. No pixel is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

METADATA = ("age", "sex", "view", "follow_up", "visit", "width", "height", "size", "spacing", "source")
"""Columns that are taken; labels, findings, decisions and models stand in tables too and are never features."""
RARE = 10
"""A value of fewer images has no column of its own."""
COMMONEST = 30
"""Of the values of one column, so many have a column of their own at most."""


@dataclass(frozen=True, eq=False)
class MetadataFeatures:
    """`features` (n, k) float64, finite; `names` (k,) of their columns; `used`: the table's columns behind them."""

    features: Floats
    names: tuple[str, ...]
    used: tuple[str, ...]


def metadata_features(columns: Mapping[str, NDArray[np.generic]], n: int) -> MetadataFeatures:
    """Features of n images from those of `columns` (n,) that `METADATA` names; k is 0 when none of them varies.

    A number stays a number, its gaps (NaN) at the median and marked by a column of their own. A text becomes a column
    for each value of at least `RARE` images, of these the `COMMONEST` most frequent (ties by name), one for all others
    together and one for gaps (empty text). What does not vary over the images is left out. Labels play no part.
    """
    found: dict[str, Floats] = {}
    used = []
    for name in METADATA:
        if name not in columns:
            continue
        encode = _numbers if columns[name].dtype.kind in "fiu" else _categories
        varying = {title: column for title, column in encode(name, columns[name]).items() if np.ptp(column) > 0}
        if varying:
            used.append(name)
            found |= varying
    features = np.column_stack(list(found.values())) if found else np.empty((n, 0))
    return MetadataFeatures(features, tuple(found), tuple(used))


def _numbers(name: str, values: NDArray[np.generic]) -> dict[str, Floats]:
    number = np.asarray(values, dtype=np.float64)
    missing = ~np.isfinite(number)
    if missing.all():
        return {}
    filled = np.where(missing, np.median(number[~missing]), number)
    return {name: filled, f"{name} missing": missing.astype(np.float64)}


def _categories(name: str, values: NDArray[np.generic]) -> dict[str, Floats]:
    text = np.asarray(values, dtype=np.str_)
    present, counts = np.unique(text, return_counts=True)
    by_count = present[np.argsort(-counts, kind="stable")].tolist()
    enough = set(present[counts >= RARE].tolist()) - {""}
    often = sorted([value for value in by_count if value in enough][:COMMONEST])
    columns = {f"{name} {value}": text == value for value in often}
    columns[f"{name} rare"] = ~np.isin(text, [*often, ""])
    columns[f"{name} missing"] = text == ""
    return {title: column.astype(np.float64) for title, column in columns.items()}

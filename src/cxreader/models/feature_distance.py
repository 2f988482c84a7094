"""How far an image lies from the training images in the network's own feature space.

The features are the means of the last spatial map. Along their first principal components the distance is Mahalanobis's;
what the components leave over is measured by its mean square (Jackson & Mudholkar, Technometrics 1979: T2 and Q together).
So strange directions count that no training image used, which a distance inside the components alone would pass over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.models.plain_arrays import from_plain, to_plain

COMPONENTS = 32
_LEAST = 1e-6
"""Share of the whole variance below which a direction counts as unused."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureDistance:
    """`mean` (C,), `components` (k, C) orthonormal rows, `variances` (k,), `rest`: variance of each direction left over."""

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    variances: NDArray[np.float32]
    rest: float

    def apply(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Squared distances (n,) of features (n, C), in units of the training images' own spread: about C on average there."""
        centred = np.asarray(features, np.float64) - self.mean
        along = centred @ self.components.T.astype(np.float64)
        left = np.maximum((centred**2).sum(1) - (along**2).sum(1), 0)
        return np.asarray((along**2 / self.variances).sum(1) + left / self.rest)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        arrays = {name: to_plain(getattr(self, name)) for name in ("mean", "components", "variances")}
        return {**arrays, "rest": self.rest}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, to the bit."""
        mean, components, variances = (from_plain(values[name]) for name in ("mean", "components", "variances"))
        return cls(mean, components, variances, float(values["rest"]))


def fit_distance(features: NDArray[np.floating], components: int = COMPONENTS) -> FeatureDistance:
    """Fit on the training images' features (n, C), n of 2 or more."""
    given = np.asarray(features, np.float64)
    mean = given.mean(0)
    _, singular, rows = np.linalg.svd(given - mean, full_matrices=False)
    variances = singular**2 / (len(given) - 1)
    floor = max(float(variances.sum()), float(np.finfo(np.float32).tiny)) * _LEAST
    kept = min(components, int((variances > floor).sum()))
    left = max(given.shape[1] - kept, 1)
    rest = max(float(variances[kept:].sum()) / left, floor)
    return FeatureDistance(
        mean.astype(np.float32), rows[:kept].astype(np.float32), variances[:kept].astype(np.float32), rest
    )

"""The distance of an image's vector from those of the training images, such as a network's features.

Each number is taken in units of its own spread. Along the first principal components the distance is Mahalanobis's (Lee et al.,
NeurIPS 2018, for out-of-distribution detection); what the components leave over is measured by its mean square (Jackson &
Mudholkar, Technometrics 1979: T2 and Q together), so that directions count which no training image used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.models.acceptance.packed import PackedRecord

_LEAST = 1e-6
"""Share of the whole variance below which a direction counts as unused."""
_LEAST_SPREAD = 1e-3
"""Share of the mean spread that every number is given at least: one that hardly varied in training must not decide."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureDistance(PackedRecord):
    """A Mahalanobis distance of low rank, in units of each number's own spread.

    `mean` and `spread` (D,), `components` (k, D) orthonormal rows, `variances` (k,) along them, `rest`: the variance of each of
    the D - k directions left over.
    """

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    components: NDArray[np.float32]
    variances: NDArray[np.float32]
    rest: float

    def apply(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Squared distances (n,) of vectors (n, D), at least 0 and without unit: the training images' mean is about D.

        Each vector's is the same to the bit whatever others it comes with.
        """
        centred = (np.asarray(features, np.float64) - self.mean) / self.spread
        along = (centred[:, None] @ self.components.T.astype(np.float64))[:, 0]
        left = np.maximum((centred**2).sum(1) - (along**2).sum(1), 0)
        return np.asarray((along**2 / self.variances).sum(1) + left / self.rest)


def fit_distance(features: NDArray[np.floating], components: int) -> FeatureDistance:
    """Fit on the training images' vectors (n, D), n at least 2, with at most `components` of them."""
    given = np.asarray(features, np.float64)
    mean, spread = given.mean(0), given.std(0, ddof=1)
    tiny = float(np.finfo(np.float32).tiny)
    spread = np.maximum(spread, max(_LEAST_SPREAD * float(spread.mean()), tiny))
    _, singular, rows = np.linalg.svd((given - mean) / spread, full_matrices=False)
    variances = np.asarray(singular**2 / (len(given) - 1))
    floor = max(float(variances.sum()), tiny) * _LEAST
    kept = min(components, int((variances > floor).sum()))
    left = max(given.shape[1] - kept, 1)
    rest = max(float(variances[kept:].sum()) / left, floor)
    return FeatureDistance(
        mean.astype(np.float32),
        spread.astype(np.float32),
        rows[:kept].astype(np.float32),
        variances[:kept].astype(np.float32),
        rest,
    )

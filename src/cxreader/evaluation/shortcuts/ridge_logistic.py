"""Ridge logistic regression of some hundred features, along several strengths of the penalty at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]
MAX_STEPS = 100
_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class RidgeLogistic:
    """A fitted logistic regression: `weights` (k,), one for each feature as it was given, and `intercept`."""

    weights: Floats
    intercept: float

    def log_odds(self, features: Floats) -> Floats:
        """Of abnormal (n,), for features (n, k)."""
        return np.asarray(features @ self.weights + self.intercept)

    def probability(self, features: Floats) -> Floats:
        """Of abnormal (n,) in [0, 1], for features (n, k)."""
        return np.asarray(expit(self.log_odds(features)))


def fit_ridge_logistic(
    features: Floats, label: Integers, strengths: Sequence[float], *, balanced: bool = False
) -> tuple[RidgeLogistic, ...]:
    """One fit for each inverse strength C of the penalty, best given from the strongest (least C): each starts at the last.

    `features` (n, k) finite, standardised inside; `label` (n,) 0 or 1, both present; `balanced`: the classes weigh the same.
    Minimises sum_i weight_i * log loss_i + |w|^2 / (2 C), as scikit-learn's LogisticRegression does, the intercept free.
    Newton's method, its steps shortened as in `statistics.logistic`; it stops when no image's log odds moves by 1e-4, which
    leaves an error of the order of its square.
    """
    n, k = features.shape
    weight = n / (2 * np.bincount(label, minlength=2)[label]) if balanced else np.ones(n)
    scaler = StandardScaler().fit(features)
    columns, basis = scaler.transform(features), None
    if k > n:  # the weights lie in the space of the rows: there the same problem has n unknowns
        basis, triangle = np.linalg.qr(columns.T)
        columns = triangle.T
    design = np.column_stack([columns, np.ones(n)])
    coefficients = np.zeros(design.shape[1])
    found = []
    for strength in strengths:
        coefficients = _newton(design, label, weight, strength, coefficients)
        own = coefficients[:-1] if basis is None else basis @ coefficients[:-1]
        weights = own / scaler.scale_
        found.append(RidgeLogistic(weights, float(coefficients[-1] - weights @ scaler.mean_)))
    return tuple(found)


def _newton(design: Floats, label: Integers, weight: Floats, strength: float, start: Floats) -> Floats:
    """Coefficients (m,) for `design` (n, m), whose last column, of ones, bears no penalty."""
    penalty = np.full(len(start), 1 / strength)
    penalty[-1] = 0
    coefficients = start
    for _ in range(MAX_STEPS):
        expected = expit(design @ coefficients)
        gradient = design.T @ (weight * (expected - label)) + penalty * coefficients
        halves = design * np.sqrt(weight * expected * (1 - expected))[:, None]
        step = np.linalg.solve(halves.T @ halves + np.diag(penalty), gradient)
        change = max(float(np.abs(design @ step).max()), np.finfo(np.float64).tiny)
        coefficients = coefficients - step * (np.log1p(change) / change)
        if change < _TOLERANCE:
            break
    return coefficients

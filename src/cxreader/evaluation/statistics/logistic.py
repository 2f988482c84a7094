"""Logistic regression of very few columns, by Newton's method over many resamples at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.statistics.intervals import Weights

Floats = NDArray[np.float64]
MAX_STEPS = 200
_TOLERANCE = 1e-5


def fit_logistic(design: Floats, target: Floats, weight: Weights, *, offset: Floats, start: Floats) -> Floats:
    """Maximum likelihood coefficients (b, m) of P(abnormal) = sigmoid(offset + design @ coefficients).

    `design` (n, m) with m of 1 or 2, `target` (n,) labels or shares in [0, 1], `weight` (b, n) one resample a row,
    `offset` (n,) log odds that are added as they are, `start` (m,). A step is as long as ln(1 + d) / d of Newton's, d
    bounding its change of any image's log odds: each step then raises the likelihood from wherever it starts, and the
    last ones are Newton's own (Sun & Tran-Dinh, Mathematical Programming 178, 2019, 145-213). Stops when no log odds
    moves by 1e-5, which leaves an error of the order of its square; NaN where 200 steps do not bring that about or the
    columns do not determine the coefficients.
    """
    n, m = design.shape
    reach = np.abs(design).max(axis=0, initial=0.0)
    products = (design[:, :, None] * design[:, None, :]).reshape(n, m * m)
    found = np.full((len(weight), m), np.nan)
    rows, coefficients = np.arange(len(weight)), np.tile(start, (len(weight), 1))
    for _ in range(MAX_STEPS):
        expected = coefficients @ design.T
        expected += offset
        _sigmoid(expected)
        residual = target - expected
        residual *= weight
        gradient = residual @ design
        expected *= 1 - expected
        expected *= weight
        bend = (expected @ products).reshape(-1, m, m)
        sound = np.linalg.det(bend) > 0
        rows, coefficients, weight = rows[sound], coefficients[sound], _kept(weight, sound)
        step = np.linalg.solve(bend[sound], gradient[sound][:, :, None])[:, :, 0]
        change = np.abs(step) @ reach
        safe = np.maximum(change, np.finfo(np.float64).tiny)
        coefficients = coefficients + step * (np.log1p(safe) / safe)[:, None]
        done = change < _TOLERANCE
        found[rows[done]] = coefficients[done]
        rows, coefficients, weight = rows[~done], coefficients[~done], _kept(weight, ~done)
        if len(rows) == 0:
            break
    return found


def _sigmoid(log_odds: Floats) -> None:
    """Turn log odds into 1 / (1 + exp(-log odds)) in place, by tanh: it cannot overflow."""
    log_odds *= 0.5
    np.tanh(log_odds, out=log_odds)
    log_odds += 1
    log_odds *= 0.5


def _kept(weight: Weights, keep: NDArray[np.bool_]) -> Weights:
    return weight if keep.all() else weight[keep]

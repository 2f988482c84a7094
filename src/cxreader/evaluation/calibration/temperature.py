"""Temperature scaling: one number that makes a network's confidence honest and leaves its ranking alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError, TableError

TEMPERATURE_BOUNDS = (0.05, 20.0)


def fit_temperature(logits: NDArray[np.floating], label: NDArray[np.integer]) -> float:
    """The temperature T in [0.05, 20] that minimises the negative log likelihood (Guo et al., ICML 2017).

    `logits` (n, 2) float: normal, abnormal; `label` (n,) 0 or 1. T above 1 tempers an overconfident network. A part
    that the network separates perfectly has its plain optimum at T = 0, every answer quite certain; so the labels are
    taken as (n+ + 1)/(n+ + 2) and 1/(n- + 2) (Platt 1999), which vanishes as n grows, and T is bounded besides.
    Raises TableError for wrong shapes or logits that are not finite, DataError when a class is missing.
    """
    from scipy.optimize import minimize_scalar  # half a second, which no reading needs

    difference = margin(logits)
    if len(label) != len(difference):
        raise TableError(f"{len(label)} labels for {len(difference)} logits", mend="give one label an image")
    refuse_one_class(label)
    positive = np.asarray(label) == 1
    n_positive = int(positive.sum())
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (len(label) - n_positive + 2))

    def loss(log_temperature: float) -> float:
        z = difference / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, z) - target * z))

    low, high = np.log(TEMPERATURE_BOUNDS)
    # The loss is convex in 1/T, so it has one valley in log T; its ends are tried because the search never touches
    # them.
    inside = float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-8}).x)
    best = min((inside, low, high), key=loss)
    return float(np.clip(np.exp(best), *TEMPERATURE_BOUNDS))


def apply_temperature(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Probability of abnormal (n,) float64 in [0, 1]: the softmax of `logits` (n, 2) divided by T, without overflow.

    Raises TableError for wrong shapes or logits that are not finite, DataError for a T that is not above 0.
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise DataError(f"temperature {temperature} is not above 0", mend="fit it on the calibrate part")
    return sigmoid(margin(logits) / temperature)


def sigmoid(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)) (n,) float64, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -np.asarray(x, np.float64))))


def margin(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Abnormal minus normal (n,) float64 of logits (n, 2); all that a softmax of two classes depends on.

    Raises TableError for wrong shapes or logits that are not finite.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if logits.ndim != 2 or logits.shape[1] != 2:
        raise TableError(f"logits have shape {logits.shape}", mend="give (n, 2): normal, abnormal")
    if not np.isfinite(logits).all():
        row = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
        raise TableError(f"the logits of row {row + 1} are not finite", mend="look for a diverged training")
    return np.asarray(logits[:, 1] - logits[:, 0])


def refuse_one_class(label: NDArray[np.integer]) -> None:
    """Raises DataError unless both classes are there; what is fitted on `calibrate` needs both."""
    n_positive = int(np.count_nonzero(np.asarray(label) == 1))
    n_negative = len(label) - n_positive
    if n_positive == 0 or n_negative == 0:
        raise DataError(
            f"the calibrate part has {n_positive} abnormal and {n_negative} normal images: nothing can be fitted on it",
            mend="give the split more patients, or another salt, so that calibrate holds both classes",
        )

"""Baselines: what can be had without looking closely. A network that does not beat them has learnt no disease."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from cxreader.errors import DataError, TableError

THUMBNAIL = 16
FOLDS = 5
# Inverse regularisation strengths, strongest first; among equals the strongest wins.
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_CHUNK = 256


def thumbnail_logistic(
    train_pixels: NDArray[np.uint8],
    train_label: NDArray[np.integer],
    train_groups: NDArray[np.integer],
    test_pixels: NDArray[np.uint8],
) -> NDArray[np.float64]:
    """Probability of abnormal (m,) for each test image, from a logistic regression on 16 x 16 thumbnails.

    `train_pixels` (n, S, S) and `test_pixels` (m, S', S') uint8, memory maps welcome (read in small pieces);
    `train_label` (n,) 0 or 1; `train_groups` (n,) numbers the patients. The strength of the ridge penalty is chosen by
    log loss in at most five folds by patient inside the training images; the test images choose nothing.
    Deterministic. Raises TableError for lengths or shapes that do not fit, DataError for a training part of one class.
    """
    n = len(train_pixels)
    if not n == len(train_label) == len(train_groups):
        raise TableError(f"{n} training images, {len(train_label)} labels, {len(train_groups)} groups differ in number")
    label = np.asarray(train_label).astype(np.int64)
    if len(np.unique(label)) < 2:
        raise DataError("the training images have one class: no baseline can be fitted", mend="give both classes")
    train = thumbnails(train_pixels)
    model = _pipeline(_best_strength(train, label, np.asarray(train_groups))).fit(train, label)
    return np.asarray(model.predict_proba(thumbnails(test_pixels))[:, 1], dtype=np.float64)


def thumbnails(pixels: NDArray[np.uint8], side: int = THUMBNAIL) -> NDArray[np.float64]:
    """Area means (n, side * side) float64 in [0, 255] of images (n, H, W) uint8; pixels on an edge count in part."""
    if pixels.ndim != 3:
        raise TableError(f"pixels have shape {pixels.shape}", mend="give grey images as (n, height, width)")
    n, height, width = pixels.shape
    down, across = _area_means(height, side), _area_means(width, side)
    small = np.empty((n, side * side))
    for start in range(0, n, _CHUNK):
        piece = np.asarray(pixels[start : start + _CHUNK], dtype=np.float64)
        small[start : start + _CHUNK] = (down @ piece @ across.T).reshape(len(piece), -1)
    return small


def _area_means(length: int, side: int) -> NDArray[np.float64]:
    """Matrix (side, length) whose row k averages the pixels between k and k + 1 of `side` equal stretches."""
    edges = np.arange(side + 1)[:, None] * (length / side)
    covered = np.clip(edges - np.arange(length), 0, 1)
    return np.asarray(np.diff(covered, axis=0) * (side / length))


def _pipeline(strength: float) -> Pipeline:
    # A Newton solver: few exact steps for 256 features, and no iteration limit to run into.
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, solver="newton-cholesky"))


def _best_strength(features: NDArray[np.float64], label: NDArray[np.int64], groups: NDArray[np.integer]) -> float:
    """The strength with the least log loss on the patients left out."""
    folds = min(FOLDS, *(len(np.unique(groups[label == value])) for value in (0, 1)))
    if folds < 2:
        return STRENGTHS[len(STRENGTHS) // 2]  # a class of one patient leaves nothing to choose by
    splits = list(StratifiedGroupKFold(folds).split(features, label, groups))
    losses = [
        sum(_loss(strength, features, label, train, test) for train, test in splits if len(np.unique(label[train])) > 1)
        for strength in STRENGTHS
    ]
    return STRENGTHS[int(np.argmin(losses))]


def _loss(
    strength: float,
    features: NDArray[np.float64],
    label: NDArray[np.int64],
    train: NDArray[np.intp],
    test: NDArray[np.intp],
) -> float:
    fitted = _pipeline(strength).fit(features[train], label[train])
    margin = fitted.decision_function(features[test])
    return float(np.sum(np.logaddexp(0, margin) - label[test] * margin))

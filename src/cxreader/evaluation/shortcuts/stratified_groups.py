"""Folds by patient with alike shares of both classes, as scikit-learn's StratifiedGroupKFold makes them, for many patients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer]


def stratified_groups(label: Integers, groups: Integers, n_folds: int, *, seed: int | None = None) -> NDArray[np.intp]:
    """The fold (n,) of each image, from 0; all images of a group are in one. In StratifiedGroupKFold's order, without its time.

    `label` (n,) 0 or 1, both present; `groups` (n,). Groups are dealt one after another, those of most uneven classes first
    (shuffled before with `seed`), each to the fold that leaves the classes' shares most alike over the folds; of folds as good
    to the one with fewest images.
    """
    who, index = np.unique(groups, return_inverse=True)
    counts = np.column_stack([np.bincount(index, weights=label == value, minlength=len(who)) for value in (0, 1)])
    total = counts.sum(axis=0)
    order = np.arange(len(who))
    if seed is not None:
        np.random.RandomState(seed).shuffle(order)  # scikit-learn's generator
    order = order[np.argsort(-counts[order].std(axis=1), kind="stable")]
    held, fold_of = np.zeros((n_folds, 2)), np.empty(len(who), np.intp)
    candidates = np.eye(n_folds)[:, :, None]
    for group in order:
        shares = (held + candidates * counts[group]) / total  # (fold that would take it, fold, class)
        best = _least(shares.std(axis=1).mean(axis=1).tolist(), held.sum(axis=1).tolist())
        held[best] += counts[group]
        fold_of[group] = best
    return fold_of[index]


def _least(uneven: list[float], images: list[float]) -> int:
    """The fold of least `uneven`; of those that differ by rounding, the one of fewest `images`."""
    best = 0
    for fold in range(1, len(uneven)):
        alike = abs(uneven[fold] - uneven[best]) <= 1e-8 + 1e-5 * uneven[best]
        if uneven[fold] < uneven[best] or (alike and images[fold] < images[best]):
            best = fold
    return best

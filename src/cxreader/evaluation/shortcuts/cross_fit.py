"""Cross-fitting by patient: a small model learns from some patients and answers for the others, until all have an answer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import DataError, TableError
from cxreader.evaluation.shortcuts.ridge_logistic import RidgeLogistic, fit_ridge_logistic
from cxreader.evaluation.shortcuts.stratified_groups import stratified_groups

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]
Fold = tuple[NDArray[np.intp], NDArray[np.intp]]

FOLDS = 5
# Inverse regularisation strengths, strongest first; among equals the strongest wins.
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def cross_fit(features: Floats, label: Integers, groups: Integers, *, seed: int = 0) -> Floats:
    """Probability of abnormal (n,) of each image, from a ridge logistic regression fitted on other patients alone.

    `features` (n, k) finite; `label` (n,) 0 or 1; `groups` (n,) numbers the patients. Five seeded folds by patient with
    alike shares of abnormal images (fewer where a class has fewer patients); the strength of the penalty is chosen by
    log loss in folds by patient inside the other four. Classes are weighted to the same total: otherwise a fold with
    few abnormal images would be answered by a model that saw many, and what knows nothing would rank below chance once
    the folds are put together (Airola et al., Computational Statistics & Data Analysis 55, 2011). So the probability is
    that at equal prevalence; it ranks images and is not calibrated to these. Deterministic.
    Raises TableError for lengths that differ, DataError for one class and for fewer than two patients of a class.
    """
    label = np.asarray(label).astype(np.int64)
    probability = np.full(len(label), 0.5)  # of images whose fold has nothing to learn from
    for train, test in patient_folds(label, groups, seed=seed):
        if _varies(features[train]):
            fitted = fit_chosen(features[train], label[train], groups[train], balanced=True)
            probability[test] = fitted.probability(features[test])
    return probability


def patient_folds(label: Integers, groups: Integers, *, seed: int = 0) -> list[Fold]:
    """Rows to learn from and rows to answer for, fold by fold; no patient is in both, and both classes are learnt from.

    Raises as `cross_fit` does.
    """
    if len(label) != len(groups):
        raise TableError(f"{len(groups)} groups for {len(label)} labels", mend="give one group an image")
    n_patients = [len(np.unique(groups[label == value])) for value in (0, 1)]
    for n, name in zip(n_patients, ("normal", "abnormal"), strict=True):
        if n < 2:
            who = "no patient" if n == 0 else "one patient"
            raise DataError(f"{who} with {name} images: nothing can be learnt from others", mend="give more patients")
    folds = [(train, test) for train, test in _folds(label, groups, min(FOLDS, *n_patients), seed=seed) if len(test)]
    if any(len(np.unique(label[train])) < 2 for train, _ in folds):
        raise DataError("too few patients of a class to learn from others", mend="give more patients")
    return folds


def fit_chosen(features: Floats, label: Integers, groups: Integers, *, balanced: bool = False) -> RidgeLogistic:
    """A ridge logistic regression whose strength is the best of `best_strength`."""
    strength = best_strength(features, label, groups, balanced=balanced)
    return fit_ridge_logistic(features, label, (strength,), balanced=balanced)[0]


def best_strength(features: Floats, label: Integers, groups: Integers, *, balanced: bool = False) -> float:
    """The strength with the least log loss on the patients left out, in at most five folds; classes weighted alike if asked."""
    n_folds = min(FOLDS, *(len(np.unique(groups[label == value])) for value in (0, 1)))
    if n_folds < 2:
        return STRENGTHS[len(STRENGTHS) // 2]  # a class of one patient leaves nothing to choose by
    weight = len(label) / (2 * np.bincount(label, minlength=2)[label]) if balanced else np.ones(len(label))
    losses = np.zeros(len(STRENGTHS))
    for train, test in _folds(label, groups, n_folds):
        if len(np.unique(label[train])) > 1 and _varies(features[train]):
            fitted = fit_ridge_logistic(features[train], label[train], STRENGTHS, balanced=balanced)
            losses += [_loss(model.log_odds(features[test]), label[test], weight[test]) for model in fitted]
    return STRENGTHS[int(np.argmin(losses))]


def _folds(label: Integers, groups: Integers, n_folds: int, *, seed: int | None = None) -> Iterator[Fold]:
    fold_of = stratified_groups(label, groups, n_folds, seed=seed)
    for fold in range(n_folds):
        yield np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)


def _varies(features: Floats) -> bool:
    return bool(np.any(features != features[:1]))


def _loss(log_odds: Floats, label: Integers, weight: Floats) -> float:
    return float(np.sum(weight * (np.logaddexp(0, log_odds) - label * log_odds)))

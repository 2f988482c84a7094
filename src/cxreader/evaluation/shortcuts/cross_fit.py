"""Cross-fitting by patient: a small model learns from some patients and answers for the others, until all have an answer."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from cxreader.errors import DataError, TableError

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]
Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
ClassWeight = Literal["balanced"] | None

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
        if not _varies(features[train]):
            continue
        strength = best_strength(features[train], label[train], groups[train], "balanced")
        fitted = ridge_logistic(strength, "balanced").fit(features[train], label[train])
        probability[test] = fitted.predict_proba(features[test])[:, 1]
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
    splitter = StratifiedGroupKFold(min(FOLDS, *n_patients), shuffle=True, random_state=seed)
    folds = [(train, test) for train, test in splitter.split(label, label, groups) if len(test)]
    if any(len(np.unique(label[train])) < 2 for train, _ in folds):
        raise DataError("too few patients of a class to learn from others", mend="give more patients")
    return folds


def ridge_logistic(strength: float, class_weight: ClassWeight = None) -> Pipeline:
    """Standardised features and a logistic regression with a ridge penalty of inverse strength `strength`."""
    # A Newton solver: few exact steps for some hundred features, and no iteration limit to run into.
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=strength, solver="newton-cholesky", class_weight=class_weight)
    )


def best_strength(features: Floats, label: Integers, groups: Integers, class_weight: ClassWeight = None) -> float:
    """The strength with the least log loss on the patients left out, in at most five folds; classes weighted alike if asked."""
    n_folds = min(FOLDS, *(len(np.unique(groups[label == value])) for value in (0, 1)))
    if n_folds < 2:
        return STRENGTHS[len(STRENGTHS) // 2]  # a class of one patient leaves nothing to choose by
    counts = np.bincount(label, minlength=2)
    weight = np.ones(len(label)) if class_weight is None else len(label) / (2 * counts[label])
    folds = [
        (train, test)
        for train, test in StratifiedGroupKFold(n_folds).split(features, label, groups)
        if len(np.unique(label[train])) > 1 and _varies(features[train])
    ]
    losses = [
        sum(_loss(ridge_logistic(strength, class_weight), features, label, weight, fold) for fold in folds)
        for strength in STRENGTHS
    ]
    return STRENGTHS[int(np.argmin(losses))]


def _varies(features: Floats) -> bool:
    return bool(np.any(features != features[:1]))


def _loss(model: Pipeline, features: Floats, label: Integers, weight: Floats, fold: Fold) -> float:
    train, test = fold
    margin = model.fit(features[train], label[train]).decision_function(features[test])
    return float(np.sum(weight[test] * (np.logaddexp(0, margin) - label[test] * margin)))

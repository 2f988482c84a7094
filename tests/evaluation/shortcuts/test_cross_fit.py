"""Cross-fitting: scikit-learn's own on the same folds, nobody's own answer learnt from himself, and nothing from nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxreader.errors import DataError, TableError
from cxreader.evaluation.shortcuts import cross_fit as module
from cxreader.evaluation.shortcuts.cross_fit import STRENGTHS, best_strength, cross_fit, patient_folds

Floats = NDArray[np.float64]


def _patients(
    n: int = 240, abnormal: float = 0.3, seed: int = 0
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Eight features, the first of which tells a little of the label; two images a patient."""
    generator = np.random.default_rng(seed)
    label = (generator.random(n) < abnormal).astype(np.int64)
    features = generator.normal(size=(n, 8)) * np.arange(1, 9) + 5
    features[:, 0] += label
    return features, label, np.arange(n) // 2


def _sklearn(strength: float) -> object:
    logistic = LogisticRegression(C=strength, class_weight="balanced", solver="lbfgs", tol=1e-10, max_iter=10_000)
    return make_pipeline(StandardScaler(), logistic)


def test_it_equals_scikit_learn_on_the_same_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    features, label, groups = _patients()
    monkeypatch.setattr(module, "STRENGTHS", (0.01,))
    folds = list(StratifiedGroupKFold(5, shuffle=True, random_state=3).split(features, label, groups))
    expected = cross_val_predict(_sklearn(0.01), features, label, cv=folds, method="predict_proba")[:, 1]
    np.testing.assert_allclose(cross_fit(features, label, groups, seed=3), expected, atol=1e-5)


def test_the_strength_is_the_one_of_least_balanced_log_loss_on_patients_left_out() -> None:
    for seed in range(4):
        features, label, groups = _patients(seed=seed)
        weight = len(label) / (2 * np.bincount(label)[label])
        folds = list(StratifiedGroupKFold(5).split(features, label, groups))
        losses = [
            log_loss(
                label,
                cross_val_predict(_sklearn(strength), features, label, cv=folds, method="predict_proba")[:, 1],
                sample_weight=weight,
            )
            for strength in STRENGTHS
        ]
        assert best_strength(features, label, groups, balanced=True) == STRENGTHS[int(np.argmin(losses))]


def test_no_patient_is_answered_by_what_was_learnt_from_him_and_everybody_is_answered() -> None:
    _, label, groups = _patients()
    folds = patient_folds(label, groups, seed=1)
    assert len(folds) == 5
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(len(label)))
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])


def test_a_patients_own_mark_is_worth_nothing_where_a_split_by_image_would_find_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each patient has his own random features and label: by image they tell the label, by patient they cannot."""
    monkeypatch.setattr(module, "STRENGTHS", (1e-2, 1.0))
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 6)
    label = np.repeat(generator.permutation(np.arange(60) % 2), 6)
    features = np.repeat(generator.normal(size=(60, 40)), 6, axis=0) + generator.normal(0, 0.05, (360, 40))
    by_image = cross_fit(features, label, np.arange(360))
    assert roc_auc_score(label, by_image) > 0.95
    assert roc_auc_score(label, cross_fit(features, label, groups)) < 0.7


def test_what_knows_nothing_is_at_chance_though_folds_differ_in_prevalence() -> None:
    """Without balanced classes a constant feature is answered by each fold's share of abnormal images: below 0.5."""
    label = np.r_[np.ones(31, int), np.zeros(102, int)]
    groups = np.arange(133) // 3
    np.testing.assert_allclose(cross_fit(np.zeros((133, 2)), label, groups), 0.5)


def test_the_same_seed_gives_the_same_and_another_seed_other_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRENGTHS", (1e-2, 1.0))
    features, label, groups = _patients()
    one, again, other = (cross_fit(features, label, groups, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_fewer_patients_give_fewer_folds_and_too_few_are_refused() -> None:
    features, label, _ = _patients(12)
    label[:] = [0, 1] * 6
    assert len(patient_folds(label, np.arange(12) // 4)) == 3
    assert np.isfinite(cross_fit(features, label, np.arange(12) // 4)).all()
    with pytest.raises(DataError, match="one patient with normal images"):
        cross_fit(features, label, np.zeros(12, int))
    with pytest.raises(DataError, match="no patient with abnormal images"):
        cross_fit(features, np.zeros(12, int), np.arange(12))
    with pytest.raises(TableError, match="11 groups for 12 labels"):
        cross_fit(features, label, np.arange(11))

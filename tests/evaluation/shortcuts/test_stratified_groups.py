"""The folds are scikit-learn's, group by group."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from cxreader.evaluation.shortcuts.stratified_groups import stratified_groups


@pytest.mark.parametrize("seed", [None, 0, 5])
@pytest.mark.parametrize("n_folds", [2, 3, 5])
@pytest.mark.parametrize("patients", [30, 130])
def test_each_image_is_in_the_fold_that_scikit_learn_puts_it_in(seed: int | None, n_folds: int, patients: int) -> None:
    for world in range(4):
        generator = np.random.default_rng([world, patients])
        groups = generator.permutation(np.repeat(np.arange(patients) * 3, generator.integers(1, 6, patients)))
        label = (generator.random(len(groups)) < (0.5, 0.3, 0.7, 0.5)[world]).astype(np.int64)
        peer = StratifiedGroupKFold(n_folds, shuffle=seed is not None, random_state=seed)
        expected = np.empty(len(label), int)
        for fold, (_, test) in enumerate(peer.split(label, label, groups)):
            expected[test] = fold
        np.testing.assert_array_equal(stratified_groups(label, groups, n_folds, seed=seed), expected)


def test_one_image_a_patient_is_dealt_in_turn() -> None:
    label = np.arange(40) % 2
    found = stratified_groups(label, np.arange(40), 4)
    assert np.bincount(found).tolist() == [10] * 4
    assert [np.bincount(label[found == fold]).tolist() for fold in range(4)] == [[5, 5]] * 4

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxreader.errors import DataError, TableError
from cxreader.evaluation.baselines import thumbnail_logistic, thumbnails


def _images(n: int, seed: int, size: int = 40) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The abnormal are brighter on one side, below the noise of a pixel."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, n)
    noise = generator.normal(120, 40, (n, size, size))
    noise[:, :, : size // 2] += 4 * label[:, None, None]
    return np.clip(noise, 0, 255).astype(np.uint8), label


def test_thumbnails_are_area_means() -> None:
    pixels = np.arange(2 * 32 * 64, dtype=np.uint32).reshape(2, 32, 64).astype(np.uint8)
    blocks = pixels.reshape(2, 16, 2, 16, 4).mean(axis=(2, 4)).reshape(2, 256)
    np.testing.assert_allclose(thumbnails(pixels), blocks)
    # 3 pixels to 2: each takes one and a half.
    np.testing.assert_allclose(thumbnails(np.array([[[0, 30, 90]]], dtype=np.uint8), side=2)[0, :2], [10, 70])
    np.testing.assert_allclose(thumbnails(np.full((300, 9, 50), 7, dtype=np.uint8)), 7.0)


def test_it_finds_a_coarse_difference_and_nothing_in_noise() -> None:
    train, label = _images(300, 0)
    test, truth = _images(200, 1)
    groups = np.arange(300) // 2
    probability = thumbnail_logistic(train, label, groups, test)
    assert probability.shape == (200,)
    assert roc_auc_score(truth, probability) > 0.85
    shuffled = np.random.default_rng(2).permutation(label)
    assert abs(roc_auc_score(truth, thumbnail_logistic(train, shuffled, groups, test)) - 0.5) < 0.15
    np.testing.assert_array_equal(probability, thumbnail_logistic(train, label, groups, test))


def test_few_patients_are_enough_to_fit() -> None:
    train, label = _images(8, 0)
    label[:] = [0, 1] * 4
    for groups in (np.arange(8) % 2, np.arange(8) // 2, np.zeros(8, dtype=int)):
        assert np.isfinite(thumbnail_logistic(train, label, groups, train)).all()


def test_what_does_not_fit_is_refused() -> None:
    train, label = _images(8, 0)
    with pytest.raises(DataError, match="one class"):
        thumbnail_logistic(train, np.zeros(8, dtype=int), np.arange(8), train)
    with pytest.raises(TableError, match="differ in number"):
        thumbnail_logistic(train, label, np.arange(7), train)
    with pytest.raises(TableError, match="shape"):
        thumbnails(train[0])

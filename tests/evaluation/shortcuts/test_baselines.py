from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxreader.errors import DataError, TableError
from cxreader.evaluation.shortcuts.baselines import (
    confounder_baselines,
    patient_identity,
    thumbnail_logistic,
)
from cxreader.evaluation.shortcuts.cross_fit import cross_fit
from cxreader.evaluation.shortcuts.image_features import image_features
from cxreader.evaluation.shortcuts.records import (
    BORDER,
    IDENTITY,
    IMAGE_STATISTICS,
    METADATA,
    PREVALENCE,
)
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.verdict import THUMBNAIL


def _images(n: int, seed: int, size: int = 40) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The abnormal are brighter on one side, below the noise of a pixel."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, n)
    noise = generator.normal(120, 40, (n, size, size))
    noise[:, :, : size // 2] += 4 * label[:, None, None]
    return np.clip(noise, 0, 255).astype(np.uint8), label


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


def test_patient_identity_is_the_rate_of_his_other_images_shrunk_by_one() -> None:
    """Patient 0: abnormal, abnormal, normal; patient 1: one normal image. Overall rate 1/2."""
    sample = Sample(np.array([1, 1, 0, 0]), np.array([0, 0, 0, 1]))
    found = patient_identity(sample).probability
    assert found is not None
    np.testing.assert_allclose(found, [1.5 / 3, 1.5 / 3, 2.5 / 3, 0.5])


def test_patient_identity_needs_patients_with_two_images() -> None:
    assert patient_identity(Sample(np.array([0, 1]), np.arange(2))).reason == "no patient has two images"
    assert patient_identity(Sample(np.array([0, 1]), np.arange(2), False)).reason == "no patient is known"


def test_all_baselines_are_cross_fitted_on_the_judged_images_and_say_what_they_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cxreader.evaluation.shortcuts.cross_fit.STRENGTHS", (1e-3, 1e-2))
    pixels, label = _images(240, 3)
    groups = np.arange(240) // 2
    images = image_features(pixels)
    aspect = np.random.default_rng(0).normal(1, 0.1, 240)
    sample = Sample(label, groups)
    columns = {"age": np.where(label == 1, 60.0, 40.0), "findings": label.astype(np.str_)}
    found = confounder_baselines(sample, columns=columns, images=images, aspect=aspect, seed=5)
    assert tuple(b.name for b in found) == (PREVALENCE, METADATA, IDENTITY, IMAGE_STATISTICS, BORDER, THUMBNAIL)
    by_name = {b.name: b.probability for b in found}
    assert np.ptp(by_name["prevalence"]) == 0  # type: ignore[arg-type]
    assert roc_auc_score(label, by_name["metadata"]) == 1
    assert found[1].what == "age"
    expected = cross_fit(np.column_stack([images.statistics, aspect]), label, groups, seed=5)
    np.testing.assert_array_equal(by_name["image statistics"], expected)
    assert roc_auc_score(label, by_name["16 x 16 thumbnail"]) > 0.8
    np.testing.assert_array_equal(by_name["border only"], cross_fit(images.border, label, groups, seed=5))


def test_what_cannot_be_had_says_why() -> None:
    label = np.arange(40) % 2
    found = {b.name: b for b in confounder_baselines(Sample(label, np.arange(40), False))}
    assert found["metadata"].reason == "the tables tell nothing that varies"
    assert found["border only"].reason == "no pixels at hand"
    assert found["patient identity"].reason == "no patient is known"
    ages = {"age": np.arange(40.0)}
    one_class = confounder_baselines(Sample(np.zeros(40, int), np.arange(40)), columns=ages)
    assert one_class[1].probability is None
    assert "no patient with abnormal images" in str(one_class[1].reason)
    few = confounder_baselines(Sample(label, np.zeros(40, int)), columns=ages)
    assert "one patient" in str(few[1].reason)
    with pytest.raises(TableError, match="features of 39 images for 40 labels"):
        confounder_baselines(Sample(label, np.arange(40)), images=image_features(_images(39, 0)[0]))

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxreader.errors import UsageError
from cxreader.evaluation.readers.label_quality import LabelQuality, correct_auc
from cxreader.evaluation.statistics.intervals import Sample

LEVELS = np.array([0.1, 0.3, 0.6, 0.9])
ABNORMAL, NORMAL = np.array([100, 200, 300, 400]), np.array([400, 100, 100, 200])


def mixture(sensitivity: float = 0.8, specificity: float = 0.9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, truth and labels that err at every level of the score alike: non-differential to the last image."""
    parts = []
    for truth, counts, right in ((1, ABNORMAL, sensitivity), (0, NORMAL, specificity)):
        for level, count in zip(LEVELS, counts, strict=True):
            told = round(right * count)
            parts += [(level, truth, truth)] * told + [(level, truth, 1 - truth)] * (count - told)
    score, truth_, label = np.array(parts).T
    return score, truth_.astype(int), label.astype(int)


def test_the_true_auc_comes_back_exactly() -> None:
    score, truth, label = mixture()
    sample = Sample(label, np.arange(len(label)))
    found = correct_auc(sample, score, LabelQuality(0.8, 0.9), n_resamples=100)
    assert found.observed.value == pytest.approx(roc_auc_score(label, score))
    assert found.corrected.value == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    assert found.prevalence.value == pytest.approx(truth.mean(), abs=1e-12)
    assert found.corrected.value > found.observed.value + 0.05
    assert found.corrected.low < found.corrected.value < found.corrected.high
    assert "corrected for the labels, clipped to 0 to 1" in found.corrected.method


def test_perfect_labels_change_nothing() -> None:
    score, truth, _ = mixture()
    found = correct_auc(Sample(truth, np.arange(len(truth))), score, LabelQuality(1.0, 1.0), n_resamples=50)
    assert found.corrected.value == found.observed.value
    assert (found.corrected.low, found.corrected.high) == pytest.approx((found.observed.low, found.observed.high))


def test_a_quality_measured_on_few_images_widens_the_interval() -> None:
    score, _, label = mixture()
    sample = Sample(label, np.arange(len(label)))
    exact = correct_auc(sample, score, LabelQuality(0.8, 0.9), n_resamples=400).corrected
    few = correct_auc(sample, score, LabelQuality(0.8, 0.9, 60, 60), n_resamples=400).corrected
    assert few.value == exact.value
    assert few.high - few.low > 1.3 * (exact.high - exact.low)


def test_what_the_labels_cannot_be_is_refused() -> None:
    score, _, label = mixture()
    sample = Sample(label, np.arange(len(label)))
    # A tenth of the labels would be false alarms at least; of these 0.49 are abnormal, fewer than 1 - 0.4.
    found = correct_auc(sample, score, LabelQuality(0.9, 0.4), n_resamples=50)
    assert np.isnan(found.corrected.value)
    assert found.corrected.reason is not None
    assert found.corrected.reason.startswith("labels of this quality cannot have this share of abnormal ones")
    sure = np.where(label == 1, 0.9, 0.1)  # a score that repeats the label's errors
    found = correct_auc(sample, sure, LabelQuality(0.8, 0.9), n_resamples=50)
    assert np.isnan(found.corrected.value)
    assert found.corrected.reason is not None
    assert "the labels' errors are not independent of the score" in found.corrected.reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.7", "'0.7' is no label quality"),
        ("0.7,0.8,5", "is no label quality"),
        ("0.7,x", "is no label quality"),
        ("1.2,0.8", "lies not between 0 and 1"),
        ("0.4,0.5", "labels of sensitivity 0.4 and specificity 0.5 say nothing"),
        ("0.7,0.8,0,5", "is no label quality"),
    ],
)
def test_qualities_that_are_none(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        LabelQuality.parse(text)


def test_a_quality_as_it_is_written() -> None:
    assert LabelQuality.parse("0.697, 0.825") == LabelQuality(0.697, 0.825)
    assert LabelQuality.parse("0.697,0.825,267,114") == LabelQuality(0.697, 0.825, 267, 114)

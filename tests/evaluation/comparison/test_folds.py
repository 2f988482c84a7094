"""Cross-validation's figures against scikit-learn, hand counts and resamples made one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxreader.errors import TableError
from cxreader.evaluation.comparison.folds import (
    GAIN,
    GAIN_HERE,
    GAIN_METADATA,
    METADATA,
    THUMBNAIL,
    THUMBNAIL_HERE,
    FoldAnswers,
    FoldsJudged,
    judge_folds,
)
from cxreader.evaluation.statistics.intervals import bootstrap_weights


def _fold(number: int, threshold: float, shift: float) -> FoldAnswers:
    """40 images of 20 patients; `shift` raises every score of the fold."""
    random = np.random.default_rng(number)
    label = np.repeat(np.arange(20) % 2, 2)
    probability = np.clip(0.3 + 0.15 * label + shift + random.normal(0, 0.15, 40), 0, 1)
    thumbnail = random.random(40)
    groups = np.repeat(np.arange(20), 2) + 20 * number
    return FoldAnswers(label, groups, probability, threshold, thumbnail, np.arange(40) < 2 + number)


FOLDS = [_fold(0, 0.4, 0.0), _fold(1, 0.7, 0.3), _fold(2, 0.5, 0.1)]


@pytest.fixture(scope="module")
def found() -> FoldsJudged:
    return judge_folds(FOLDS, patients_known=True, n_resamples=200, seed=3)


def test_the_mean_is_of_the_folds_and_the_pooled_one_mixes_their_scores(found: FoldsJudged) -> None:
    own = [roc_auc_score(fold.label, fold.probability) for fold in FOLDS]
    thumbnails = [roc_auc_score(fold.label, fold.thumbnail) for fold in FOLDS]
    label, probability = (np.concatenate([getattr(fold, name) for fold in FOLDS]) for name in ("label", "probability"))
    assert [fold["auc"].value for fold in found.folds] == pytest.approx(own)
    assert found.mean["auc"].value == pytest.approx(np.mean(own))
    assert found.mean[THUMBNAIL].value == pytest.approx(np.mean(thumbnails))
    assert found.mean[GAIN].value == pytest.approx(np.mean(own) - np.mean(thumbnails))
    assert found.pooled["auc"].value == pytest.approx(roc_auc_score(label, probability))
    assert found.pooled["auc"].value < found.mean["auc"].value - 0.05  # the shifts are between folds alone


def test_each_decision_is_taken_at_its_own_folds_threshold(found: FoldsJudged) -> None:
    hits = sum(int(np.sum((f.probability >= f.threshold) & (f.label == 1))) for f in FOLDS)
    alarms = sum(int(np.sum((f.probability >= f.threshold) & (f.label == 0))) for f in FOLDS)
    assert found.confusion == {"tp": hits, "fn": 60 - hits, "fp": alarms, "tn": 60 - alarms}
    assert found.pooled["sensitivity"].value == pytest.approx(hits / 60)
    assert found.pooled["specificity"].value == pytest.approx(1 - alarms / 60)
    assert found.folds[1]["sensitivity"].value == pytest.approx(
        np.mean(FOLDS[1].probability[FOLDS[1].label == 1] >= 0.7)
    )
    assert found.pooled["refused"].value == pytest.approx((2 + 3 + 4) / 120)
    assert found.pooled["auc"].n_patients == 60


def test_the_interval_of_the_mean_resamples_patients(found: FoldsJudged) -> None:
    groups = np.concatenate([fold.groups for fold in FOLDS])
    means = []
    for weight in np.concatenate(list(bootstrap_weights(groups, 200, 3))):
        parts = np.split(weight, 3)
        means.append(
            np.mean([roc_auc_score(f.label, f.probability, sample_weight=w) for f, w in zip(FOLDS, parts, strict=True)])
        )
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.mean["auc"].low, found.mean["auc"].high) == pytest.approx((low, high))
    assert "by patient" in found.mean["auc"].method


def test_metadata_have_their_own_area_and_the_gain_over_them_is_paired(found: FoldsJudged) -> None:
    assert METADATA not in found.pooled
    told = [np.random.default_rng(9 + n).random(40) for n in range(3)]
    with_metadata = [replace(fold, metadata=one) for fold, one in zip(FOLDS, told, strict=True)]
    judged = judge_folds(with_metadata, patients_known=True, n_resamples=200, seed=3)
    label = np.concatenate([fold.label for fold in FOLDS])
    area = roc_auc_score(label, np.concatenate(told))
    assert judged.pooled[METADATA].value == pytest.approx(area)
    assert judged.pooled[GAIN_METADATA].value == pytest.approx(judged.pooled["auc"].value - area)
    assert judged.mean[METADATA].value == pytest.approx(
        np.mean([roc_auc_score(fold.label, one) for fold, one in zip(FOLDS, told, strict=True)])
    )
    assert judged.pooled["auc"] == found.pooled["auc"]
    one_lacks = judge_folds([FOLDS[0], *with_metadata[1:]], patients_known=True, n_resamples=20, seed=3)
    assert METADATA not in one_lacks.pooled


def test_a_thumbnail_learnt_here_has_its_own_area_and_gain_where_every_fold_has_one(found: FoldsJudged) -> None:
    assert GAIN_HERE not in found.mean
    folds = [replace(fold, here=1 - fold.probability) for fold in FOLDS]
    both = judge_folds(folds, patients_known=True, n_resamples=20)
    for fold, one in zip(folds, both.folds, strict=True):
        here = roc_auc_score(fold.label, fold.here)
        assert one[THUMBNAIL_HERE].value == pytest.approx(here)
        assert one[GAIN_HERE].value == pytest.approx(roc_auc_score(fold.label, fold.probability) - here)
    assert both.mean[GAIN_HERE].value == pytest.approx(np.mean([one[GAIN_HERE].value for one in both.folds]))
    assert both.mean[GAIN].value == pytest.approx(found.mean[GAIN].value)
    partly = judge_folds([folds[0], *FOLDS[1:]], patients_known=True, n_resamples=20)
    assert GAIN_HERE in partly.folds[0]
    assert GAIN_HERE not in partly.mean


def test_a_patient_in_two_folds_is_refused() -> None:
    with pytest.raises(TableError, match="a patient stands in two folds"):
        judge_folds([FOLDS[0], FOLDS[0]], patients_known=True, n_resamples=10)


def test_the_record_survives_json(found: FoldsJudged) -> None:
    assert FoldsJudged.from_dict(found.to_dict()).to_dict() == found.to_dict()

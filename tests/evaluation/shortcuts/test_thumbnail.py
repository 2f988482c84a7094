"""Networks beside the thumbnail: the paired gain by scikit-learn and by hand, and the verdict by the audit's own limits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxreader.evaluation.comparison.networks import NetworkRuns
from cxreader.evaluation.shortcuts.thumbnail import ThumbnailComparison, compare_with_thumbnail
from cxreader.evaluation.statistics.intervals import Sample, bootstrap_weights

N = 800
LABEL = np.arange(N) % 2
SAMPLE = Sample(LABEL, np.arange(N) // 2)


def _scores(skill: float, seed: int, k: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(k, N))
    return 1 / (1 + np.exp(-(skill * (2 * LABEL - 1) + noise)))


def test_the_gain_is_the_mean_auc_of_the_trainings_minus_the_thumbnails_on_the_same_resamples() -> None:
    thumbnail, network = _scores(0.5, 1)[0], _scores(1.0, 2, 2)
    found = compare_with_thumbnail(SAMPLE, thumbnail, [NetworkRuns("n", (0, 1), network)], n_resamples=100)
    own = roc_auc_score(LABEL, thumbnail)
    assert found.auc.value == pytest.approx(own)
    assert found.gains["n"].value == pytest.approx(np.mean([roc_auc_score(LABEL, p) for p in network]) - own)
    weights = np.concatenate(list(bootstrap_weights(SAMPLE.groups, 100, seed=0)))
    gains = [
        np.mean([roc_auc_score(LABEL, p, sample_weight=w) for p in network])
        - roc_auc_score(LABEL, thumbnail, sample_weight=w)
        for w in weights
    ]
    assert (found.gains["n"].low, found.gains["n"].high) == pytest.approx(tuple(np.quantile(gains, [0.025, 0.975])))
    assert found.verdicts == {"n": "not found"}


def test_a_network_that_sees_no_more_than_the_thumbnail_is_suspected() -> None:
    thumbnail = _scores(1.0, 1)[0]
    found = compare_with_thumbnail(SAMPLE, thumbnail, [NetworkRuns("ResNet18", (0,), thumbnail[None])], n_resamples=50)
    assert found.gains["ResNet18"].value == 0
    assert found.verdicts == {"ResNet18": "suspected"}
    value = roc_auc_score(LABEL, thumbnail)
    said = found.suspicion("ResNet18")
    assert said.startswith(
        f"A shortcut is suspected in ResNet18: its AUC minus that of a 16 x 16 thumbnail ({value:.3f}) is +0.000"
    )
    assert ThumbnailComparison.from_dict(found.to_dict()).to_dict() == found.to_dict()


def test_a_thumbnail_that_orders_all_pairs_has_an_exact_bound() -> None:
    found = compare_with_thumbnail(
        SAMPLE, np.where(LABEL == 1, 0.9, 0.1), [NetworkRuns("n", (0,), _scores(1.0, 2))], n_resamples=20
    )
    assert found.auc.value == 1.0
    assert 0.5 < found.auc.low < 1.0
    assert found.auc.method.startswith("exact (Clopper-Pearson)")


def test_one_class_gives_no_gain_and_no_verdict() -> None:
    sample = Sample(np.zeros(N, int), np.arange(N) // 2)
    found = compare_with_thumbnail(
        sample, _scores(1.0, 1)[0], [NetworkRuns("n", (0,), _scores(1.0, 2))], n_resamples=20
    )
    assert np.isnan(found.gains["n"].value)
    assert found.verdicts == {"n": "too few patients to say"}

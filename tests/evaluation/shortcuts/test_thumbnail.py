"""Networks beside the thumbnail: the paired gain by scikit-learn and by hand, and the verdict by the audit's own limits."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.stats import t
from sklearn.metrics import roc_auc_score

from cxreader.evaluation.comparison.networks import NetworkRuns
from cxreader.evaluation.shortcuts.thumbnail import ThumbnailComparison, compare_with_thumbnail
from cxreader.evaluation.statistics.intervals import Sample

N = 800
LABEL = np.arange(N) % 2
SAMPLE = Sample(LABEL, np.arange(N) // 2)


def _scores(skill: float, seed: int, k: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(k, N))
    return 1 / (1 + np.exp(-(skill * (2 * LABEL - 1) + noise)))


def test_the_gain_is_the_mean_auc_of_the_trainings_minus_the_thumbnails_for_other_trainings_too() -> None:
    """Leave-one-patient-out differences by scikit-learn, of the 30 patients of a small sample; the formula written again."""
    label, groups = np.arange(60) % 2, np.arange(60) // 2
    rng = np.random.default_rng(5)
    thumbnail, network = rng.random(60), 1 / (1 + np.exp(-(2 * label - 1 + rng.normal(size=(2, 60)))))
    runs = [NetworkRuns("n", (0, 1), network)]
    found = compare_with_thumbnail(Sample(label, groups), thumbnail, runs, n_resamples=20)
    own = roc_auc_score(label, thumbnail)
    gains = np.array([roc_auc_score(label, p) - own for p in network])
    kept = [groups != g for g in range(30)]
    left = np.array(
        [[roc_auc_score(label[k], p[k]) - roc_auc_score(label[k], thumbnail[k]) for p in network] for k in kept]
    )
    cov2 = max(np.cov(left.T, bias=True)[0, 1] * 29, 0)
    noise = gains.var(ddof=1) + 2 * cov2
    half = t.ppf(0.975, noise**2 / gains.var(ddof=1) ** 2) * np.sqrt(noise / 2)
    gain = found.gains["n"]
    assert found.auc.value == pytest.approx(own)
    assert (gain.value, gain.low, gain.high) == pytest.approx(
        (gains.mean(), max(-1, gains.mean() - half), min(1, gains.mean() + half))
    )


def test_the_thumbnail_learnt_here_stands_beside_the_other_and_decides() -> None:
    """The network is far ahead of what was learnt elsewhere, and no better than what was learnt here: suspected."""
    network = [NetworkRuns("n", (0,), _scores(1.0, 2))]
    elsewhere, here = _scores(0.2, 1)[0], network[0].probability[0]
    ahead = compare_with_thumbnail(SAMPLE, elsewhere, network, n_resamples=50)
    assert (ahead.verdicts, ahead.auc_here, ahead.gains_here) == ({"n": "not found"}, None, {})
    found = compare_with_thumbnail(SAMPLE, elsewhere, network, here=here, n_resamples=50)
    assert found.gains["n"].value == ahead.gains["n"].value > 0.2
    assert found.gains_here["n"].value == 0
    assert found.verdicts == {"n": "suspected"}
    assert "that of a 16 x 16 thumbnail, learnt here (" in found.suspicions(["n"])[0]


def test_a_network_that_sees_no_more_than_the_thumbnail_is_suspected() -> None:
    thumbnail = _scores(1.0, 1)[0]
    found = compare_with_thumbnail(SAMPLE, thumbnail, [NetworkRuns("ResNet18", (0,), thumbnail[None])], n_resamples=50)
    assert found.gains["ResNet18"].value == 0
    assert found.verdicts == {"ResNet18": "suspected"}
    value = roc_auc_score(LABEL, thumbnail)
    (said,) = found.suspicions(["ResNet18"])
    margin = f"its AUC minus that of a 16 x 16 thumbnail, learnt elsewhere ({value:.3f}), is +0.000"
    assert said.startswith(f"A shortcut is suspected in ResNet18: {margin}")
    assert ThumbnailComparison.from_dict(found.to_dict()).to_dict() == found.to_dict()


def test_a_network_below_the_thumbnail_is_told_so_and_of_no_shortcut() -> None:
    worse, thumbnail = NetworkRuns("n", (0,), _scores(0.2, 1)), _scores(2.0, 2)[0]
    (said,) = compare_with_thumbnail(SAMPLE, thumbnail, [worse], n_resamples=50).suspicions(["n"])
    assert said.startswith("n ranks worse than a 16 x 16 thumbnail, learnt elsewhere (")
    margin = roc_auc_score(LABEL, worse.probability[0]) - roc_auc_score(LABEL, thumbnail)
    assert f"its AUC minus that is {margin:+.3f} (" in said


def test_what_holds_of_several_networks_is_said_once() -> None:
    thumbnail = _scores(2.0, 2)[0]
    networks = [
        *(NetworkRuns(name, (0,), thumbnail[None]) for name in ("a", "b")),
        *(NetworkRuns(name, (0,), _scores(0.2, 1)) for name in ("c", "d")),
        NetworkRuns("e", (0,), LABEL[None].astype(float)),
    ]
    found = compare_with_thumbnail(SAMPLE, thumbnail, networks, n_resamples=50)
    same, worse = found.suspicions(["a", "b", "c", "d"])
    assert same.startswith(
        "A shortcut is suspected in 2 of 5 networks. AUC minus that of a 16 x 16 thumbnail, learnt elsewhere ("
    )
    assert re.search(r"\): a \+0\.000 \([^)]*\); b \+0\.000 \([^)]*\)\.$", same)
    assert worse.startswith("2 of 5 networks rank worse than a 16 x 16 thumbnail, learnt elsewhere (")
    assert re.search(r"AUC minus that: c -0\.\d{3} \([^)]*\); d -0\.\d{3} \([^)]*\)\.$", worse)


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

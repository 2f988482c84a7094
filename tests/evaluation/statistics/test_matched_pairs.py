from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxreader.evaluation.statistics import matched_pairs
from cxreader.evaluation.statistics.intervals import Sample, bootstrap_weights
from cxreader.evaluation.statistics.matched_pairs import match_pairs


def world(n: int = 160, seed: int = 0) -> tuple[Sample, np.ndarray, dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, n)
    columns = {
        "age": np.round(random.normal(50 + 10 * label, 12)).astype(np.float64),
        "sex": random.choice(["F", "M"], n),
        "view": random.choice(["PA", "AP"], n),
    }
    score = np.round(1 / (1 + np.exp(-(columns["age"] - 55) / 8 - 0.5 * label + random.normal(0, 0.5, n))), 1)
    return Sample(label, random.integers(0, n // 2, n)), score, columns


def by_loops(
    sample: Sample, score: np.ndarray, columns: dict[str, np.ndarray], weight: np.ndarray
) -> tuple[float, int]:
    won = both = pairs = 0.0
    for i in np.flatnonzero(sample.label == 1):
        for j in np.flatnonzero(sample.label == 0):
            alike = all(columns[name][i] == columns[name][j] for name in ("sex", "view"))
            if alike and abs(columns["age"][i] - columns["age"][j]) <= 5:
                pairs += 1
                both += weight[i] * weight[j]
                won += weight[i] * weight[j] * (float(score[i] > score[j]) + float(score[i] == score[j]) / 2)
    return won / both, int(pairs)


def test_pairs_and_auc_equal_two_loops() -> None:
    sample, score, columns = world()
    found = match_pairs(sample, score, columns, n_resamples=50)
    assert found is not None
    auc, pairs = by_loops(sample, score, columns, np.ones(len(score)))
    assert found.by == ("age", "sex", "view")
    assert (found.n_pairs, found.n_drawn) == (pairs, pairs)
    assert found.matched.value == pytest.approx(auc)
    assert found.plain.value == pytest.approx(roc_auc_score(sample.label, score))
    assert found.change.value == pytest.approx(auc - found.plain.value)


def test_patients_weights_reach_both_sides_of_a_pair() -> None:
    """The interval is that of two loops over the same resamples of patients."""
    sample, score, columns = world(60)
    found = match_pairs(sample, score, columns, n_resamples=50)
    assert found is not None
    drawn = [by_loops(sample, score, columns, w)[0] for block in bootstrap_weights(sample.groups, 50) for w in block]
    assert (found.matched.low, found.matched.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]))


def test_a_model_that_reads_age_alone_is_found_out() -> None:
    sample, _, columns = world(400)
    found = match_pairs(sample, columns["age"] / 120, columns, n_resamples=100)
    assert found is not None
    assert found.plain.low > 0.62
    assert found.matched.low < 0.56
    assert found.change.high < 0


def test_what_is_not_known_is_not_matched_by() -> None:
    sample, score, columns = world()
    columns["age"][:20] = np.nan
    columns["view"] = np.full(len(score), "")
    found = match_pairs(sample, score, columns, n_resamples=50)
    assert found is not None
    assert found.by == ("age", "sex")
    assert found.unknown == 20
    assert match_pairs(sample, score, {"view": columns["view"]}) is None
    assert match_pairs(sample, score, {}) is None


def test_age_alone_matches_too() -> None:
    label, age = np.array([1, 1, 0, 0]), np.array([40.0, 80.0, 45.0, 46.0])
    found = match_pairs(Sample(label, np.arange(4)), np.array([0.9, 0.1, 0.5, 0.6]), {"age": age}, n_resamples=50)
    assert found is not None
    # 40 and 45 are five years apart, 40 and 46 six; nobody is near 80.
    assert (found.n_pairs, found.alone) == (1, 2)
    assert found.matched.value == 1


def test_without_a_pair_the_reason_is_told() -> None:
    label, age = np.array([1, 0]), np.array([40.0, 80.0])
    found = match_pairs(Sample(label, np.arange(2)), np.array([0.9, 0.1]), {"age": age}, n_resamples=50)
    assert found is not None
    assert found.matched.reason == "no pair is alike"


def test_of_very_many_pairs_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, score, columns = world(600)
    whole = match_pairs(sample, score, columns, n_resamples=50)
    monkeypatch.setattr(matched_pairs, "MOST_PAIRS", 3000)
    some = match_pairs(sample, score, columns, n_resamples=50)
    assert whole is not None
    assert some is not None
    assert some.n_pairs == whole.n_pairs > 3000
    assert some.n_drawn == 3000
    assert some.matched.value == pytest.approx(whole.matched.value, abs=0.03)

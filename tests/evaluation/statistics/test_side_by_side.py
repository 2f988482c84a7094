from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxreader.evaluation.statistics.intervals import Sample, Weights, bootstrap, bootstrap_weights, resample
from cxreader.evaluation.statistics.metrics import all_metrics
from cxreader.evaluation.statistics.side_by_side import mean_of, side_by_side, value_name

Floats = NDArray[np.float64]


def _readers(seed: int = 8) -> tuple[Sample, Floats, Floats]:
    """150 patients of two images each; the second reader answers nearly as the first."""
    generator = np.random.default_rng(seed)
    label = np.repeat((generator.random(150) < 0.5).astype(np.int64), 2)
    p = 1 / (1 + np.exp(-(label - 0.5 + np.repeat(generator.normal(size=150), 2))))
    return Sample(label, np.repeat(np.arange(150), 2)), p, np.clip(p + generator.normal(0, 0.02, 300), 0, 1)


def test_a_difference_is_narrower_than_two_intervals_and_zero_for_the_same() -> None:
    sample, p, near = _readers()
    rows = [all_metrics(sample.label, each) for each in (p, near, p)]
    found = bootstrap(side_by_side(rows, [(0, 1), (1, 0), (0, 2)], ["auc"]), sample, n_resamples=300)
    alone, one, turned, same = (found[name] for name in ("auc 0", "auc 0 1", "auc 1 0", "auc 0 2"))
    assert one.value == pytest.approx(roc_auc_score(sample.label, p) - roc_auc_score(sample.label, near))
    assert one.low <= one.value <= one.high
    assert one.high - one.low < 0.5 * (alone.high - alone.low)
    assert (turned.low, turned.high) == pytest.approx((-one.high, -one.low))
    assert same.value == 0.0
    assert same.reason == "every resample gives the same value, which bounds nothing"


def test_every_row_and_pair_is_computed_on_the_same_resamples() -> None:
    sample, p, near = _readers()
    rows = [all_metrics(sample.label, p, 0.5), all_metrics(sample.label, near, 0.5)]
    draws = resample(side_by_side(rows, [(1, 0)], ["recall"]), sample, n_resamples=40, seed=2).draws
    weight = np.concatenate(list(bootstrap_weights(sample.groups, 40, 2)))
    apart = [np.array([_recall(sample.label, each >= 0.5, w) for w in weight]) for each in (p, near)]
    np.testing.assert_allclose(draws["recall 0"], apart[0])
    np.testing.assert_allclose(draws["recall 1 0"], apart[1] - apart[0])
    assert [name for name in draws if name.count(" ") == 2] == [value_name("recall", 1, 0)]


def _recall(label: NDArray[np.integer], flagged: NDArray[np.bool_], weight: Floats) -> float:
    return float(weight[(label == 1) & flagged].sum() / weight[label == 1].sum())


def test_a_mean_is_taken_name_by_name_and_undefined_where_one_is() -> None:
    def constant(a: float, b: float) -> Floats:
        return np.array([a, b])

    def first(weight: Weights) -> dict[str, Floats]:
        return {"x": constant(1.0, 2.0), "y": constant(0.0, np.nan)}

    def second(weight: Weights) -> dict[str, Floats]:
        return {"x": constant(3.0, 7.0), "y": constant(1.0, 1.0)}

    found = mean_of([first, second, first])(np.ones((2, 1)))
    np.testing.assert_allclose(found["x"], [5 / 3, 11 / 3])
    np.testing.assert_allclose(found["y"], [1 / 3, np.nan])

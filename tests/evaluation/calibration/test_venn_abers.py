from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from cxreader.errors import DataError, TableError
from cxreader.evaluation.calibration.venn_abers import VennAbers, fit_venn_abers

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def _by_definition(score: Floats, label: Labels, new: float) -> tuple[float, float]:
    """Two isotonic regressions of calibrate and the new score, once with each label."""
    pair = []
    for assumed in (0.0, 1.0):
        fitted = IsotonicRegression().fit(np.append(score, new), np.append(label, assumed))
        pair.append(float(fitted.predict([new])[0]))
    return pair[0], pair[1]


def _part(seed: int, n: int, digits: int) -> tuple[Floats, Labels]:
    generator = np.random.default_rng(seed)
    score = generator.normal(0, 1.5, n).round(digits)
    label = (generator.random(n) < expit(score)).astype(np.int64)
    label[:2] = 0, 1
    return score, label


def _news(score: Floats, seed: int) -> Floats:
    """Scores of calibrate, halfway between them, and beyond them."""
    values = np.unique(score)
    new = np.concatenate([values, (values[1:] + values[:-1]) / 2, [values[0] - 1, values[-1] + 1]])
    return np.random.default_rng(seed).permutation(new)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 25), digits=st.integers(0, 4))
def test_equals_the_definition_with_ties(seed: int, n: int, digits: int) -> None:
    score, label = _part(seed, n, digits)
    new = _news(score, seed)
    lower, upper = fit_venn_abers(score, label).apply(new)
    expected = np.array([_by_definition(score, label, s) for s in new])
    np.testing.assert_allclose(np.stack([lower, upper], axis=1), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("digits", [1, 6])
def test_equals_the_definition_on_a_larger_part(digits: int) -> None:
    score, label = _part(1, 1500, digits)
    new = _news(score, 0)[:150]
    lower, upper = fit_venn_abers(score, label).apply(new)
    expected = np.array([_by_definition(score, label, s) for s in new])
    np.testing.assert_allclose(np.stack([lower, upper], axis=1), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", [[0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 0, 1]])
def test_equals_the_definition_for_perfect_and_for_reversed_classes(order: list[int]) -> None:
    score, label = np.arange(6.0), np.array(order)
    new = _news(score, 0)
    lower, upper = fit_venn_abers(score, label).apply(new)
    np.testing.assert_allclose(np.stack([lower, upper], axis=1), [_by_definition(score, label, s) for s in new])


def test_hand_computed_pair() -> None:
    # Normal at 0, abnormal at 2. A normal image at 1 stands apart: 0; so does an abnormal one: 1.
    found = fit_venn_abers(np.array([0.0, 2.0]), np.array([0, 1]))
    lower, upper = found.apply(np.array([-1.0, 0.0, 1.0, 2.0, 3.0]))
    # An abnormal image at or below the normal one pools with it; a normal image at or above the abnormal one too.
    np.testing.assert_array_equal(lower, [0, 0, 0, 0.5, 0.5])
    np.testing.assert_array_equal(upper, [0.5, 0.5, 1, 1, 1])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 300), digits=st.integers(0, 5))
def test_the_pair_is_ordered_and_rises(seed: int, n: int, digits: int) -> None:
    score, label = _part(seed, n, digits)
    lower, upper = fit_venn_abers(score, label).apply(np.sort(_news(score, seed)))
    assert (lower >= 0).all()
    assert (lower < upper).all()
    assert (upper <= 1).all()
    assert (np.diff(lower) >= 0).all()
    assert (np.diff(upper) >= 0).all()


def test_the_pair_narrows_around_the_truth_as_calibrate_grows() -> None:
    new = np.array([-2.0, -0.5, 0.0, 1.0])
    widths = []
    for n in (200, 2000, 20_000):
        lower, upper = fit_venn_abers(*_part(2, n, 9)).apply(new)
        widths.append(float((upper - lower).mean()))
    assert widths[0] > 2 * widths[1] > 4 * widths[2]
    np.testing.assert_allclose(upper / (1 - lower + upper), expit(new), atol=0.05)


def test_the_member_of_the_pair_that_fits_the_label_is_calibrated() -> None:
    """Vovk & Petej's theorem: over many draws, the mean of p0 where normal and p1 where abnormal is the prevalence."""
    chosen, truth = [], []
    for seed in range(3000):
        score, label = _part(seed, 31, 1)
        label[:2] = np.random.default_rng(seed + 10**6).random(2) < expit(score[:2])
        if 0 < label[1:].sum() < 30:
            lower, upper = fit_venn_abers(score[1:], label[1:]).apply(score[:1])
            chosen.append(float(upper[0] if label[0] else lower[0]))
            truth.append(int(label[0]))
    expected = np.asarray(chosen)
    error = np.sqrt((expected * (1 - expected)).sum()) / len(expected)
    assert abs(np.mean(truth) - expected.mean()) < 3 * error


def test_the_record_is_small_exact_and_plain() -> None:
    score, label = _part(3, 5000, 12)
    found = fit_venn_abers(score, label)
    text = json.dumps(found.to_dict(), allow_nan=False)
    back = VennAbers.from_dict(json.loads(text))
    assert back == found
    assert len(text) < 40_000
    assert (found.n_positive, found.n_negative) == (label.sum(), 5000 - label.sum())
    for one, other in zip(back.apply(score), found.apply(score), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(set(found.p0)) == len(found.p0) == len(found.p0_from) + 1


def test_what_cannot_be_fitted_or_read_is_refused() -> None:
    score, label = _part(4, 10, 2)
    with pytest.raises(DataError, match="0 abnormal"):
        fit_venn_abers(score, np.zeros(10, dtype=int))
    with pytest.raises(TableError, match="9 labels for 10 scores"):
        fit_venn_abers(score, label[:9])
    with pytest.raises(TableError, match="row 1 is not finite"):
        fit_venn_abers(np.array([np.inf, 0.0]), np.array([0, 1]))
    with pytest.raises(TableError, match="not finite"):
        fit_venn_abers(score, label).apply(np.array([np.nan]))
    values = fit_venn_abers(score, label).to_dict()
    for damage in (
        {"p0": values["p0"][:-1]},
        {"p1": values["p1"][::-1]},
        {"p1_to": [*values["p1_to"][::-1], 99.0]},
        {"p0": [*values["p0"][:-1], 1.5]},
        {"p0": None},
        {"p1": ["a", "b"]},
        {"further": 1},
    ):
        with pytest.raises(DataError, match="Venn-Abers"):
            VennAbers.from_dict({**values, **damage})

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from cxreader.errors import TableError
from cxreader.evaluation.statistics.hypothesis_tests import HypothesisTest, holm, mcnemar
from cxreader.evaluation.statistics.intervals import Sample

Bools = NDArray[np.bool_]


def _answers(both: int, only_first: int, only_second: int, neither: int) -> tuple[Bools, Bools]:
    counts = (both, only_first, only_second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def _sample(n: int, groups: NDArray[np.integer] | None = None) -> Sample:
    return Sample(np.arange(n) % 2, np.arange(n) if groups is None else groups)


@pytest.mark.parametrize("cells", [(40, 3, 9, 7), (5, 0, 6, 1), (10, 12, 12, 3), (30, 24, 0, 2), (9, 0, 0, 4)])
def test_few_discordant_images_are_tested_exactly(cells: tuple[int, int, int, int]) -> None:
    a, b, c, d = cells
    found = mcnemar(*_answers(*cells), _sample(sum(cells)))
    assert found.p_value == pytest.approx(statsmodels_mcnemar([[a, b], [c, d]], exact=True).pvalue, abs=1e-14)
    assert found.statistic == abs(b - c)
    assert found.method == "exact binomial"
    assert found.counts == {"only_first": b, "only_second": c, "discordant_patients": b + c}


@pytest.mark.parametrize("cells", [(101, 59, 33, 121), (400, 13, 12, 80), (12, 5, 90, 20)])
def test_many_discordant_images_are_tested_by_chi_square(cells: tuple[int, int, int, int]) -> None:
    a, b, c, d = cells
    peer = statsmodels_mcnemar([[a, b], [c, d]], exact=False, correction=True)
    found = mcnemar(*_answers(*cells), _sample(sum(cells)))
    assert (found.statistic, found.p_value) == pytest.approx((peer.statistic, peer.pvalue), rel=1e-12)
    assert "continuity corrected" in found.method


def test_equal_counts_have_p_one() -> None:
    """The correction must not carry the difference past 0, as R's mcnemar.test has it too."""
    found = mcnemar(*_answers(10, 40, 40, 10), _sample(100))
    assert (found.statistic, found.p_value) == (0.0, 1.0)


def test_clustered_statistic_is_obuchowskis_before_it_is_simplified() -> None:
    """Variances and covariance of the two proportions, with the pooled one under the null (her equations 2 to 6)."""
    generator = np.random.default_rng(1)
    groups = generator.integers(0, 60, 400)
    one, other = generator.random(400) < 0.8, generator.random(400) < 0.7
    x = np.array([[one[groups == k].sum(), other[groups == k].sum()] for k in np.unique(groups)], dtype=float)
    n = np.array([np.count_nonzero(groups == k) for k in np.unique(groups)])
    k, pooled = len(n), x.sum() / (2 * n.sum())
    residual = x - n[:, None] * pooled
    covariance = k / (k - 1) * residual.T @ residual / n.sum() ** 2
    difference = (x[:, 0].sum() - x[:, 1].sum()) / n.sum()
    statistic = difference**2 / (covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = mcnemar(one, other, _sample(400, groups))
    assert (found.statistic, found.p_value) == pytest.approx((statistic, chi2.sf(statistic, 1)), rel=1e-12)
    assert "Obuchowski 1998" in found.method
    assert found.counts["discordant_patients"] == np.count_nonzero(x[:, 0] != x[:, 1])


def test_clustered_by_hand() -> None:
    """Thirty patients of two images: 20 lead by 2, 6 by -1, 4 by 0: 29/30 * 34^2 / 86."""
    lead = np.repeat([2, -1, 0], [20, 6, 4])
    one = np.concatenate([[v == 2, v == 2] for v in lead])
    other = np.concatenate([[v == -1, False] for v in lead])
    found = mcnemar(one, other, _sample(60, np.repeat(np.arange(30), 2)))
    assert found.statistic == pytest.approx(29 / 30 * 34**2 / 86)
    assert found.counts == {"only_first": 40, "only_second": 6, "discordant_patients": 26}


def test_few_discordant_patients_are_tested_over_all_exchanges() -> None:
    """Every exchange of the readers within patients, enumerated."""
    generator = np.random.default_rng(4)
    groups = np.repeat(np.arange(10), [1, 2, 3, 4, 5, 1, 2, 3, 4, 5])
    one, other = generator.random(30) < 0.9, generator.random(30) < 0.5
    lead = np.array([one[groups == k].sum() - other[groups == k].sum() for k in range(10)])
    sums = [abs(np.dot(signs, lead)) for signs in product((1, -1), repeat=10)]
    found = mcnemar(one, other, _sample(30, groups))
    assert found.p_value == pytest.approx(np.mean(np.array(sums) >= abs(lead.sum())), abs=1e-14)
    assert found.statistic == abs(lead.sum())
    assert "exact" in found.method


@pytest.mark.parametrize("few", [True, False])
def test_copies_of_every_image_do_not_make_a_difference_surer(few: bool) -> None:
    """Fails where images are counted as if each were another patient's."""
    groups = np.repeat(np.arange(60), 2)
    generator = np.random.default_rng(7)
    one, other = generator.random(120) < (0.97 if few else 0.8), generator.random(120) < (0.9 if few else 0.65)
    base = mcnemar(one, other, _sample(120, groups))
    fivefold = mcnemar(np.repeat(one, 5), np.repeat(other, 5), _sample(600, np.repeat(groups, 5)))
    assert ("exact" in base.method) == few
    assert fivefold.p_value == pytest.approx(base.p_value, rel=1e-9)
    by_image = mcnemar(np.repeat(one, 5), np.repeat(other, 5), _sample(600))
    assert by_image.p_value < 0.1 * base.p_value


def test_one_patient_and_no_image_have_no_p_value() -> None:
    one, other = _answers(2, 1, 0, 0)
    alone = mcnemar(one, other, _sample(3, np.zeros(3, dtype=int)))
    assert np.isnan(alone.p_value)
    assert alone.reason == "one patient: nothing to compare"
    nobody = mcnemar(one[:0], other[:0], _sample(0))
    assert nobody.reason == "no image"
    image = mcnemar(one[:1], other[:1], Sample(np.array([1]), np.array([0]), False))
    assert image.reason == "one image: nothing to compare"


def test_other_lengths_are_refused() -> None:
    with pytest.raises(TableError, match="3 and 2 answers for 3 images"):
        mcnemar(np.ones(3, dtype=bool), np.ones(2, dtype=bool), _sample(3))


def _step_down(p_values: list[float]) -> list[float]:
    """Holm 1979 by his definition: the k-th smallest of m times m - k + 1, never below the one before, at most 1."""
    m, largest, adjusted = len(p_values), 0.0, {}
    for k, at in enumerate(sorted(range(m), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (m - k) * p_values[at]))
        adjusted[at] = largest
    return [adjusted[at] for at in range(m)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_the_step_down_of_its_definition(p_values: list[float]) -> None:
    np.testing.assert_allclose(holm(p_values), _step_down(p_values), rtol=1e-12)


@pytest.mark.parametrize("m", [1, 5, 12])
def test_holm_is_that_of_statsmodels(m: int) -> None:
    """Few examples: each call of theirs collects all garbage of the process, seconds of a long run of tests."""
    p_values = np.random.default_rng(m).random(m).round(1) / 4  # ties among them
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1], rtol=1e-12)


def test_holm_by_hand_and_with_what_is_undefined() -> None:
    """Sorted 0.01, 0.03, 0.04 times 3, 2, 1: the last may not fall below the one before."""
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm([0.04, np.nan, 0.01, 0.03, np.nan]), [0.06, np.nan, 0.03, 0.06, np.nan])
    assert holm([]).shape == (0,)
    assert np.isnan(holm([np.nan])).all()


number = st.floats(0, 50) | st.just(float("nan"))


@settings(max_examples=30, deadline=None)
@given(statistic=number, p=number, patients=st.none() | st.integers(0, 9), reason=st.none() | st.text())
def test_json_round_trip(statistic: float, p: float, patients: int | None, reason: str | None) -> None:
    test = HypothesisTest("McNemar", statistic, p, "method", 3, 4, patients, {"only_first": 2}, reason)
    back = HypothesisTest.from_dict(json.loads(json.dumps(test.to_dict(), allow_nan=False)))
    assert repr(back) == repr(test)


def test_text_of_a_test() -> None:
    test = HypothesisTest("McNemar", 2.0, 0.0312, "exact binomial", 3, 4, 7)
    assert str(test) == "McNemar: p = 0.031 (exact binomial)"
    assert str(HypothesisTest("DeLong", 9.0, 1e-9, "m", 3, 4, 7)) == "DeLong: p < 0.001 (m)"

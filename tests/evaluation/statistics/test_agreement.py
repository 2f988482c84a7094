from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from cxreader.errors import TableError
from cxreader.evaluation.statistics.agreement import agreement_and_kappa, agreements, all_alike


def test_hand_computed_kappa() -> None:
    # Cohen's table: 20 both abnormal, 5 the first alone, 10 the second alone, 15 neither, of 50.
    first = np.repeat([True, True, False, False], [20, 5, 10, 15])
    second = np.repeat([True, False, True, False], [20, 5, 10, 15])
    alike, kappa = agreement_and_kappa(first, second)(np.ones((1, 50)))
    assert alike[0, 0] == pytest.approx(0.7)
    # By chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    assert kappa[0, 0] == pytest.approx(0.4)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 80))
def test_kappa_equals_scikit_learn_with_weights(seed: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    first, second = generator.random((2, 3, n)) < 0.5
    first[:, :2] = True, False  # both answers occur, so that kappa is defined
    weight = generator.integers(0, 4, (2, n)).astype(float)
    weight[:, :2] = 1
    alike, found = agreement_and_kappa(first, second)(weight)
    assert found.shape == (2, 3)
    for b, row in enumerate(weight):
        for m in range(3):
            expected = cohen_kappa_score(first[m], second[m], sample_weight=row)
            assert found[b, m] == pytest.approx(expected, abs=1e-12)
            assert alike[b, m] == pytest.approx(np.average(first[m] == second[m], weights=row))


def test_kappa_is_undefined_where_both_give_one_answer_and_zero_where_one_does() -> None:
    always, mixed = np.ones(6, dtype=bool), np.arange(6) % 2 == 0
    once = np.ones((1, 6))
    alike, kappa = agreement_and_kappa(always, always)(once)
    assert np.isnan(kappa[0, 0])
    assert alike[0, 0] == 1
    assert agreement_and_kappa(always, mixed)(once)[1][0, 0] == 0


def test_all_alike_counts_images_on_which_nobody_differs() -> None:
    decisions = np.array([[1, 1, 0, 0, 1], [1, 0, 0, 0, 1], [1, 1, 0, 1, 1]], dtype=bool)
    assert all_alike(decisions, np.ones((1, 5)))[0] == pytest.approx(3 / 5)
    assert all_alike(decisions, np.array([[1.0, 5, 1, 0, 0]]))[0] == pytest.approx(2 / 7)


def test_pairs_of_trainings_are_averaged_in_order_and_the_rest_stays_out() -> None:
    generator = np.random.default_rng(3)
    a, b, c = generator.random((3, 30)) < 0.5, generator.random((2, 30)) < 0.5, generator.random((1, 30)) < 0.5
    values = agreements([a, b, c])(np.ones((1, 30)))
    assert next(iter(values)) == "all_agree"
    assert values["kappa 0 1"][0] == pytest.approx(np.mean([cohen_kappa_score(a[i], b[i]) for i in (0, 1)]))
    assert values["kappa 1 2"][0] == pytest.approx(cohen_kappa_score(b[0], c[0]))
    assert values["agreement 0 2"][0] == pytest.approx(np.mean(a[0] == c[0]))
    assert values["all_agree"][0] == pytest.approx(np.mean((a[0] == b[0]) & (b[0] == c[0])))


def test_one_network_agrees_with_itself() -> None:
    assert agreements([np.zeros((2, 4), dtype=bool)])(np.ones((1, 4))) == {"all_agree": np.ones(1)}


def test_unequal_numbers_of_images_are_refused() -> None:
    with pytest.raises(TableError, match="same images"):
        agreement_and_kappa(np.ones(3, dtype=bool), np.ones(4, dtype=bool))
    with pytest.raises(TableError, match="same images"):
        agreements([np.ones((1, 3), dtype=bool), np.ones((1, 4), dtype=bool)])

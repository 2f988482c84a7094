from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreader.evaluation.holm import holm


def test_hand_computed() -> None:
    # 3 x 0.01, then 2 x 0.03, then 0.04, which may not fall below the one before.
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])


def test_a_test_that_was_not_made_is_not_counted() -> None:
    np.testing.assert_allclose(holm([np.nan, 0.02, np.nan, 0.9]), [np.nan, 0.04, np.nan, 0.9])
    assert len(holm([])) == 0


@settings(max_examples=40, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_equals_statsmodels(p: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    np.testing.assert_allclose(holm(p), multitest.multipletests(p, method="holm")[1], atol=1e-12)

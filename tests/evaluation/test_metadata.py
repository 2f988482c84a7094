from __future__ import annotations

import numpy as np

from cxreader.evaluation.metadata import RARE, metadata_features


def test_numbers_have_their_gaps_at_the_median_and_marked() -> None:
    found = metadata_features({"age": np.array([10.0, np.nan, 30.0, 50.0])}, 4)
    assert found.names == ("age", "age missing")
    np.testing.assert_array_equal(found.features, [[10, 0], [30, 1], [30, 0], [50, 0]])
    assert found.used == ("age",)


def test_texts_are_one_hot_with_rare_values_together_and_gaps_apart() -> None:
    view = np.array(["AP"] * RARE + ["PA"] * RARE + ["LL", "RL", ""])
    found = metadata_features({"view": view}, len(view))
    assert found.names == ("view AP", "view PA", "view rare", "view missing")
    np.testing.assert_array_equal(found.features.sum(axis=1), 1)
    np.testing.assert_array_equal(found.features[-3:], [[0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def test_only_what_is_there_and_varies_and_never_a_label_in_disguise() -> None:
    n = 2 * RARE
    columns = {
        "findings": np.array(["Mass", ""] * RARE),
        "decision": np.array(["abnormal", "normal"] * RARE),
        "source": np.full(n, "nih"),
        "sex": np.full(n, ""),
        "age": np.full(n, np.nan),
        "follow_up": np.arange(n, dtype=np.float64),
    }
    found = metadata_features(columns, n)
    assert found.names == ("follow_up",)
    assert metadata_features({}, n).features.shape == (n, 0)

from __future__ import annotations

import numpy as np

from cxreader.evaluation.shortcuts.metadata import COMMONEST, RARE, metadata_features


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


def test_of_many_values_the_most_frequent_keep_a_column_and_the_rest_share_one() -> None:
    often = np.where(np.arange(400) % 20 == 7, 3 * RARE, RARE)
    size = np.repeat([f"{k:03d} x 1" for k in range(400)], often)
    found = metadata_features({"size": np.random.default_rng(0).permutation(size)}, len(size))
    commonest = [k for k in range(400) if k % 20 == 7]
    first = [k for k in range(400) if k % 20 != 7][: COMMONEST - len(commonest)]
    assert COMMONEST == 30
    assert found.names == (*(f"size {k:03d} x 1" for k in sorted(commonest + first)), "size rare")
    np.testing.assert_array_equal(found.features.sum(axis=1), 1)


def test_a_gap_takes_no_place_among_the_commonest() -> None:
    size = np.repeat(["", *(f"{k:02d}" for k in range(COMMONEST))], 2 * RARE)
    found = metadata_features({"size": size}, len(size))
    assert found.names == (*(f"size {k:02d}" for k in range(COMMONEST)), "size missing")


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

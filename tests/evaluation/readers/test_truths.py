from __future__ import annotations

import numpy as np
import pytest
from tests.evaluation.readers.world import readings_of

from cxreader.errors import DataError
from cxreader.evaluation.readers.truths import NO_TRUTH, is_majority, majority, makers_of, truths_of

VOTES = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 1, -1], [0, 0, 0, 1]], np.int8)


def test_majority_leaves_ties_out() -> None:
    assert majority(VOTES[:3]).tolist() == [1, 1, 1, 0]
    assert majority(VOTES).tolist() == [-1, -1, -1, 0]
    assert majority(VOTES[2:3]).tolist() == [0, 1, 1, -1]


def test_a_member_is_judged_by_the_others_alone() -> None:
    found = truths_of(readings_of(VOTES), ("a", "b", "c"), None)
    assert found.common.tolist() == [1, 1, 1, 0]
    # b and c, without a: divided on image 0 and 2.
    assert found.each[0].tolist() == [-1, 1, -1, 0]
    assert found.each[3].tolist() == [1, 1, 1, 0]
    assert found.setters == (frozenset({1, 2}), frozenset({0, 2}), frozenset({0, 1}), frozenset({0, 1, 2}))


def test_no_readers_vote_reaches_his_own_truth() -> None:
    """Whatever a member says, his own truth stays: the promise itself, for every member and random votes."""
    votes = np.random.default_rng(0).integers(0, 2, (5, 40)).astype(np.int8)
    panel = ("a", "b", "c", "d", "e")
    before = truths_of(readings_of(votes), panel, None)
    for k in range(5):
        turned = votes.copy()
        turned[k] = 1 - turned[k]
        after = truths_of(readings_of(turned), panel, None)
        assert after.each[k].tolist() == before.each[k].tolist()
        assert after.common.tolist() != before.common.tolist()


def test_without_a_panel_the_label_counts() -> None:
    label = np.array([0, 1, -1, 1], np.int8)
    found = truths_of(readings_of(VOTES), (), label)
    assert found.common.tolist() == label.tolist()
    assert all(row.tolist() == label.tolist() for row in found.each)
    assert found.setters == (frozenset(),) * 4
    for nothing in (None, np.full(4, -1, np.int8)):
        none = truths_of(readings_of(VOTES), (), nothing)
        assert none.words == NO_TRUTH
        assert (none.common < 0).all()
        assert (none.each < 0).all()


def test_panels_that_are_none() -> None:
    with pytest.raises(DataError, match="no reader is named 'x'"):
        truths_of(readings_of(VOTES), ("a", "x"), None)
    with pytest.raises(DataError, match="a panel of one reader is no majority"):
        truths_of(readings_of(VOTES), ("a",), None)


def test_readers_who_made_the_label_are_found() -> None:
    votes = np.random.default_rng(1).integers(0, 2, (5, 60)).astype(np.int8)
    assert makers_of(votes, majority(votes[[0, 2, 4]])) == (0, 2, 4)
    assert makers_of(votes, majority(votes)) == (0, 1, 2, 3, 4)
    assert makers_of(votes, 1 - majority(votes)) == ()


def test_no_readers_made_a_label_that_says_nothing() -> None:
    votes = np.random.default_rng(1).integers(0, 2, (5, 60)).astype(np.int8)
    assert makers_of(votes, np.full(60, -1, np.int8)) == ()
    nowhere = truths_of(readings_of(votes), ("a", "b", "c"), None)
    assert not is_majority(np.full(60, -1, np.int8), nowhere)
    assert is_majority(majority(votes[:3]), nowhere)
    assert not is_majority(1 - majority(votes[:3]), nowhere)


def test_a_panel_that_called_nothing_is_refused() -> None:
    """Ratings are no calls: the truth would be undefined everywhere, and every figure with it."""
    ratings = readings_of(scores=np.ones((1, 3, 4)))
    with pytest.raises(
        DataError, match="the panel gave no calls under the modality x: a, b, c said of no image normal or abnormal"
    ):
        truths_of(ratings, ("a", "b", "c"), np.array([0, 1, 0, 1], np.int8))
    one_silent = VOTES.copy()
    one_silent[1] = -1
    with pytest.raises(DataError, match="the panel gave no calls under the modality x: b said of no image"):
        truths_of(readings_of(one_silent), ("a", "b", "c"), None)


def test_a_panel_that_is_divided_everywhere_is_refused() -> None:
    votes = np.array([[1, 0, 1], [0, 1, 0]], np.int8)
    with pytest.raises(DataError, match=r"the panel \(a, b\) is divided on every image"):
        truths_of(readings_of(votes), ("a", "b"), None)

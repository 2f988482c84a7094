from __future__ import annotations

import numpy as np
import pytest
from tests.evaluation.readers.world import readings_of

from cxreader.evaluation.readers.arbitration import SecondReader, second_reader
from cxreader.evaluation.readers.truths import truths_of
from cxreader.evaluation.statistics.intervals import Sample

TRUTH = np.array([1, 1, 1, 1, 0, 0, 0, 0], np.int8)
READER = np.array([1, 1, 0, 0, 0, 0, 1, 1], np.int8)
MODEL = np.array([1, 0, 1, 0, 0, 1, 1, 0], bool)
KIND, STERN = np.array([1, 1, 1, 0, 0, 0, 0, 0], np.int8), np.array([0, 0, 1, 1, 1, 1, 1, 1], np.int8)


def judged(votes: np.ndarray, panel: tuple[str, ...] = ()) -> tuple[SecondReader, ...]:
    found = truths_of(readings_of(votes), panel, TRUTH)
    sample = Sample(found.common.astype(np.int64), np.arange(len(TRUTH)))
    return second_reader(votes, tuple("abcdefgh"[: len(votes)]), found, MODEL, sample, n_resamples=60)


def test_every_way_of_reading_by_hand() -> None:
    """Reader and model differ on images 1, 2, 5 and 7: there KIND says 1, 1, 0, 0 and STERN 0, 1, 1, 1."""
    first = judged(np.stack([READER, KIND, STERN]))[0]
    assert first.reader == "a"
    assert first.arbiters == ("b", "c")
    alone, arbiter, either, both = first.schemes
    assert [scheme.scheme for scheme in first.schemes] == ["alone", "arbiter", "either", "both"]
    assert (alone.missed, alone.false_alarms) == (2, 2)
    # Missed: image 3 by both, and image 1 by STERN; false alarms: image 6 by both, images 5 and 7 by STERN.
    assert (arbiter.missed, arbiter.false_alarms) == (1.5, 2)
    assert (either.missed, either.false_alarms) == (1, 3)
    assert (both.missed, both.false_alarms) == (3, 1)
    assert arbiter.asked is not None
    assert arbiter.asked.value == 0.5
    assert arbiter.rates["sensitivity"].value == pytest.approx(1 - 1.5 / 4)
    assert arbiter.change["sensitivity"].value == pytest.approx(0.5 / 4)
    assert either.change["specificity"].value == pytest.approx(-1 / 4)
    assert alone.change == {}


def test_nobody_arbitrates_who_sets_the_truth() -> None:
    votes = np.stack([READER, KIND, STERN, TRUTH])
    found = judged(votes, panel=("b", "c", "d"))
    assert [one.arbiters for one in found] == [(), ("a",), ("a",), ("a",), ()]
    # For a reader outside the panel nobody is left, so that for all of them together there is no arbiter either.
    assert [scheme.scheme for scheme in found[0].schemes] == ["alone", "either", "both"]
    assert [scheme.scheme for scheme in found[-1].schemes] == ["alone", "either", "both"]


def test_an_image_that_an_arbiter_did_not_read_counts_for_no_way() -> None:
    gaps = KIND.copy()
    gaps[[0, 1]] = -1
    first = judged(np.stack([READER, gaps, STERN]))[0]
    assert (first.images, first.left_out) == (6, 2)
    assert first.schemes[0].missed == 2  # images 2 and 3


def test_the_mean_over_the_readers_is_the_mean_of_their_rates() -> None:
    *each, mean = judged(np.stack([READER, KIND, STERN]))
    assert mean.reader == ""
    for k, scheme in enumerate(mean.schemes):
        for rate in ("sensitivity", "specificity"):
            assert scheme.rates[rate].value == pytest.approx(
                np.mean([one.schemes[k].rates[rate].value for one in each])
            )
        assert scheme.missed == pytest.approx(np.mean([one.schemes[k].missed for one in each]))


def test_a_model_that_always_agrees_changes_nothing() -> None:
    votes = np.stack([MODEL.astype(np.int8), KIND, STERN])
    first = judged(votes)[0]
    assert first.schemes[1].asked is not None
    assert first.schemes[1].asked.value == 0
    for scheme in first.schemes[1:]:
        assert scheme.change["sensitivity"].value == scheme.change["specificity"].value == 0

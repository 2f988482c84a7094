from __future__ import annotations

import json

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
    assert [scheme.scheme for scheme in found[0].schemes] == ["alone", "either", "both"]


def test_the_mean_with_an_arbiter_is_over_those_who_have_one() -> None:
    """For the only reader outside the panel nobody is left: the others' mean stands, against these others alone."""
    other = np.array([1, 1, 0, 1, 0, 0, 1, 0], np.int8)
    *each, mean = judged(np.stack([READER, KIND, TRUTH, other]), panel=("b", "c", "d"))
    assert [(scheme.scheme, scheme.n_readers) for scheme in mean.schemes] == [
        ("alone", 4),
        ("arbiter", 3),
        ("either", 4),
        ("both", 4),
    ]
    arbiter, having = mean.schemes[1], [one.schemes[1] for one in each[1:]]
    for rate in ("sensitivity", "specificity"):
        assert arbiter.rates[rate].value == pytest.approx(np.mean([one.rates[rate].value for one in having]))
        alone = np.mean([one.schemes[0].rates[rate].value for one in each[1:]])
        assert arbiter.change[rate].value == pytest.approx(arbiter.rates[rate].value - alone)
        assert alone != pytest.approx(mean.schemes[0].rates[rate].value)
    assert arbiter.missed == pytest.approx(np.mean([one.missed for one in having]))
    assert arbiter.asked is not None
    assert arbiter.asked.value == pytest.approx(np.mean([one.asked.value for one in having if one.asked is not None]))
    assert each[1].schemes[1].n_readers == 0


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


def test_who_read_nothing_is_in_no_mean_and_nobodys_arbiter() -> None:
    nothing = np.full(8, -1, np.int8)
    *each, empty, mean = judged(np.stack([READER, KIND, STERN, nothing]))
    *_, without = judged(np.stack([READER, KIND, STERN]))
    assert each[0].arbiters == ("b", "c")
    assert (mean.without_images, without.without_images) == (1, 0)
    for scheme, expected in zip(mean.schemes, without.schemes, strict=True):
        assert (scheme.missed, scheme.false_alarms) == (expected.missed, expected.false_alarms)
        for rate in ("sensitivity", "specificity"):
            assert scheme.rates[rate].value == expected.rates[rate].value
            assert (scheme.rates[rate].low, scheme.rates[rate].high) == (
                expected.rates[rate].low,
                expected.rates[rate].high,
            )
    assert mean.schemes[1].asked is not None
    assert without.schemes[1].asked is not None
    assert mean.schemes[1].asked.value == without.schemes[1].asked.value
    assert empty.images == 0
    assert all(np.isnan([scheme.missed, scheme.false_alarms]).all() for scheme in empty.schemes)
    assert empty.schemes[0].rates["sensitivity"].reason == "no abnormal image"
    again = SecondReader.from_dict(json.loads(json.dumps(empty.to_dict(), allow_nan=False)))
    assert again.to_dict() == empty.to_dict()


def test_where_nothing_could_be_judged_nothing_is_zero() -> None:
    halves = np.stack([READER, KIND, STERN])
    halves[0, 4:], halves[1, :4], halves[2, 4:] = -1, -1, -1
    mean = judged(halves)[-1]
    assert mean.without_images == 3
    assert np.isnan(mean.schemes[0].missed)
    assert mean.schemes[0].rates["sensitivity"].reason == "no abnormal image that he and every arbiter read"


def test_a_mean_is_over_those_who_read_the_class() -> None:
    """A reader of whom no abnormal image counts takes nothing from the others' mean sensitivity."""
    half = READER.copy()
    half[:4] = -1
    half[4:] = TRUTH[4:]
    votes = np.stack([half, KIND, READER])
    votes[1:, 4:] = 0
    *each, mean = judged(votes, panel=("a", "b", "c"))
    missed = [one.schemes[0].missed for one in each]
    assert np.isnan(missed).tolist() == [True, False, False]
    assert mean.without_images == 0
    assert mean.schemes[0].missed == np.mean(missed[1:])
    assert mean.schemes[0].rates["sensitivity"].value == pytest.approx(
        np.mean([one.schemes[0].rates["sensitivity"].value for one in each[1:]])
    )
    assert mean.schemes[0].false_alarms == np.mean([one.schemes[0].false_alarms for one in each])

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score
from tests.evaluation.readers.world import readings_of

from cxreader.errors import DataError
from cxreader.evaluation.readers.study import LABEL, ReaderStudy, study_readers
from cxreader.evaluation.readers.truths import NO_TRUTH, majority

N = 80
RANDOM = np.random.default_rng(5)
TRUTH = np.arange(N) % 2
VOTES = np.where(RANDOM.random((4, N)) < 0.15, 1 - TRUTH, TRUTH).astype(np.int8)
PROBABILITY = 1 / (1 + np.exp(-RANDOM.normal(2 * TRUTH - 1, 1)))


def study(
    votes: np.ndarray = VOTES, label: np.ndarray | None = None, panel: tuple[str, ...] | None = None
) -> ReaderStudy:
    n = votes.shape[1]
    return study_readers(
        readings_of(votes),
        groups=np.arange(n) // 2,
        patients_known=True,
        panel=panel,
        label=label,
        probability=PROBABILITY[:n],
        threshold=0.5,
        n_resamples=40,
    )


def test_images_that_nobody_read_are_left_out_everywhere() -> None:
    votes = VOTES.copy()
    votes[:, :20] = -1
    found = study(votes, TRUTH.astype(np.int8))
    alone = study_readers(
        readings_of(VOTES[:, 20:]),
        groups=np.arange(20, N) // 2,
        patients_known=True,
        label=TRUTH[20:].astype(np.int8),
        probability=PROBABILITY[20:],
        threshold=0.5,
        n_resamples=40,
    )
    assert found.images == 60
    assert found.to_dict() == alone.to_dict()


def test_it_survives_the_file() -> None:
    found = study(label=TRUTH.astype(np.int8), panel=("a", "b", "c"))
    again = ReaderStudy.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.to_dict() == found.to_dict()
    assert again.readers[0].in_panel
    assert again.second[-1].reader == ""
    assert len(again.comparisons) == 3


def test_the_label_is_a_rater_only_beside_a_panel() -> None:
    beside = study(label=TRUTH.astype(np.int8), panel=("a", "b", "c"))
    assert beside.latent is not None
    assert [rater.rater for rater in beside.latent.raters] == ["a", "b", "c", "d", LABEL]
    assert beside.label is not None
    alone = study(label=TRUTH.astype(np.int8))
    assert alone.latent is not None
    assert [rater.rater for rater in alone.latent.raters] == ["a", "b", "c", "d"]
    assert alone.label is None


def test_a_label_that_is_the_panels_majority_is_told() -> None:
    found = study(label=majority(VOTES[:3]), panel=("a", "b", "c"))
    assert "the table's label is the panel's majority: as a reader it says nothing, and has no row" in found.notes
    assert found.label is None
    assert found.latent is not None
    assert [rater.rater for rater in found.latent.raters] == ["a", "b", "c", "d"]
    assert any("his are the easier ones" in note for note in found.notes)


def test_readers_who_made_the_label_are_the_panel() -> None:
    """No reader is judged by a truth that holds his own vote, named as panel or not; `()` has the label all the same."""
    label = majority(VOTES[:3])
    found, named, asked = study(label=label), study(label=label, panel=("a", "b", "c")), study(label=label, panel=())
    made = "the table's label is the majority of a, b, c on every image: they are "
    assert found.panel == ("a", "b", "c")
    assert (
        f"{made}taken for the panel, each judged by the others; --panel-readers none: all by the label" in found.notes
    )
    assert {**found.to_dict(), "notes": []} == {**named.to_dict(), "notes": []}
    assert [one.arbiters for one in found.second] == [("d",), ("d",), ("d",), (), ()]
    assert asked.panel == ()
    assert f"{made}judged by their own votes; without --panel-readers none they are the panel" in asked.notes
    assert asked.readers[0].left_out == 0 < found.readers[0].left_out
    assert asked.readers[0].kappa.value > found.readers[0].kappa.value


def test_why_readers_are_not_compared_is_told() -> None:
    told = "readers are not compared as a sample of readers: "
    assert f"{told}there is one" in study(VOTES[:1], TRUTH.astype(np.int8)).notes
    mixed = readings_of(np.stack([VOTES[0], np.full(N, -1)]), np.stack([np.full(N, np.nan), PROBABILITY])[None])
    found = study_readers(
        mixed,
        groups=np.arange(N) // 2,
        patients_known=True,
        label=TRUTH.astype(np.int8),
        probability=PROBABILITY,
        threshold=0.5,
        n_resamples=40,
    )
    assert f"{told}not all of them called, or rated, images of every modality" in found.notes
    assert not any(note.startswith(told) for note in _alone(VOTES, label=TRUTH.astype(np.int8)).notes)


@pytest.mark.parametrize("readers", [2, 4])
def test_what_the_jackknife_cannot_bear_is_told_and_the_rest_stands(readers: int) -> None:
    label = np.ones(20, np.int8)
    label[:2] = 0  # one patient with normal images: without him there is no specificity
    found = study(VOTES[:readers, :20], label)
    assert found.comparisons == ()
    assert [note for note in found.notes if note.startswith("readers are not compared as a sample of readers")]
    assert found.readers[0].rates["sensitivity"].value > 0
    assert (found.latent is None) == (readers == 2)


def _alone(votes: np.ndarray | None = None, scores: np.ndarray | None = None, **more: Any) -> ReaderStudy:
    """Readers without a model."""
    readings = readings_of(votes, scores)
    n = len(readings.image)
    return study_readers(readings, groups=np.arange(n) // 2, patients_known=True, n_resamples=40, **more)


def test_without_a_truth_kappas_and_qualities_stand() -> None:
    found = _alone(VOTES)
    assert found.truth == NO_TRUTH
    assert (found.readers, found.comparisons, found.ratings) == ((), (), ())
    assert (found.images, found.n_abnormal, found.n_normal, found.undecided) == (N, 0, 0, N)
    assert found.agreements[0].kappa.value == pytest.approx(cohen_kappa_score(VOTES[0], VOTES[1]))
    assert found.latent is not None
    assert any("no sensitivity and no specificity stands here" in note for note in found.notes)
    assert ReaderStudy.from_dict(found.to_dict()).to_dict() == found.to_dict()
    two = _alone(VOTES[:2])
    assert (len(two.agreements), two.latent) == (1, None)
    assert "qualities without a truth need 3 readers" in two.notes


def test_without_a_truth_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(DataError, match="one reader agrees with nobody"):
        _alone(VOTES[:1])
    with pytest.raises(DataError, match="ratings alone cannot be judged"):
        _alone(scores=np.ones((1, 3, N)))
    with pytest.raises(DataError, match="nothing says which images are abnormal"):
        study()


def test_ratings_of_each_reader_have_their_auc() -> None:
    scores = np.round(RANDOM.normal(TRUTH * 1.5, 1, (1, 3, N)), 1)
    scores[0, 1, :40] = np.nan
    scores[0, 2] = np.nan
    found = _alone(scores=scores, label=TRUTH.astype(np.int8))
    assert [(one.reader, one.modality) for one in found.ratings] == [("a", "x"), ("b", "x"), ("c", "x")]
    for one, rated in zip(found.ratings, (slice(None), slice(40, None)), strict=False):
        assert one.auc.value == pytest.approx(roc_auc_score(TRUTH[rated], scores[0, "abc".index(one.reader), rated]))
        assert one.auc.low < one.auc.value < one.auc.high
    assert (found.ratings[1].auc.n_positive, found.ratings[1].auc.n_negative) == (20, 20)
    assert np.isnan(found.ratings[2].auc.value)
    assert found.ratings[2].auc.reason == "no image"


def test_who_called_nothing_has_no_quality() -> None:
    votes = VOTES.copy()
    votes[0] = -1
    found = _alone(votes)
    assert found.latent is not None
    assert [rater.rater for rater in found.latent.raters] == ["b", "c", "d"]
    assert _alone(votes[:3]).latent is None, "two raters have no latent class"
    assert _alone(votes, label=TRUTH.astype(np.int8)).readers[0].kappa.reason == "no image"

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.evaluation.readers.world import readings_of

from cxreader.evaluation.readers.study import LABEL, ReaderStudy, study_readers
from cxreader.evaluation.readers.truths import majority

N = 80
RANDOM = np.random.default_rng(5)
TRUTH = np.arange(N) % 2
VOTES = np.where(RANDOM.random((4, N)) < 0.15, 1 - TRUTH, TRUTH).astype(np.int8)
PROBABILITY = 1 / (1 + np.exp(-RANDOM.normal(2 * TRUTH - 1, 1)))


def study(votes: np.ndarray = VOTES, label: np.ndarray | None = None, panel: tuple[str, ...] = ()) -> ReaderStudy:
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
    assert "the table's label is the panel's majority: as a reader it says nothing" in found.notes
    assert any("his are the easier ones" in note for note in found.notes)


@pytest.mark.parametrize("readers", [2, 4])
def test_what_the_jackknife_cannot_bear_is_told_and_the_rest_stands(readers: int) -> None:
    label = np.ones(20, np.int8)
    label[:2] = 0  # one patient with normal images: without him there is no specificity
    found = study(VOTES[:readers, :20], label)
    assert found.comparisons == ()
    assert [note for note in found.notes if note.startswith("readers are not compared as a sample of readers")]
    assert found.readers[0].rates["sensitivity"].value > 0
    assert (found.latent is None) == (readers == 2)

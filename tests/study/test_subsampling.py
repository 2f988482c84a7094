"""Subsampling to a prevalence: the share, the images that stay by a hash computed here, nested choices, the test part."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import pytest

from cxreader.data.index import Index
from cxreader.data.sources import open_source
from cxreader.data.split import PARTS, Split, make_split
from cxreader.records import ABNORMAL, ImageRecord
from cxreader.study.subsampling import cut_to_patients, subsample_to_prevalence


def _by_hand(patient: str) -> str:
    """The order in which patients are kept, as documented: BLAKE2b of salt, source and patient."""
    return hashlib.blake2b(f"cxreader-thinned\x1fward\x1f{patient}".encode(), digest_size=8).hexdigest()


def _cohort(normal: int, abnormal: int) -> tuple[Index, Split]:
    """Patients of one class and two images each, all in train but one of each class in every other part."""
    names = [(f"n{k:02d}", 0) for k in range(normal)] + [(f"a{k:02d}", ABNORMAL) for k in range(abnormal)]
    names += [(f"{part} {label}", label) for part in PARTS[1:] for label in (0, 1)]
    records = tuple(
        ImageRecord(f"{name}_{visit}.png", label, patient=name, source="ward")
        for name, label in names
        for visit in (0, 1)
    )
    parts = {
        part: tuple(sorted(r.image for r in records if str(r.patient).partition(" ")[0] == part)) for part in PARTS[1:]
    }
    train = tuple(sorted(r.image for r in records if " " not in str(r.patient)))
    split = Split(
        kind="patient",
        salt=0,
        shares=(0.7, 0.15, 0.15),
        balance="natural",
        abnormal_share=None,
        size=None,
        parts={"train": train, **parts},
        surplus={part: n for n, part in enumerate(PARTS, 5)},
        patients=True,
    )
    return Index(records, name="ward", kind="table", root="ward"), split


def _kept(split: Split, first: str) -> list[str]:
    return [image for image in split.parts["train"] if image.startswith(first)]


def test_the_images_that_stay_are_the_first_by_their_patients_hash() -> None:
    index, split = _cohort(normal=8, abnormal=8)
    order = sorted((f"a{k:02d}" for k in range(8)), key=_by_hand)
    assert order != sorted(order)
    # 16 normal images at 20 % abnormal leave 4 abnormal ones: both images of two patients.
    found = subsample_to_prevalence(split, index, 0.2)
    assert _kept(found, "a") == sorted(f"{patient}_{visit}.png" for patient in order[:2] for visit in (0, 1))
    assert _kept(found, "n") == _kept(split, "n")
    # 15 %: round(16 * 0.15 / 0.85) = 3, the second patient's first image alone.
    assert _kept(subsample_to_prevalence(split, index, 0.15), "a") == sorted(
        f"{patient}_{visit}.png" for patient, visit in ((order[0], 0), (order[0], 1), (order[1], 0))
    )
    assert found.surplus == {"train": 5 + 12, "tune": 6 + 2, "calibrate": 7 + 2, "test": 8}
    assert found.notes[-1].startswith("train, tune and calibrate thinned to 20% abnormal images")


def test_a_farther_share_keeps_a_subset() -> None:
    index, split = _cohort(normal=20, abnormal=20)
    few = [set(_kept(subsample_to_prevalence(split, index, share), "a")) for share in (0.1, 0.2, 0.3, 0.4)]
    assert all(a < b for a, b in pairwise(few))
    many = [set(_kept(subsample_to_prevalence(split, index, share), "n")) for share in (0.9, 0.8, 0.7, 0.6)]
    assert all(a < b for a, b in pairwise(many))


def test_the_share_that_is_there_leaves_all_as_it_is() -> None:
    index, split = _cohort(normal=8, abnormal=8)
    assert subsample_to_prevalence(split, index, 0.5).parts == split.parts


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_the_share_is_met_and_the_test_part_stays(small_world: Path, share: float) -> None:
    index = open_source(str(small_world), name="world")
    split = make_split(index)
    found = subsample_to_prevalence(split, index, share)
    assert found.parts["test"] == split.parts["test"]
    for part in PARTS[:3]:
        labels = [index.by_image[image].label for image in found.parts[part]]
        rarer = labels.count(1) if share < 0.5 else labels.count(0)
        assert abs(rarer - 0.25 * (len(labels) - rarer)) <= 0.5
        assert set(found.parts[part]) < set(split.parts[part])
        whole = [index.by_image[image].label for image in split.parts[part]]
        more = 0 if share < 0.5 else 1
        assert labels.count(more) == whole.count(more)
    assert subsample_to_prevalence(split, index, share).digest == found.digest


def test_fewer_patients_are_whole_patients_of_the_train_part_alone() -> None:
    index, split = _cohort(normal=8, abnormal=20)
    half, tenth = (cut_to_patients(split, index, share) for share in (0.5, 0.1))
    assert [len(_kept(half, "n")), len(_kept(half, "a"))] == [8, 20]  # 4 of 8 and 10 of 20 patients, two images each
    assert [len(_kept(tenth, "n")), len(_kept(tenth, "a"))] == [2, 4]  # one of 8 (0.8, rounded), two of 20
    assert set(tenth.parts["train"]) < set(half.parts["train"])
    assert all(f"{image[:3]}_{visit}.png" in half.parts["train"] for image in half.parts["train"] for visit in (0, 1))
    assert {part: half.parts[part] for part in PARTS[1:]} == {part: split.parts[part] for part in PARTS[1:]}
    assert half.surplus == {**split.surplus, "train": 5 + 28}
    assert half.notes[-1] == "train part cut to 50 % of its patients: 28 images left out"

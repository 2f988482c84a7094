"""Folds by patient: one fold a patient for ever, both classes in each, and no other source teaches a judged patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from cxreader.data.folds import judged_records, make_folds, split_of_fold
from cxreader.data.index import Index
from cxreader.data.salt import assign, hashes
from cxreader.data.split import require_disjoint
from cxreader.errors import SplitError, UsageError
from cxreader.records import ImageRecord, group_of

NATURAL: dict[str, object] = {"shares": (0.7, 0.15, 0.15), "balance": "natural", "abnormal_share": None, "size": None}


def _record(image: str, patient: str | None, label: int, source: str = "nih") -> ImageRecord:
    return ImageRecord(image=image, path=image, label=label, patient=patient, source=source)


def _index(records: Sequence[ImageRecord], kind: str = "table") -> Index:
    return Index(tuple(records), name="made", kind=kind, root="made")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def two_sources() -> Index:
    """80 patients with an expert's image each, the first 40 of them and 60 others with images in a second folder too."""
    expert = [_record(f"expert/{p}.png", f"p{p}", p % 3 == 0) for p in range(80)]
    boxes = [_record(f"boxes/{p}_{n}.png", f"p{p}", p % 2) for p in (*range(40), *range(100, 160)) for n in range(2)]
    return _index([*expert, *boxes], "several")


@pytest.mark.parametrize("count", [2, 5])
def test_every_judged_image_is_tested_once_and_nobody_of_a_fold_learns_in_it(two_sources: Index, count: int) -> None:
    judged = judged_records(two_sources, ["expert"])
    assert {record.image for record in judged} == {f"expert/{p}.png" for p in range(80)}
    folds = make_folds(judged, count)
    tested: list[str] = []
    for n in range(1, count + 1):
        split = split_of_fold(two_sources, judged, folds, n, NATURAL)
        require_disjoint(split, two_sources)
        test = [two_sources.by_image[image] for image in split.parts["test"]]
        people = {group_of(record) for record in test}
        assert {record.label for record in test} == {0, 1}
        assert all(record.image.startswith("expert/") for record in test)
        learning = [
            two_sources.by_image[image] for part in ("train", "tune", "calibrate") for image in split.parts[part]
        ]
        assert people.isdisjoint(map(group_of, learning))
        assert {r.image for r in two_sources.records if group_of(r) not in people} == {r.image for r in learning}
        assert split.kind == "patient"
        tested += split.parts["test"]
    assert sorted(tested) == sorted(record.image for record in judged)


def test_a_patients_fold_is_his_own_hash_whoever_else_is_there() -> None:
    records = [_record(f"{n}.png", f"p{n // 2}", n // 2 % 2) for n in range(400)]
    folds = make_folds(records, 5)
    assert folds.note is None
    for name, fold in folds.of.items():
        assert fold == assign(hashes([name]), folds.salt, [0.2] * 5)[0] + 1
    assert make_folds(list(reversed(records)), 5).of == folds.of
    images = np.bincount([folds.of[group_of(record)] for record in records])[1:]
    abnormal = np.bincount([folds.of[group_of(record)] for record in records], [r.label for r in records])[1:]
    assert np.abs(images / 400 - 0.2).max() <= 0.02
    assert np.abs(abnormal / images - 0.5).max() <= 0.03


def test_the_test_part_is_whole_while_the_others_are_balanced() -> None:
    records = [_record(f"{n}.png", f"p{n}", n % 5 == 0) for n in range(300)]
    index = _index(records)
    split = split_of_fold(index, records, make_folds(records, 3), 1, {**NATURAL, "balance": "equal", "size": 80})
    labels = {part: [index.by_image[image].label for image in images] for part, images in split.parts.items()}
    assert len(labels["test"]) > 80
    assert 0.1 < np.mean(labels["test"]) < 0.3
    assert sum(labels["train"]) * 2 == len(labels["train"])


def test_the_same_number_of_two_sources_is_two_patients() -> None:
    records = [_record(f"{s}{n}.png", str(n), n % 2, s) for s in "ab" for n in range(40)]
    assert len(make_folds(records, 2).of) == 80


def test_without_patients_each_image_stands_for_itself_and_every_fold_says_so() -> None:
    records = [_record(f"{n}.png", None, n % 2) for n in range(60)]
    split = split_of_fold(_index(records), records, make_folds(records, 3), 2, NATURAL)
    assert not split.patients
    assert any("no patient is known" in note for note in split.notes)


def test_what_cannot_be_folded_is_refused_with_the_mend(two_sources: Index) -> None:
    few = [_record(f"{n}.png", f"p{min(n, 20)}", n >= 20) for n in range(40)]
    with pytest.raises(
        SplitError, match="3 folds need 3 patients with abnormal images: 1 such patient is there; give more images"
    ):
        make_folds(few, 3)
    with pytest.raises(UsageError, match="1 is no number of folds; give 2 or more"):
        make_folds(two_sources.records, 1)
    with pytest.raises(UsageError, match="no source is named 'exprt'; did you mean 'expert'"):
        judged_records(two_sources, ["exprt"])
    assert judged_records(two_sources, ()) == two_sources.records
    assert judged_records(two_sources, ["nih"]) == two_sources.records
    with pytest.raises(UsageError, match="known: nih"):
        judged_records(replace(two_sources, kind="table"), ["expert"])


def test_a_source_that_only_teaches_is_judged_in_no_fold_and_teaches_nobodys_own() -> None:
    own = [_record(f"own/{p}.png", f"p{p}", p % 2) for p in range(60)]
    taught = [_record(f"taught/{p}.png", f"p{p}", 1) for p in range(30, 90)]
    sources = ({"root": "/x/own", "name": "nih"}, {"root": "/x/taught", "name": "nih", "only_train": True})
    index = replace(_index([*own, *taught], "several"), sources=sources)
    judged = judged_records(index, [])
    assert {record.image for record in judged} == {record.image for record in own}
    folds = make_folds(judged, 3)
    for n in (1, 2, 3):
        split = split_of_fold(index, judged, folds, n, NATURAL)
        require_disjoint(split, index)
        learning = {image for part in ("tune", "calibrate", "test") for image in split.parts[part]}
        assert not [image for image in learning if image.startswith("taught/")]
        assert {f"taught/{p}.png" for p in range(60, 90)} <= set(split.parts["train"])

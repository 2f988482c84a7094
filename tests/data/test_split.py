"""Split first, then balance: the promises of a split, and its file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cxreader.data.balance import Balance
from cxreader.data.index import NO_PATIENTS, Index
from cxreader.data.layouts.sets.nih import official_lists, open_nih
from cxreader.data.salt import MAX_SALTS, assign, find_salt, hashes, mix
from cxreader.data.split import PARTS, Split, SplitKind, group_of, leak, make_split, patient_hash, require_disjoint
from cxreader.errors import DataError, SplitError, UsageError
from cxreader.records import ImageRecord

People = Callable[..., Index]


def patients_of(split: Split, index: Index, part: str) -> set[str]:
    return {group_of(r) for r in split.records(index, part)}


def test_splitmix_is_that_of_its_authors() -> None:
    """The first three outputs for seed 1234567, as in the reference implementation's test vectors."""
    one = np.array([1234567], np.uint64)
    found = [int(mix(one, np.array([n], np.uint64))[0]) for n in range(3)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("seed", range(3))
def test_shares_label_rates_and_no_patient_in_two_parts(people: People, seed: int) -> None:
    index = people(600, rate=0.3, seed=seed)
    split = make_split(index, balance="natural")
    groups = [split.parts["train"], split.parts["tune"] + split.parts["calibrate"], split.parts["test"]]
    assert sum(map(len, groups)) == len(index)
    for images, share in zip(groups, (0.70, 0.15, 0.15), strict=True):
        assert abs(len(images) / len(index) - share) <= 0.01
        assert abs(np.mean([index.by_image[i].label for i in images]) - index.labels.mean()) <= 0.03
    owners = [patients_of(split, index, part) for part in PARTS]
    assert sum(map(len, owners)) == len(set().union(*owners)) == 600
    assert leak(split, index).share == 0.0
    assert split.notes == ()
    require_disjoint(split, index)


@pytest.mark.parametrize("balance", ["equal", "natural"])
def test_the_salt_is_the_first_that_fits(people: People, balance: Balance) -> None:
    """Of a natural split tune and calibrate are stratified each for itself, else together."""
    index = people(300, rate=0.4, seed=3)
    split = make_split(index, balance=balance)
    assert split.salt > 0
    units = sorted({group_of(r) for r in index.records})
    for salt in range(split.salt + 1):
        part = dict(zip(units, assign(hashes(units), salt, (0.7, 0.075, 0.075, 0.15)), strict=True))
        own = np.array([part[group_of(r)] for r in index.records])
        group = np.array([0, 1, 1, 2])[own]
        shares = all(abs((group == g).mean() - s) <= 0.01 for g, s in enumerate((0.7, 0.15, 0.15)))
        each = group if balance == "equal" else own
        rates = all(abs(index.labels[each == g].mean() - index.labels.mean()) <= 0.03 for g in range(each.max() + 1))
        both = all(len(set(index.labels[own == p])) == 2 for p in range(4))
        assert (shares and rates and both) == (salt == split.salt)


def test_nobody_moves_when_images_are_added(people: People) -> None:
    index = people(400, seed=1)
    first = make_split(index, size=300)
    more = replace(index, records=index.records + people(150, seed=2, rate=0.9, first=1000).records)
    extra = ImageRecord("another.png", 1, patient="17", source="test")
    more = replace(more, records=(*more.records, extra))
    second = make_split(more, keep=first, balance="natural")
    assert (second.salt, second.shares) == (first.salt, first.shares)
    for part in PARTS:
        assert patients_of(first, index, part) <= patients_of(second, more, part)
    assert second.part_of["another.png"] == second.part_of[next(r.image for r in index.records if r.patient == "17")]
    assert make_split(index, keep=first, size=300).digest == first.digest


def test_a_smaller_size_is_a_subset_of_a_larger_one(people: People) -> None:
    index = people(800, rate=0.3)
    for options in ({"balance": "equal"}, {"balance": "natural"}, {"balance": "ratio", "abnormal_share": 0.2}):
        splits = [make_split(index, size=size, **options) for size in (100, 237, 400, 2000)]
        for small, large in pairwise(splits):
            assert all(set(small.parts[part]) <= set(large.parts[part]) for part in PARTS)
            assert len(small) < len(large)


def test_balance(people: People) -> None:
    index = people(800, rate=0.3)

    def counts(split: Split) -> list[tuple[int, int]]:
        found = [[index.by_image[i].label for i in split.parts[part]] for part in PARTS]
        return [(labels.count(0), labels.count(1)) for labels in found]

    natural, equal = make_split(index, balance="natural"), make_split(index)
    same = make_split(index, balance="natural", keep=equal)
    assert [pair[1] for pair in counts(equal)] == [pair[1] for pair in counts(same)]  # all of the rarer class
    assert all(normal == abnormal for normal, abnormal in counts(equal))
    assert sum(equal.surplus.values()) == len(natural) - len(equal)
    assert counts(make_split(index, size=400)) == [(140, 140), (15, 15), (15, 15), (30, 30)]
    ratio = make_split(index, balance="ratio", abnormal_share=0.1)
    assert all(abnormal / (normal + abnormal) == pytest.approx(0.1, abs=0.02) for normal, abnormal in counts(ratio))
    assert all(
        abs(a - b) <= 2 for a, b in zip(map(len, ratio.parts.values()), [sum(c) for c in counts(ratio)], strict=True)
    )


@pytest.mark.parametrize("rate", [0.04, 0.3, 0.95])
def test_a_natural_split_gives_every_part_its_share_of_both_classes(people: People, rate: float) -> None:
    index = people(900, rate=rate, seed=5)
    whole = index.labels.mean()
    rarer = min(whole, 1 - whole)
    for size in (None, 200):
        split = make_split(index, balance="natural", size=size)
        for part in PARTS:
            labels = [index.by_image[image].label for image in split.parts[part]]
            assert {0, 1} == set(labels)
            assert abs(np.mean(labels) - whole) <= min(0.03, rarer / 2) + 1 / len(labels)
    assert split.notes == ()


def test_a_size_that_is_not_there_is_told(people: People) -> None:
    split = make_split(people(200), size=5000)
    assert [note.split(":")[0] for note in split.notes] == list(PARTS)
    assert "3,500" in split.notes[0]


def test_small_data_take_the_nearest_salt_and_say_how_far_off_it_is(people: People) -> None:
    split = make_split(people(13), balance="natural")
    assert len(split.notes) == 1
    assert "no salt of 10,000 fits so few patients: part shares up to" in split.notes[0]
    assert all(split.parts.values())


def test_too_few_for_four_parts(people: People) -> None:
    with pytest.raises(SplitError, match="of 3 patients in all"):
        make_split(people(3))
    with pytest.raises(SplitError, match="0 normal and"):
        make_split(people(200, rate=1.0))


def test_an_official_test_list_of_one_class_is_kept_whole_and_said(people: People) -> None:
    index = people(500)
    test = frozenset(r.image for r in index.records if int(r.patient or 0) >= 400 and r.label == 1)
    train_val = frozenset(r.image for r in index.records if int(r.patient or 0) < 400)
    split = make_split(index, kind="official", lists=(train_val, test))
    assert set(split.parts["test"]) == test
    assert any(f"0 normal and {len(test)} abnormal" in note for note in split.notes)


def test_ten_thousand_salts_in_about_a_second() -> None:
    images, abnormal = np.full(500, 3), np.tile([0, 3], 250)
    images[0], abnormal[0] = 4000, 2000  # one patient with most images: nothing fits
    started = time.perf_counter()
    salt, note = find_salt(hashes([str(n) for n in range(500)]), images, abnormal, (0.7, 0.075, 0.075, 0.15))
    assert time.perf_counter() - started < 5
    assert 0 <= salt < MAX_SALTS
    assert note is not None


def test_without_patients_it_splits_by_image_and_says_so(people: People) -> None:
    index = people(200, patients=False)
    split = make_split(index)
    assert not split.patients
    assert NO_PATIENTS in split.notes
    assert np.isnan(leak(split, index).share)
    assert str(leak(split, index)).startswith("unknown whether test images show a training patient")


def test_few_images_without_patients_are_called_images(people: People) -> None:
    split = make_split(people(12, patients=False), balance="natural")
    assert any(note.startswith("no salt of 10,000 fits so few images: part shares up to") for note in split.notes)


def test_the_same_number_in_two_sources_is_two_patients(people: People) -> None:
    index = people(300)
    other = tuple(replace(r, image="x" + r.image, source="elsewhere") for r in index.records)
    both = replace(index, records=index.records + other)
    split = make_split(both, balance="natural")
    apart = sum(split.part_of[r.image] != split.part_of["x" + r.image] for r in index.records)
    assert apart > 50
    assert leak(split, both).shared_images == 0


def test_image_random_leaks_and_the_leak_is_measured(people: People) -> None:
    index = people(500)
    split = make_split(index, kind="image-random", balance="natural")
    training = {r.patient for r in split.records(index, "train")}
    test = split.records(index, "test")
    found = leak(split, index)
    assert found.shared_images == sum(r.patient in training for r in test) > 0
    assert (found.test_images, found.share) == (len(test), found.shared_images / len(test))
    assert found.shared_any >= found.shared_images
    assert f"of {len(test):,} test images" in str(found)


def test_official_lists(people: People, tmp_path: Path) -> None:
    index = people(500)
    test = frozenset(r.image for r in index.records if int(r.patient or 0) >= 400)
    train_val = frozenset(r.image for r in index.records if 10 <= int(r.patient or 0) < 400)
    split = make_split(index, kind="official", balance="natural", lists=(train_val, test))
    assert set(split.parts["test"]) == test
    validation = len(split.parts["tune"]) + len(split.parts["calibrate"])
    assert validation / len(train_val) == pytest.approx(0.15 / 0.85, abs=0.01)
    assert leak(split, index).share == 0
    left_out = len(index) - len(test) - len(train_val)
    assert split.notes == (f"{left_out} images stand in neither official list and are left out",)
    with pytest.raises(DataError, match="no official lists"):
        make_split(replace(index, root=str(tmp_path)), kind="official")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"kind": "patients"}, "unknown split 'patients'; did you mean 'patient'"),
        ({"balance": "even"}, "unknown balance 'even'"),
        ({"balance": "ratio"}, "balance ratio and an abnormal share go together"),
        ({"abnormal_share": 0.5}, "balance ratio and an abnormal share go together"),
        ({"balance": "ratio", "abnormal_share": 30}, "30 is not between"),
        ({"shares": (0.7, 0.3, 0.0)}, "do not sum to 1"),
        ({"size": 4}, "too small"),
    ],
)
def test_options_that_contradict_each_other(people: People, options: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        make_split(people(100), **options)  # type: ignore[arg-type]


def test_a_kept_split_keeps_its_kind_and_shares(people: People) -> None:
    index = people(200)
    kept = make_split(index, shares=(0.6, 0.2, 0.2))
    assert make_split(index, keep=kept).shares == (0.6, 0.2, 0.2)
    with pytest.raises(UsageError, match="another kind or other shares"):
        make_split(index, keep=kept, shares=(0.7, 0.15, 0.15))


def test_the_file_holds_the_split_and_no_patient(people: People, tmp_path: Path) -> None:
    index = people(200)
    secret = tuple(replace(r, patient=f"secret {r.patient}") for r in index.records)
    split = make_split(replace(index, records=secret, tables="/tables"), size=100)
    path = split.save(tmp_path / "new" / "split.json")
    assert Split.load(path) == split
    assert Split.load(path).digest == split.digest == json.loads(path.read_text())["digest"]
    assert len(split.digest) == 64
    assert split.source == {"path": "nowhere", "kind": "table", "tables": "/tables", "name": "test"}
    assert replace(split, source={**split.source, "path": "moved"}).digest == split.digest
    assert replace(split, salt=split.salt + 1).digest != split.digest
    assert "secret" not in path.read_text()


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_split_is_refused(people: People, tmp_path: Path, part: str) -> None:
    path = make_split(people(200)).save(tmp_path / "split.json")
    data = json.loads(path.read_text())
    data["parts"][part] = data["parts"][part][1:]
    path.write_text(json.dumps(data))
    with pytest.raises(SplitError, match="damaged or was edited"):
        Split.load(path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: "image,label\n", r"is no split \(no JSON from line 1, column 1 on\); make it again"),
        (lambda text: "[]", r"is no split \(a field is missing, or holds something else\)"),
        (lambda text: text.replace('"digest"', '"digit"'), r"is no split \('digest' is missing\)"),
        (lambda text: text.replace('"salt"', '"pepper"'), r"is no split \('salt' is missing\)"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "is of version 2"),
        (lambda text: text.replace('"salt": ', '"salt": 1'), "damaged"),
    ],
)
def test_what_is_no_split(people: People, tmp_path: Path, change: Callable[[str], str], what: str) -> None:
    path = make_split(people(200)).save(tmp_path / "split.json")
    path.write_text(change(path.read_text()))
    with pytest.raises(SplitError, match=what):
        Split.load(path)
    with pytest.raises(SplitError, match="cannot be opened"):
        Split.load(tmp_path / "nowhere.json")


def test_an_image_or_a_patient_in_two_parts(people: People) -> None:
    index = people(200)
    split = make_split(index, balance="natural")
    parts = {**split.parts, "test": (*split.parts["test"], split.parts["train"][0])}
    with pytest.raises(SplitError, match="stands in train and in test"):
        replace(split, parts=parts)
    with pytest.raises(SplitError, match="expected train, tune"):
        replace(split, parts={"train": ()})
    several = next(r.image for r in index.records if r.image.endswith("_1.png") and split.part_of[r.image] == "train")
    train = tuple(image for image in split.parts["train"] if image != several)
    moved = replace(split, parts={**split.parts, "train": train, "test": (*split.parts["test"], several)})
    with pytest.raises(SplitError, match="one patient stands in two parts"):
        require_disjoint(moved, index)
    assert leak(moved, index).shared_images == 1


def test_a_split_of_another_source(people: People) -> None:
    split = make_split(people(200))
    with pytest.raises(SplitError, match="are not in this source"):
        split.records(people(100, first=5000), "test")
    with pytest.raises(UsageError, match="did you mean 'train'"):
        split.records(people(200), "training")


def test_patient_hashes_are_salted_and_namespaced() -> None:
    known = patient_hash("salt", "nih", "1")
    assert len(known) == 16
    assert int(known, 16) >= 0
    assert len({known, patient_hash("pepper", "nih", "1"), patient_hash("salt", "phantom:1", "1")}) == 3
    assert patient_hash("salt", "nih", "1") == known


@pytest.fixture(scope="module")
def nih(images_root: Path) -> Index:
    return open_nih(images_root / "nih", require_files=False)


@pytest.mark.real
@pytest.mark.parametrize("kind", ["patient", "official", "image-random"])
def test_the_study_size_on_the_real_tables(nih: Index, kind: SplitKind) -> None:
    split = make_split(nih, kind=kind, size=20_000)
    assert [len(split.parts[part]) for part in PARTS] == [14_000, 1_500, 1_500, 3_000]
    share = leak(split, nih).share
    assert share == (pytest.approx(0.559, abs=0.02) if kind == "image-random" else 0.0)
    require_disjoint(split, nih)


@pytest.mark.real
def test_the_official_split_keeps_the_test_list(nih: Index, images_root: Path) -> None:
    split = make_split(nih, kind="official", balance="natural")
    train_val, test = official_lists(images_root / "nih")
    assert set(split.parts["test"]) == test
    assert len(split) == len(train_val) + len(test) == 112_120

"""The split: patients go to parts by a hash that never changes, then each part is balanced.

A patient's part is a function of the salt, the shares and the patient alone, so that images may come and go and no
patient ever moves. The validation part is halved into `tune`, which chooses, and `calibrate`, which sets temperature
and thresholds: no figure is judged on patients that set it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np

from cxreader.atomic import write_whole
from cxreader.codec import Plain, in_words
from cxreader.counting import count_notes, format_count
from cxreader.data.balance import Balance, draw, require_classes, shortfalls, wanted_shares
from cxreader.data.index import NO_PATIENTS, Index
from cxreader.data.layouts.sets.nih import find_entries, official_lists
from cxreader.data.salt import PARTS, assign, find_salt, hashes, image_key
from cxreader.errors import DataError, SplitError, UsageError, nearest
from cxreader.imaging.header import patient_hash
from cxreader.records import ImageRecord, group_of

SplitKind = Literal["patient", "official", "image-random"]
Lists = tuple[frozenset[str], frozenset[str]]
SHARES = (0.70, 0.15, 0.15)
_VERSION = 1
_PUBLISHED = ("train", "validation", "test")
__all__ = [
    "PARTS",
    "SHARES",
    "Balance",
    "Leak",
    "Split",
    "SplitKind",
    "group_of",
    "image_key",
    "leak",
    "make_split",
    "patient_hash",
    "require_disjoint",
]
PLACES = ("path", "tables", "sources")
"""Of `source`: where the data lay. The same split on another machine has the same digest."""


@dataclass(frozen=True)
class Split(Plain):
    """Images by part, and how that came about.

    `shares`: train, validation, test. `salt`: the number that was hashed with the patients. `balance`, `abnormal_share`
    (of `ratio`) and `size` (images in all, None for as many as there are) tell what was drawn from each part;
    `surplus` counts the images each part left out. `parts`: sorted image names of train, tune, calibrate and test.
    `patients` is False when patient-wise splitting was impossible. `source` reopens the data: path, kind, tables,
    name; of several, the `sources`.
    Raises SplitError for a part that is missing or an image that stands in two.
    """

    kind: SplitKind
    salt: int
    shares: tuple[float, float, float]
    balance: Balance
    abnormal_share: float | None
    size: int | None
    parts: Mapping[str, tuple[str, ...]] = field(repr=False)
    surplus: Mapping[str, int]
    patients: bool
    notes: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if tuple(self.parts) != PARTS:
            raise SplitError(f"the parts are {', '.join(self.parts)}", mend=f"expected {', '.join(PARTS)}")
        seen: dict[str, str] = {}
        for part, images in self.parts.items():
            for image in images:
                if image in seen:
                    what = f"image {image!r} stands in {seen[image]} and in {part}"
                    raise SplitError(what, mend="make the split again with `cxreader data split`")
                seen[image] = part

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))

    @cached_property
    def part_of(self) -> dict[str, str]:
        """The part of every image."""
        return {image: part for part, images in self.parts.items() for image in images}

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over the split's canonical JSON, without where its data lay."""
        content = {"version": _VERSION, **self.to_dict()}
        content["source"] = {k: v for k, v in content["source"].items() if k not in PLACES}
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def records(self, index: Index, part: str) -> tuple[ImageRecord, ...]:
        """The part's records, in the part's order. Raises SplitError when the index lacks one of its images."""
        if part not in self.parts:
            raise UsageError(f"unknown part {part!r}", mend=nearest(part, PARTS))
        missing = [image for image in self.parts[part] if image not in index.by_image]
        if missing:
            raise SplitError(
                f"{len(missing):,} of the {len(self.parts[part]):,} images of {part!r} are not in this source, "
                f"{missing[0]!r} first",
                where=index.root,
                mend="give the source the split was made from, or make a new split with --keep",
            )
        return tuple(index.by_image[image] for image in self.parts[part])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the split with its digest as JSON. Raises StorageError."""
        text = json.dumps({"digest": self.digest, "version": _VERSION, **self.to_dict()}, indent=1)
        return write_whole(path, text.encode() + b"\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The split of a file. Raises SplitError when it is missing, no split, of another version, or damaged."""
        mend = "make it again with `cxreader data split`"
        try:
            data = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise SplitError(f"cannot be opened ({error.strerror})", where=path, mend="check the path") from None
        except ValueError as error:
            raise SplitError(f"is no split ({in_words(error)})", where=path, mend=mend) from None
        try:
            digest, version = data.pop("digest"), data.pop("version")
            split = cls.from_dict({**data, "parts": {part: data["parts"][part] for part in PARTS}})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SplitError(f"is no split ({in_words(error)})", where=path, mend=mend) from None
        if version != _VERSION:
            raise SplitError(f"is of version {version}, this program reads {_VERSION}", where=path, mend=mend)
        if digest != split.digest:
            raise SplitError("is damaged or was edited: its digest does not fit", where=path, mend=mend)
        return split


@dataclass(frozen=True, slots=True)
class Leak:
    """How many test images show a patient the model has seen in training.

    Of `test_images` (those with a known patient), `shared_images` share it with train and `shared_any` with train, tune
    or calibrate. `share` is shared_images / test_images, NaN when no test patient is known.
    """

    shared_images: int
    test_images: int
    shared_any: int

    @property
    def share(self) -> float:
        """In [0, 1]; NaN when there is no test image with a known patient."""
        return self.shared_images / self.test_images if self.test_images else float("nan")

    def __str__(self) -> str:
        if not self.test_images:
            return "unknown whether test images show a training patient: none of them names its patient"
        return format_count(
            self.shared_images,
            f"of {self.test_images:,} test images ({self.share:.1%}) [shows|show] a training patient",
        )


def make_split(
    index: Index,
    *,
    kind: SplitKind = "patient",
    shares: tuple[float, float, float] | None = None,
    balance: Balance = "equal",
    abnormal_share: float | None = None,
    size: int | None = None,
    keep: Split | None = None,
    lists: Lists | None = None,
) -> Split:
    """Split first, then balance.

    `kind`: `patient` (by hash of the patient; by image, and it says so, when no patient is known), `official` (the test part
    that the publisher named, or, from `lists`, the lists of training and of test images; validation carved by patient from the
    rest) or `image-random`
    (by hash of the image, which leaks patients: for comparison). `shares`: train, validation, test (0.70, 0.15, 0.15).
    `balance`: `equal` (half normal, half abnormal), `natural` (every part with the whole's share of abnormal, as nearly as
    whole patients allow), or `ratio` with `abnormal_share`; with `size` the parts
    get their shares of it. Sources that are `only_train` are added to train afterwards, whole, without the patients of the
    other parts. Surplus goes in hash order, so that a smaller size is a subset of a larger one. `keep`: an
    earlier split whose salt and shares stay, so that nobody moves when images were added.
    Raises UsageError for options that contradict each other, SplitError when a part would lack a class.
    """
    shares = _options(kind, shares, balance, abnormal_share, size, keep)
    records, fixed, notes = _official(index, lists) if kind == "official" else (index.records, {}, [])
    teaching = [r for r in records if index.entry_of(r).get("only_train")]
    records = tuple(r for r in records if not index.entry_of(r).get("only_train") or r.image in fixed)
    units = [image_key(r) if kind == "image-random" else group_of(r) for r in records]
    free = [n for n, r in enumerate(records) if r.image not in fixed]
    names, member = np.unique([units[n] for n in free], return_inverse=True)
    labels = np.array([records[n].label for n in free], np.int64)
    images = np.bincount(member, minlength=len(names))
    abnormal = np.bincount(member, weights=labels, minlength=len(names)).astype(np.int64)
    numbers, wanted = hashes(names.tolist()), wanted_shares(shares, official=kind == "official")
    salt, note = find_salt(
        numbers,
        images,
        abnormal,
        wanted,
        fixed=None if keep is None else keep.salt,
        stratified=balance == "natural",
        who="images" if kind == "image-random" or not index.n_patients else "patients",
    )
    part = assign(numbers, salt, wanted)[member]
    parts: dict[str, list[ImageRecord]] = {name: [] for name in PARTS}
    for at, n in enumerate(free):
        parts[PARTS[part[at]]].append(records[n])
    parts["test"] += [r for r in records if r.image in fixed]
    notes += require_classes(parts, index, given_test=kind == "official")
    drawn = draw(parts, salt, shares, balance, abnormal_share, size)
    notes += _teach(drawn["train"], teaching, [r for part in PARTS[1:] for r in parts[part]])
    notes += [note] if note else []
    notes += [] if index.n_patients else [NO_PATIENTS]
    notes += shortfalls(drawn, shares, size)
    return Split(
        kind=kind,
        salt=salt,
        shares=shares,
        balance=balance,
        abnormal_share=abnormal_share,
        size=size,
        parts={name: tuple(sorted(r.image for r in drawn[name])) for name in PARTS},
        surplus={name: len(parts[name]) - len(drawn[name]) for name in PARTS},
        patients=index.has_patients,
        notes=tuple(notes),
        source=source_of(index),
    )


def _teach(train: list[ImageRecord], teaching: Sequence[ImageRecord], elsewhere: Sequence[ImageRecord]) -> list[str]:
    """Add the images that only teach to `train`, but those of patients who stand in another part; notes on both."""
    kept_apart = {group_of(r) for r in elsewhere}
    added = [r for r in teaching if group_of(r) not in kept_apart]
    train += added
    left_out = len(teaching) - len(added)
    notes = [format_count(len(added), "[image|images] of sources that only teach added to train")] if teaching else []
    words = "[image|images] of sources that only teach left out: [its patient is|their patients are] in another part"
    return [*notes, *count_notes({words: left_out})]


def source_of(index: Index) -> dict[str, Any]:
    """What reopens the index, as a split's `source` holds it."""
    several = {"sources": [dict(source) for source in index.sources]} if index.sources else {}
    policy = {"uncertain": index.uncertain} if index.uncertain is not None else {}
    return {"path": index.root, "kind": index.kind, "tables": index.tables, "name": index.name, **several, **policy}


def leak(split: Split, index: Index) -> Leak:
    """Measured, not believed: the test images whose patient also stands in train, or in train, tune or calibrate."""
    people = {part: [group_of(r) for r in split.records(index, part) if r.patient is not None] for part in PARTS}
    training = set(people["train"])
    others = training.union(people["tune"], people["calibrate"])
    test = people["test"]
    return Leak(sum(p in training for p in test), len(test), sum(p in others for p in test))


def require_disjoint(split: Split, index: Index) -> None:
    """Raise SplitError when a patient stands in two parts, unless the split is by image on purpose."""
    owner: dict[str, ImageRecord] = {}
    for part in PARTS if split.kind != "image-random" else ():
        for record in split.records(index, part):
            if record.patient is None:
                continue
            first = owner.setdefault(group_of(record), record)
            if split.part_of[first.image] != part:
                raise SplitError(
                    f"one patient stands in two parts: {first.image!r} in {split.part_of[first.image]}, "
                    f"{record.image!r} in {part}",
                    mend="make the split again with `cxreader data split`",
                )


def _options(
    kind: str,
    shares: tuple[float, float, float] | None,
    balance: str,
    abnormal_share: float | None,
    size: int | None,
    keep: Split | None,
) -> tuple[float, float, float]:
    for what, value, known in (("split", kind, get_args(SplitKind)), ("balance", balance, get_args(Balance))):
        if value not in known:
            raise UsageError(f"unknown {what} {value!r}", mend=nearest(value, known))
    if (balance == "ratio") != (abnormal_share is not None):
        mend = "add the abnormal share, such as 0.3" if abnormal_share is None else "set the balance to ratio"
        raise UsageError("balance ratio and an abnormal share go together", mend=mend)
    if abnormal_share is not None and not 0 < abnormal_share < 1:
        raise UsageError(f"abnormal share {abnormal_share} is not between 0 and 1", mend="give a fraction such as 0.3")
    if size is not None and size < 8:
        raise UsageError(f"a size of {size} images is too small for four parts of two classes", mend="give at least 8")
    if keep is not None and (kind != keep.kind or shares not in (None, keep.shares)):
        raise UsageError("the kept split has another kind or other shares", mend="use its own, or do not keep it")
    shares = keep.shares if keep is not None else shares or SHARES
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise UsageError(f"the shares {shares} do not sum to 1", mend="give train, validation and test, each above 0")
    return shares


def _official(index: Index, lists: Lists | None) -> tuple[tuple[ImageRecord, ...], dict[str, str], list[str]]:
    """Records of the published parts, the test images among them, and notes on what is not in them."""
    if lists is None and index.kind == "several":
        raise UsageError("official lists belong to one source", where=index.root, mend="split by patient")
    published = {part: frozenset(r.image for r in index.records if r.published_part == part) for part in _PUBLISHED}
    if lists is None and not any(published.values()):
        lists = _nih_lists(index)
    notes = []
    if lists is not None:
        train_val, test = lists
    else:
        test = published["test"] or published["validation"]
        train_val = frozenset().union(*published.values()) - test
        if published["validation"] and not published["test"]:
            notes.append("the publisher's test part is not here: its validation part is the test part")
    listed = tuple(r for r in index.records if r.image in train_val or r.image in test)
    left_out = len(index.records) - len(listed)
    notes += count_notes({"[image stands|images stand] in neither official list and [is|are] left out": left_out})
    return listed, {r.image: "test" for r in listed if r.image in test}, notes


def _nih_lists(index: Index) -> Lists:
    """The lists beside the tables of an NIH source whose index does not tell its parts."""
    entries = find_entries(Path(index.root), None if index.tables is None else Path(index.tables))
    if entries is None:
        what = "no official lists beside this source, and it tells no published parts"
        raise DataError(what, where=index.root, mend="split by patient; of the NIH release give --tables DIR")
    return official_lists(entries.parent)

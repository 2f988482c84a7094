"""Audit of a split: patients and duplicates in more than one part, leakage into test, and how the parts differ."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Self

import numpy as np

from cxreader.codec import Plain, in_words, to_plain
from cxreader.counting import format_count
from cxreader.data.index import NO_PATIENTS, Index
from cxreader.data.near import CAP, SIDE, near_pairs
from cxreader.data.pixel_cache.cache import PixelCache
from cxreader.data.split import PARTS, Leak, Split, group_of, leak
from cxreader.errors import DataError
from cxreader.imaging.preprocess import thumbnails
from cxreader.records import ABNORMAL, ImageRecord


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two images of different parts that show the same picture; `correlation` of their 64-pixel thumbnails."""

    image: str
    part: str
    other: str
    other_part: str
    correlation: float


@dataclass(frozen=True, slots=True)
class PartSummary:
    """Counts of one part. `views` and `sexes` by name, `unknown` among them; ages in years over the plausible ones."""

    images: int
    patients: int | None
    normal: int
    abnormal: int
    views: dict[str, int]
    sexes: dict[str, int]
    ages: int
    age_quartiles: tuple[float, float, float] | None
    implausible_ages: int


@dataclass(frozen=True)
class SplitAudit(Plain):
    """The findings. `failed` when a patient or an exact duplicate stands in two parts; the rest is for judgement.

    `shared_patients` counts patients in more than one part, of whom `shared_examples` gives a few as one image of each
    part; `patients` is False when patients are unknown and nothing can be said of them. `exact` and `near` are
    duplicates across parts; `proposed` is how many pairs the hash put up for `near`. `unread` images are not in the
    cache, so nothing is known of their duplicates.
    """

    digest: str
    kind: str
    patients: bool
    shared_patients: int
    shared_examples: tuple[tuple[str, ...], ...]
    exact: tuple[Duplicate, ...]
    near: tuple[Duplicate, ...]
    proposed: int
    compared: int
    unread: int
    parts: dict[str, PartSummary]
    leak: Leak
    notes: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """True when the parts share a patient or an exact picture."""
        return self.shared_patients > 0 or bool(self.exact)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it. The leak's share is null when it is unknown."""
        values = super().to_dict()
        leaking = {**values["leak"], "share": to_plain(self.leak.share)}
        return {**values, "leak": leaking, "failed": self.failed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The audit that `to_dict` wrote. Raises DataError when a field is missing or unknown."""
        try:
            leaking = {name: value for name, value in values["leak"].items() if name != "share"}
            own = {name: value for name, value in values.items() if name != "failed"}
            return super().from_dict({**own, "leak": leaking})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"is no audit of a split ({in_words(error)})", mend="audit the split again") from None


def audit_split(split: Split, index: Index, cache: PixelCache) -> SplitAudit:
    """Measure everything, believe nothing of what the split says of itself.

    `cache` holds the pixels of the split's images, at any size from 64 pixels. Raises SplitError when the index lacks
    an image of the split.
    """
    records = {part: split.records(index, part) for part in PARTS}
    everything = [record for part in PARTS for record in records[part]]
    read = [record.image for record in everything if record.image in cache]
    exact = _exact(split, cache, read)
    near, proposed, notes = _near(split, cache, read)
    shared = _shared(records)
    unread = len(everything) - len(read)
    if unread:
        notes.append(format_count(unread, "[image|images] could not be read: duplicates of [it|them] are unknown"))
    if not index.has_patients:
        known = sum(record.patient is not None for record in everything)
        notes.append(
            f"only {format_count(known, f'of {len(everything):,} images [names its|name their] patient')}"
            if known
            else NO_PATIENTS
        )
    return SplitAudit(
        digest=split.digest,
        kind=split.kind,
        patients=index.has_patients,
        shared_patients=len(shared),
        shared_examples=tuple(shared[:5]),
        exact=exact,
        near=near,
        proposed=proposed,
        compared=len(read),
        unread=unread,
        parts={part: summarise(records[part]) for part in PARTS},
        leak=leak(split, index),
        notes=tuple(notes),
    )


def summarise(records: Sequence[ImageRecord]) -> PartSummary:
    """Counts of labels, patients, views, sexes and ages."""
    people = {group_of(r) for r in records if r.patient is not None}
    ages = [r.age for r in records if r.age is not None and r.age_plausible]
    low, middle, high = np.percentile(ages, (25, 50, 75)).tolist() if ages else (0.0, 0.0, 0.0)
    abnormal = sum(r.label == ABNORMAL for r in records)
    return PartSummary(
        images=len(records),
        patients=len(people) or None,
        normal=len(records) - abnormal,
        abnormal=abnormal,
        views=dict(sorted(Counter(r.view or "unknown" for r in records).items())),
        sexes=dict(sorted(Counter(r.sex or "unknown" for r in records).items())),
        ages=len(ages),
        age_quartiles=(low, middle, high) if ages else None,
        implausible_ages=sum(not r.age_plausible for r in records),
    )


def _shared(records: dict[str, tuple[ImageRecord, ...]]) -> list[tuple[str, ...]]:
    """Of every known patient in more than one part, one image of each of these parts."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for part, members in records.items():
        for record in members:
            if record.patient is not None:
                found[group_of(record)].setdefault(part, record.image)
    return [tuple(images.values()) for images in found.values() if len(images) > 1]


def _exact(split: Split, cache: PixelCache, images: Iterable[str]) -> tuple[Duplicate, ...]:
    """Of each picture in more than one part, one image of each part, in pairs."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for image in images:
        found[cache.content_hash(image)].setdefault(split.part_of[image], image)
    pairs = (pair for members in found.values() for pair in combinations(members.items(), 2))
    return tuple(Duplicate(a, part, b, other, 1.0) for (part, a), (other, b) in pairs)


def _near(split: Split, cache: PixelCache, images: Sequence[str]) -> tuple[tuple[Duplicate, ...], int, list[str]]:
    if not images:
        return (), 0, []
    part = np.array([PARTS.index(split.part_of[image]) for image in images], np.int64)
    found = near_pairs(thumbnails((cache.pixels[row] for row in cache.rows(images)), SIDE), part)
    pairs = [
        Duplicate(images[a], PARTS[part[a]], images[b], PARTS[part[b]], round(float(r), 4))
        for (a, b), r in zip(found.pairs.tolist(), found.correlation, strict=True)
        if cache.content_hash(images[a]) != cache.content_hash(images[b])
    ]
    pairs.sort(key=lambda pair: (-pair.correlation, pair.image, pair.other))
    capped = f"many images look alike: each was compared with {CAP} of them, near duplicates may be missing"
    return tuple(pairs), found.proposed, [capped] if found.capped else []

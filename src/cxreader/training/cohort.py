"""The images of a training: indexed, split, decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxreader.config import Config
from cxreader.data.dataset import CachedImages
from cxreader.data.index import Index
from cxreader.data.pixel_cache.cache import PixelCache, build_cache
from cxreader.data.sources import locate, open_data
from cxreader.data.split import PARTS, Split, group_of, make_split, require_disjoint
from cxreader.errors import SplitError, UsageError
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.imaging.preprocess import InputSpec
from cxreader.progress import Bar, Say
from cxreader.records import ABNORMAL, NORMAL
from cxreader.runs import RunFolder

LEARNING_PARTS = ("train", "tune", "calibrate")


@dataclass(frozen=True, slots=True)
class Cohort:
    """The images of a run: where each lies in the cache, and the part it belongs to.

    A picture that stands there under several names is in the first of the parts alone, in the order of the split's; in
    `cache` its other names are not found. `parts` and `images` (their names, by part) have one order.
    """

    index: Index
    split: Split
    cache: PixelCache
    parts: dict[str, CachedImages]
    images: dict[str, tuple[str, ...]]

    def sample(self, part: str) -> Sample:
        """Labels and patients of a part's images, in their order."""
        records = [self.index.by_image[image] for image in self.images[part]]
        groups = np.unique([group_of(record) for record in records], return_inverse=True)[1]
        return Sample(self.parts[part].labels, groups, any(record.patient is not None for record in records))


def prepare_cohort(
    config: Config, run: RunFolder, say: Say, bar: Bar, *, wanted_parts: Sequence[str] = PARTS
) -> Cohort:
    """Index the source, split it (or take the run's split), decode it once; images that cannot be read are left out, and said.

    Only the images of `wanted_parts` are decoded and handed on; who does not ask for the test part never opens it.
    """
    data = config.data
    if data.phantoms is not None:
        mend = "draw them with `cxreader data phantom`, and give that folder as data.root"
        raise UsageError("only a study draws its own phantoms", where="data.phantoms", mend=mend)
    index = open_data(data)
    for note in index.notes:
        say(note)
    split = _split(config, run, index)
    require_disjoint(split, index)
    for note in split.notes:
        say(note)
    by_image = index.by_image
    wanted = [by_image[image] for name in wanted_parts for image in split.parts[name]]
    folder = run.cache if data.cache is None else Path(data.cache)
    with bar("pixel cache") as progress:
        cache = build_cache(wanted, input_spec(config), folder, workers=data.workers, progress=progress)
    unread = [record.image for record in wanted if record.image not in cache]
    if unread:
        what = f"{len(unread):,} of {len(wanted):,} images cannot be read and are left out"
        say(f"{what}, {unread[0]!r} first; reasons: {cache.folder / 'errors.json'}")
    cache = cache.without_copies(record.image for record in wanted)
    _tell_copies(cache, index, say)
    images = {name: tuple(image for image in split.parts[name] if image in cache) for name in wanted_parts}
    parts = {name: cached_part(cache, index, images[name]) for name in wanted_parts}
    for name in [part for part in LEARNING_PARTS if part in parts]:
        classes = np.bincount(parts[name].labels, minlength=2)
        if min(classes) == 0:
            what = f"part {name} has {classes[NORMAL]} normal and {classes[ABNORMAL]} abnormal images that can be read"
            raise SplitError(what, where=data.where, mend="give more patients of each class")
    return Cohort(index, split, cache, parts, images)


def _tell_copies(cache: PixelCache, index: Index, say: Say) -> None:
    """How many images show a picture that is taken under another name, and whether their labels differ."""
    if not cache.copies:
        return
    count = len(cache.copies)
    say(f"{count:,} image{'s show' if count > 1 else ' shows'} the same picture as another: each picture is taken once")
    labels = {image: index.by_image[image].label for image in (*cache.copies, *cache.copies.values())}
    contrary = {first for image, first in cache.copies.items() if labels[image] != labels[first]}
    if contrary:
        say(
            f"warning: {len(contrary):,} of these pictures {'are' if len(contrary) > 1 else 'is'} labelled normal and abnormal; "
            f"the first label is taken, {min(contrary)!r} for one"
        )


def cached_part(cache: PixelCache, index: Index, images: tuple[str, ...]) -> CachedImages:
    """The images of a part that could be read, with their labels."""
    readable = [image for image in images if image in cache]
    labels = np.array([index.by_image[image].label for image in readable], np.int64)
    return CachedImages(cache.pixels, cache.rows(readable), labels)


def input_spec(config: Config) -> InputSpec:
    """The configured input, the one that the cache, the training and the Artifact share."""
    return InputSpec(config.input.size, config.input.fit, config.input.mean, config.input.std)


def _split(config: Config, run: RunFolder, index: Index) -> Split:
    """The run's own split once it is written; else the configured file, else a new one. Kept, so that it never changes."""
    section = config.split
    if run.split.exists():
        return Split.load(run.split)
    if section.file is not None:
        split = Split.load(locate(section.file))
        for part in split.parts:
            split.records(index, part)  # raises when an image is not in this source
    else:
        split = make_split(
            index,
            kind=section.kind,
            shares=section.shares,
            balance=section.balance,
            abnormal_share=section.abnormal_share,
            size=section.size,
        )
    split.save(run.split)
    return split

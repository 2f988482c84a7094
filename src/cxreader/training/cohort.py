"""The images of a training: indexed, split, decoded once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxreader.config import Config
from cxreader.data.dataset import CachedImages
from cxreader.data.index import Index
from cxreader.data.pixel_cache.cache import PixelCache, build_cache
from cxreader.data.sources import locate, open_data
from cxreader.data.split import PARTS, Split, make_split, require_disjoint
from cxreader.errors import DataError, SplitError, UsageError
from cxreader.imaging.preprocess import InputSpec
from cxreader.progress import Bar, Say
from cxreader.records import ABNORMAL, NORMAL, ImageRecord
from cxreader.runs import RunFolder, write_json

LEARNING_PARTS = ("train", "tune", "calibrate")


@dataclass(frozen=True, slots=True)
class Cohort:
    """The images of a run: where each lies in the cache, and the part it belongs to."""

    index: Index
    split: Split
    cache: PixelCache
    parts: dict[str, CachedImages]


def prepare_cohort(
    config: Config, run: RunFolder, say: Say, bar: Bar, *, wanted_parts: Sequence[str] = PARTS
) -> Cohort:
    """Index the source, split it (or take the run's split), decode it once; images that cannot be read are left out and told.

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
    cache = cache.without(_left_out(run, wanted, cache, say))
    parts = {name: cached_part(cache, index, split.parts[name]) for name in wanted_parts}
    for name in [part for part in LEARNING_PARTS if part in parts]:
        classes = np.bincount(parts[name].labels, minlength=2)
        if min(classes) == 0:
            what = f"part {name} has {classes[NORMAL]} normal and {classes[ABNORMAL]} abnormal images that can be read"
            raise SplitError(what, where=data.where, mend="give more patients of each class")
    return Cohort(index, split, cache, parts)


def _left_out(run: RunFolder, wanted: Sequence[ImageRecord], cache: PixelCache, say: Say) -> dict[str, str]:
    """Why each image of the run is left out, by image; written to the run's `unread.json`, and said in a line.

    What was left out when the run began stays left out when it is resumed, though it could be read now: its parts must not
    change. Raises DataError when no image can be read at all.
    """
    reasons = {failure.image: failure.reason for failure in cache.errors}
    found = {r.image: reasons.get(r.image, "cannot be read") for r in wanted if r.image not in cache}
    if wanted and len(found) == len(wanted):
        image, reason = next(iter(found.items()))
        mend = "see whether the files are whole, and of a kind that is read"
        raise DataError(f"none of {len(wanted):,} images can be read; the first, {image!r}: {reason}", mend=mend)
    before: dict[str, str] = json.loads(run.unread.read_text(encoding="utf-8")) if run.unread.exists() else {}
    mended = sum(record.image in before and record.image not in found for record in wanted)
    if found:
        what = f"{len(found):,} of {len(wanted):,} images cannot be read and are left out"
        say(f"{what}, {next(iter(found))!r} first; reasons: {run.unread}")
    if mended:
        say(f"{mended:,} images that could not be read when this run began stay left out: {run.unread}")
    left_out = {**found, **before}
    if left_out != before:
        write_json(run.unread, left_out)
    return left_out


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

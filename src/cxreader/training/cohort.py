"""The images of a training: indexed, split, decoded once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cxreader.config import Config
from cxreader.counting import format_count
from cxreader.data.dataset import CachedImages
from cxreader.data.index import Index
from cxreader.data.original_sizes import all_square
from cxreader.data.pixel_cache.cache import PixelCache, build_cache
from cxreader.data.sources import locate, open_data
from cxreader.data.split import PARTS, PLACES, Split, make_split, require_disjoint, source_of
from cxreader.errors import CxreaderError, DataError, SplitError, UsageError
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.population import PHANTOMS
from cxreader.models.registry import model_entry
from cxreader.progress import Bar, Note, Say
from cxreader.records import ABNORMAL, NORMAL, ImageRecord
from cxreader.runs import RunFolder, write_json
from cxreader.training.supervision import supervision

LEARNING_PARTS = ("train", "tune", "calibrate")


@dataclass(frozen=True, slots=True)
class Cohort:
    """The images of a run: where each lies in the cache, and the part it belongs to.

    A picture that stands there under several names is in the first of the parts alone, in the order of the split's; in
    `cache` its other names are not found. `parts` and `images` (their names, by part) have one order. `only_regions`: images
    of sources of weight 0, which teach a region head and stand in neither.
    """

    index: Index
    split: Split
    cache: PixelCache
    parts: dict[str, CachedImages]
    images: dict[str, tuple[str, ...]]
    only_regions: tuple[str, ...] = ()

    def sample(self, part: str) -> Sample:
        """Labels and patients of a part's images, in their order."""
        return Sample.of_records([self.index.by_image[image] for image in self.images[part]])


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
        say(Note(note))
    split = _split(config, run, index)
    require_disjoint(split, index)
    for note in split.notes:
        say(Note(note))
    by_image = index.by_image
    wanted = [by_image[image] for name in wanted_parts for image in split.parts[name]]
    folder = run.cache if data.cache is None else Path(data.cache)
    with bar("pixel cache") as progress:
        cache = build_cache(wanted, input_spec(config), folder, workers=data.workers, progress=progress)
    cache = cache.without(_left_out(run, wanted, cache, say)).without_copies(record.image for record in wanted)
    _tell_copies(cache, index, say)
    images = {name: tuple(image for image in split.parts[name] if image in cache) for name in wanted_parts}
    only_regions = tuple(i for i in images.get("train", ()) if index.teaches_places_alone(by_image[i]))
    if only_regions:
        say(
            format_count(
                len(only_regions), "[image teaches|images teach] where findings lie, and the classifier nothing"
            )
        )
        images["train"] = tuple(image for image in images["train"] if image not in set(only_regions))
    parts = {name: cached_part(cache, index, images[name]) for name in wanted_parts}
    if "train" in parts:
        learnt = [by_image[image] for image in images["train"]]
        _tell_squares(learnt, index, config, say)
        parts["train"].supervision = supervision(index, learnt, config.training.class_weights)
    for name in [part for part in LEARNING_PARTS if part in parts]:
        classes = np.bincount(parts[name].labels, minlength=2)
        if min(classes) == 0:
            what = f"part {name} has {classes[NORMAL]} normal and {classes[ABNORMAL]} abnormal images that can be read"
            raise SplitError(what, where=data.where, mend="give more patients of each class")
    return Cohort(index, split, cache, parts, images, only_regions)


def _tell_copies(cache: PixelCache, index: Index, say: Say) -> None:
    """How many images show a picture that is taken under another name, and whether their labels differ."""
    if not cache.copies:
        return
    count = len(cache.copies)
    say(Note(format_count(count, "[image shows|images show] the same picture as another: each picture is taken once")))
    labels = {image: index.by_image[image].label for image in (*cache.copies, *cache.copies.values())}
    contrary = {first for image, first in cache.copies.items() if labels[image] != labels[first]}
    if contrary:
        what = format_count(len(contrary), "of these pictures [is|are]")
        say(Note(f"warning: {what} labelled normal and abnormal; the first label is taken, {min(contrary)!r} for one"))


def _tell_squares(records: Sequence[ImageRecord], index: Index, config: Config, say: Say) -> None:
    """That a reader of squares alone meets other images padded, which it has never seen; phantoms are drawn square.

    Some thousand are looked at, spread over all; where an original is no more there, nothing is told.
    """
    looked = records[:: max(1, len(records) // 1000)]
    if config.input.fit != "pad" or not looked or index.name.startswith(PHANTOMS):
        return
    with suppress(CxreaderError):
        if all_square(looked):
            which = (
                "every training image" if len(looked) == len(records) else f"each of {len(looked):,} training images"
            )
            what = f'{which} is square: if their publisher squeezed them, set input.fit = "squash"'
            say(Note(f"{what}, so that images in their own aspect are squeezed alike and not padded"))


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
        raise DataError(
            f"none of {format_count(len(wanted), '[image|images]')} can be read; the first, {image!r}: {reason}",
            mend=mend,
        )
    before: dict[str, str] = json.loads(run.unread.read_text(encoding="utf-8")) if run.unread.exists() else {}
    mended = sum(record.image in before and record.image not in found for record in wanted)
    if found:
        what = format_count(len(found), f"of {len(wanted):,} images cannot be read and [is|are] left out")
        say(f"{what}, {next(iter(found))!r} first; reasons: {run.unread}")
    if mended:
        say(
            format_count(mended, "[image|images] that could not be read when this run began [stays|stay] left out")
            + f": {run.unread}"
        )
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
    """The configured input, the one that the cache, the training and the Artifact share; normalised as the network wants it.

    Raises ModelError for an unknown network.
    """
    entry = model_entry(config.model.name)
    return InputSpec(
        config.input.size, config.input.fit, config.input.mean or entry.mean, config.input.std or entry.std
    )


def require_same_images(run: RunFolder, cohort: Cohort, parts: Iterable[str] | None = None) -> None:
    """Note what `parts` (all at hand) hold when a run begins; compare it when the run goes on, wherever its images lie by then.

    Raises UsageError, naming the part, when its pictures at full size, their labels or their order are others.
    """
    now = {name: _contents(cohort, name) for name in parts or cohort.parts}
    if not run.images.exists():
        write_json(run.images, now)
        return
    begun: dict[str, dict[str, Any]] = json.loads(run.images.read_text(encoding="utf-8"))
    for name, found in now.items():
        before = begun.setdefault(name, found)
        if before != found:
            counts = f"{found['images']:,} now, {before['images']:,} then"
            what = f"part {name} has other images than those the run began with ({counts})"
            raise UsageError(what, where=run.path, mend="give the same images, or begin anew with another --out")
    write_json(run.images, begun)


def _contents(cohort: Cohort, name: str) -> dict[str, Any]:
    part = cohort.parts[name]
    digest = hashlib.blake2b(cohort.cache.records["content"][part.rows].tobytes(), digest_size=16)
    digest.update(part.labels.tobytes())
    return {"images": len(part), "digest": digest.hexdigest()}


def _reopening(split: Split, index: Index, run: RunFolder) -> Split:
    """The run's split with the places where its images lie now, which its digest leaves out."""
    here = {key: value for key, value in source_of(index).items() if key in PLACES}
    source = {key: value for key, value in split.source.items() if key not in PLACES} | here
    if source != split.source:
        split = replace(split, source=source)
        split.save(run.split)
    return split


def _split(config: Config, run: RunFolder, index: Index) -> Split:
    """The run's own split once it is written; else the configured file, else a new one. Kept, so that it never changes.

    It reopens its images where they lie now. Raises UsageError when the configured file is another split by now.
    """
    section = config.split
    if run.split.exists():
        kept = Split.load(run.split)
        if section.file is not None and Split.load(locate(section.file)).digest != kept.digest:
            what = "split.file is another split than the run began with"
            raise UsageError(what, where=section.file, mend="give that split, or another --out")
        return _reopening(kept, index, run)
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

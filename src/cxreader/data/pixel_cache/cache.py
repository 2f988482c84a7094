"""The pixel cache: every image decoded once, to memory-mapped uint8."""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.atomic import reserve_space, write_whole
from cxreader.data.pixel_cache.pool import exclusive, run_jobs, wait_for_orphans
from cxreader.data.pixel_cache.rows import (
    COMPLETE,
    ERRORS,
    PIXELS,
    READER,
    RECORD,
    ROWS,
    Failure,
    Job,
    identity,
    image_digest,
    is_recorded,
    load_records,
)
from cxreader.errors import CacheError, ImageError
from cxreader.imaging.duplicates.digests import file_digest, shown_digest
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import load
from cxreader.records import ImageRecord
from cxreader.remote import is_remote

Progress = Callable[[int, int], None]
_LOOKING = 16
"""Threads that ask a store."""
_MEND = "make it with `cxreader data cache`"


@dataclass(frozen=True, eq=False)
class PixelCache:
    """Pixels of images as `InputSpec.pixels` gives them.

    `folder`: this cache's own. `pixels`: uint8 (N, S, S), memory-mapped, read-only; rows are found by image, and some
    may belong to nobody. `errors`: images that could not be read. `decoded` and `kept`: of the build that returned this
    cache, how many images were decoded and how many were there already. `copies`: images that are not found here, though
    they could be read, each with the one of the same pixels that is.
    """

    folder: Path
    spec: InputSpec
    pixels: NDArray[np.uint8] = field(repr=False)
    records: NDArray[np.void] = field(repr=False)
    errors: tuple[Failure, ...] = ()
    decoded: int = 0
    kept: int = 0
    copies: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], spec: InputSpec) -> Self:
        """The finished cache of this spec below `folder`. Raises CacheError when there is none, or it is truncated."""
        place = cache_place(folder, spec)
        rows = _committed(place)
        if rows is None:
            raise CacheError("no finished pixel cache here", where=place, mend=_MEND)
        shape = (rows, spec.size, spec.size)
        try:
            long_enough = (place / PIXELS).stat().st_size >= rows * spec.size**2
        except OSError:
            long_enough = False
        records = load_records(place)[:rows]
        if not long_enough or len(records) < rows:
            raise CacheError("the pixel cache is truncated", where=place, mend=f"{_MEND}: whole rows are kept")
        pixels = np.memmap(place / PIXELS, np.uint8, "r", shape=shape) if rows else np.empty(shape, np.uint8)
        return cls(place, spec, pixels, records, _load_errors(place))

    @cached_property
    def _row_of(self) -> dict[bytes, int]:
        found = rows_by_image(self.records, is_recorded(self.records))
        for failure in self.errors:  # the row of an earlier, readable file of that name is not this image
            found.pop(image_digest(failure.image), None)
        for image in self.copies:
            found.pop(image_digest(image), None)
        return found

    @cached_property
    def _reasons(self) -> dict[str, str]:
        copies = {image: f"it shows the same picture as {first!r}" for image, first in self.copies.items()}
        return {failure.image: failure.reason for failure in self.errors} | copies

    def __contains__(self, image: object) -> bool:
        return isinstance(image, str) and image_digest(image) in self._row_of

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels on the disk."""
        return int(self.pixels.nbytes)

    def row(self, image: str) -> int:
        """The image's row in `pixels`. Raises CacheError, with the reason when the image was unreadable."""
        row = self._row_of.get(image_digest(image))
        if row is None:
            reason = self._reasons.get(image)
            what = f"image {image!r} is not in the pixel cache"
            raise CacheError(what if reason is None else f"{what}: {reason}", where=self.folder, mend=_MEND)
        return row

    def rows(self, images: Iterable[str]) -> NDArray[np.int64]:
        """(n,) int64: the rows of many images, in their order. Raises CacheError as `row` does."""
        return np.array([self.row(image) for image in images], np.int64)

    def without(self, reasons: Mapping[str, str]) -> Self:
        """The same cache, in which these images count as such that could not be read, for these reasons."""
        kept = tuple(failure for failure in self.errors if failure.image not in reasons)
        left_out = tuple(Failure(image, reason, -1, -1) for image, reason in reasons.items())
        return replace(self, errors=kept + left_out)

    def content_hash(self, image: str) -> str:
        """16 hex digits of the decoded picture at full size: equal for exact duplicates, whatever their files."""
        return bytes(self.records["content"][self.row(image)]).hex()

    @property
    def whole(self) -> Self:
        """The same cache with the copies."""
        return replace(self, copies={})

    def digests(self, image: str, path: str | None = None) -> tuple[bytes, ...]:
        """What names the image's picture (`imaging.digests`): what a network is shown of it, and its file.

        The file's comes from the cache; of a row that an earlier version wrote it is read from `path`, if that is given.
        """
        row = self.row(image)
        shown = shown_digest(self.pixels[row])
        if self.records["hashed"][row] == 1:
            return shown, bytes(self.records["file"][row])
        try:
            return (shown,) if path is None else (shown, file_digest(load(path)))
        except ImageError:
            return (shown,)

    def without_copies(self, images: Iterable[str]) -> Self:
        """The same cache, in which of several of `images` that show the same pixels the first alone is found."""
        first: dict[tuple[int, bytes], str] = {}
        rows = {image: self.row(image) for image in images if image in self}
        sums = Counter(int(self.records["pixels"][row]) for row in rows.values())
        copies = {}
        for image, row in rows.items():
            if sums[key := int(self.records["pixels"][row])] == 1:
                continue
            original = first.setdefault((key, shown_digest(self.pixels[row])), image)
            if original != image:
                copies[image] = original
        return replace(self, copies=copies)

    def torn(self) -> NDArray[np.int64]:
        """Rows whose pixels no longer fit their checksum; reads every pixel."""
        return np.array([row for row in self._row_of.values() if not _whole(self.pixels, self.records, row)], np.int64)


def build_cache(
    records: Iterable[ImageRecord],
    spec: InputSpec,
    folder: str | os.PathLike[str],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    verify: bool = False,
) -> PixelCache:
    """Decode what is not in the cache yet, in all cores (or `workers` processes), and open the cache.

    Images are known by name and by their file's size and time: new ones are appended, changed ones read again. A file
    that cannot be read becomes an entry of `errors` and is tried again only when it or the reader changed. A killed build
    goes on after its last whole row. `progress(done, total)` counts decoded images; `verify` checks every row there is, not only
    those of an unfinished build. Two processes take turns. Raises StorageError, before anything is decoded, when
    the disk has no room, and CacheError when a worker died or a record has no file.
    """
    files = _files(records)
    place = cache_place(folder, spec)
    with exclusive(place):
        wait_for_orphans(place)
        old, whole = _survey(place, spec, verify=verify)
        known, failed = rows_by_image(old, whole), {f.image: f for f in _load_errors(place)}
        jobs, unreadable = _missing(files, old, known, failed, np.flatnonzero(~whole).tolist())
        if jobs or _committed(place) != len(old):
            _make_room(place, spec, old, whole, jobs)
            build = 1 + int(old["build"][whole].max(initial=0))
            try:
                for failure in run_jobs(place, spec, build, jobs, workers, progress):
                    failed[failure.image] = failure
                    unreadable[failure.image] = failure
            finally:
                fresh = [asdict(f) for image, f in failed.items() if image not in files or image in unreadable]
                write_whole(place / ERRORS, json.dumps(fresh, indent=1).encode())
            _commit(place, max([len(old), *(job.row + 1 for job in jobs)]))
        cache = PixelCache.open(folder, spec)
    decoded = len(jobs) - sum(job.image in unreadable for job in jobs)
    errors = tuple(unreadable[image] for image in files if image in unreadable)
    return PixelCache(
        place, spec, cache.pixels, cache.records, errors, decoded=decoded, kept=len(files) - decoded - len(errors)
    )


def cache_place(folder: str | os.PathLike[str], spec: InputSpec) -> Path:
    """The folder of this spec's cache below `folder`."""
    return Path(folder) / f"pixels-v1-{spec.size}-{spec.pixel_key}"


def cache_bytes(images: int, spec: InputSpec) -> int:
    """Bytes on the disk of a cache of so many images."""
    return images * (spec.size**2 + RECORD.itemsize)


def rows_by_image(records: NDArray[np.void], usable: NDArray[np.bool_]) -> dict[bytes, int]:
    """The row of each image by its digest; of several, the latest build's."""
    order = np.flatnonzero(usable)
    order = order[np.argsort(records["build"][order], kind="stable")]
    return {bytes(records["image"][row]): int(row) for row in order}


def _files(records: Iterable[ImageRecord]) -> dict[str, str]:
    files: dict[str, str] = {}
    for record in records:
        if record.path is None:
            raise CacheError(f"image {record.image!r} has no file", mend="open the source with its files required")
        files[record.image] = record.path
    return files


def _survey(place: Path, spec: InputSpec, *, verify: bool) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
    """All records, and which of them stand for whole rows. What the last finished build left is trusted."""
    records = load_records(place)
    whole = is_recorded(records)
    path, row_bytes = place / PIXELS, spec.size**2
    there = path.stat().st_size // row_bytes if path.is_file() else 0
    whole[there:] = False
    trusted = _committed(place)
    trusted = 0 if verify or trusted is None or trusted > there else trusted
    if there:
        pixels = np.memmap(path, np.uint8, "r", shape=(there, spec.size, spec.size))
        for row in np.flatnonzero(whole):
            whole[row] = row < trusted or _whole(pixels, records, int(row))
    return records, whole


def _whole(pixels: NDArray[np.uint8], records: NDArray[np.void], row: int) -> bool:
    return zlib.crc32(pixels[row].data) == int(records["pixels"][row])


def _missing(
    files: dict[str, str],
    records: NDArray[np.void],
    known: dict[bytes, int],
    failed: dict[str, Failure],
    free: Sequence[int],
) -> tuple[list[Job], dict[str, Failure]]:
    """What must be decoded and into which row (free ones first, then new ones); what is known to be unreadable."""
    jobs, unreadable, rows = [], {}, iter([*free, *range(len(records), len(records) + len(files))])
    with ThreadPoolExecutor(_LOOKING) as pool:
        each = pool.map if any(map(is_remote, files.values())) else map  # a request for each takes long
        identities = list(each(identity, files.values()))
    for (image, path), found in zip(files.items(), identities, strict=True):
        row, failure = known.get(image_digest(image)), failed.get(image)
        if row is not None and (int(records["size"][row]), int(records["mtime"][row])) == found:
            continue
        if failure is not None and (failure.size, failure.mtime, failure.reader) == (*found, READER):
            unreadable[image] = failure
            continue
        jobs.append(Job(next(rows), image, path))
    return jobs, unreadable


def _make_room(
    place: Path, spec: InputSpec, old: NDArray[np.void], whole: NDArray[np.bool_], jobs: Sequence[Job]
) -> None:
    """Reserve the disk for all rows, then erase the records of those that are written anew."""
    rows = max([len(old), *(job.row + 1 for job in jobs)])
    for name, width in ((PIXELS, spec.size**2), (ROWS, RECORD.itemsize)):
        reserve_space(place / name, rows * width, needed=cache_bytes(rows, spec))
    with (place / ROWS).open("r+b") as file:
        for row in np.flatnonzero(~whole & (old["build"] > 0)).tolist():
            file.seek(row * RECORD.itemsize)
            file.write(bytes(RECORD.itemsize))


def _commit(place: Path, rows: int) -> None:
    """From here on these rows are trusted: force them to the disk, then say so."""
    for name in (PIXELS, ROWS):
        with (place / name).open("rb") as file:
            os.fsync(file.fileno())
    write_whole(place / COMPLETE, json.dumps({"rows": rows}).encode())


def _committed(place: Path) -> int | None:
    """Rows that were whole when the last build ended; None when none ever did."""
    try:
        return int(json.loads((place / COMPLETE).read_bytes())["rows"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _load_errors(place: Path) -> tuple[Failure, ...]:
    try:
        found: list[dict[str, Any]] = json.loads((place / ERRORS).read_bytes())
        return tuple(Failure(**failure) for failure in found)
    except (OSError, ValueError, TypeError):
        return ()  # they are tried again

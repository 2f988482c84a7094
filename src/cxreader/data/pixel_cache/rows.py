"""How a pixel cache lies on the disk, and how one row of it is written and proved whole.

    pixels-v1-SIZE-KEY/
        pixels.u8       N x SIZE x SIZE bytes, row after row
        rows.bin        N records of 64 bytes (`RECORD`), each with its own checksum; zeros where there is no row
        errors.json     images that could not be read, why, and which file that was
        complete.json   how many rows were whole and on the disk when the last build ended
        lock, workers   who builds, and whose workers still write

Whole rows are never written again: a changed file gets a new row, so that readers of an older state keep theirs. A
row's record is written after its pixels, and holds their checksum: whatever a kill leaves behind, a torn row is known.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxreader.atomic import storage_error
from cxreader.errors import CacheError, ImageError, MissingDecoderError
from cxreader.imaging import containers, read
from cxreader.imaging.duplicates.digests import file_digest
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.refusing import NO_MEMORY

RECORD = np.dtype(
    [
        ("image", "V16"),  # BLAKE2b of the image's name
        ("content", "V8"),  # digest of the decoded picture at full size
        ("file", "V8"),  # digest of the file, where `hashed`; of an earlier version, the rest of the picture's
        ("size", "<i8"),  # of the file, bytes
        ("mtime", "<i8"),  # of the file, ns
        ("pixels", "<u4"),  # CRC-32 of the row's pixels
        ("build", "<u4"),  # the latest build's row of an image counts
        ("hashed", "<u4"),  # 1 where `file` is the file's
        ("own", "<u4"),  # CRC-32 of the 60 bytes before it
    ]
)
PIXELS, ROWS, ERRORS, COMPLETE, LOCK, WORKERS = (
    "pixels.u8",
    "rows.bin",
    "errors.json",
    "complete.json",
    "lock",
    "workers",
)
_NO_FILE = (-1, -1)
READER = 1
"""Raised when files can be read that could not be before: those that failed under a lower number are tried again."""


@dataclass(frozen=True, slots=True)
class Job:
    """One image to decode into one row."""

    row: int
    image: str
    path: str


@dataclass(frozen=True, slots=True)
class Failure:
    """One image that could not be read: why, the size (bytes) and time (ns) of the file that was tried, and by which READER."""

    image: str
    reason: str
    size: int
    mtime: int
    reader: int = 0


def image_digest(image: str) -> bytes:
    """16 bytes by which an image's row is found."""
    return hashlib.blake2b(image.encode(), digest_size=16).digest()


def identity(path: str) -> tuple[int, int]:
    """Size in bytes and modification time in ns of a file (a member of an archive: CRC-32); (-1, -1) when there is none."""
    try:
        return containers.identity(path)
    except OSError:
        return _NO_FILE


def load_records(place: Path) -> NDArray[np.void]:
    """(n,) RECORD: every record of the file, whole or not; none when there is no file. A copy."""
    path = place / ROWS
    data = path.read_bytes() if path.is_file() else b""
    return np.frombuffer(data[: len(data) // RECORD.itemsize * RECORD.itemsize], RECORD).copy()


def is_recorded(records: NDArray[np.void]) -> NDArray[np.bool_]:
    """(n,) True where a record is whole by its own checksum (the pixels may yet be torn)."""
    data, step = memoryview(records.tobytes()), RECORD.itemsize
    own = (zlib.crc32(data[at : at + step - 4]) for at in range(0, len(data), step))
    return np.asarray((np.fromiter(own, np.uint32, len(records)) == records["own"]) & (records["build"] > 0))


def fill(place: Path, spec: InputSpec, build: int, jobs: Sequence[Job]) -> list[Failure]:
    """Decode each job's image into its row; the images that cannot be read come back.

    Raises StorageError when the disk is full or not writable, MissingDecoderError when a package is not installed, CacheError
    when the memory does not suffice.
    """
    failures = []
    pixels, rows = (os.open(place / name, os.O_WRONLY) for name in (PIXELS, ROWS))
    try:
        for job in jobs:
            found = identity(job.path)  # before reading: a file that changes meanwhile is read again next time
            try:
                data = read.load(job.path)
                radiograph = read.read(data, name=job.path)
            except MissingDecoderError:
                raise  # the file is whole: without its decoder the set would silently shrink
            except ImageError as error:
                if error.what == NO_MEMORY:  # it says nothing of the file
                    mend = "run it again with fewer workers: whole rows are kept"
                    raise CacheError(f"{job.path}: {NO_MEMORY}", where=place, mend=mend) from None
                failures.append(Failure(job.image, _reason(error), *found, reader=READER))
                continue
            grey = spec.pixels(radiograph).tobytes()
            record = np.zeros(1, RECORD)
            record["image"], record["content"] = image_digest(job.image), content_digest(radiograph.pixels)
            record["file"], record["hashed"] = file_digest(data), 1
            record["size"], record["mtime"] = found
            record["pixels"], record["build"] = zlib.crc32(grey), build
            record["own"] = zlib.crc32(record.tobytes()[:-4])
            _write(pixels, grey, job.row * len(grey), place)
            _write(rows, record.tobytes(), job.row * RECORD.itemsize, place)
    finally:
        os.close(pixels)
        os.close(rows)
    return failures


def content_digest(pixels: NDArray[np.float32]) -> bytes:
    """8 bytes of the SHA-256 of a decoded picture (H, W): equal for equal pictures, whatever their files look like.

    SHA-256, because processors compute it in hardware: at 1024 x 1024 it takes half of BLAKE2b's time.
    """
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()[:8]


def _reason(error: ImageError) -> str:
    """The error without its path, which stands beside it already."""
    return error.what if error.mend is None else f"{error.what}; {error.mend}"


def _write(file: int, data: bytes, at: int, place: Path) -> None:
    """All of `data`, by pwrite and not through a map: a full disk is then an error and not a bus error."""
    done = 0
    try:
        while done < len(data):
            done += os.pwrite(file, data[done:], at + done)
    except OSError as error:
        raise storage_error(error, place, len(data)) from None

"""Files that are either the old one or the new one, never half of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cxreader.errors import StorageError


def write_whole(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write `data` beside `path`, force it to the disk, then rename it over `path`; folders are made as needed.

    Raises StorageError when the disk is full or the place cannot be written; the old file is then untouched.
    """
    with writing_whole(path, needed=len(data)) as file:
        file.write(data)
    return Path(path)


@contextmanager
def writing_whole(path: str | os.PathLike[str], *, needed: int | None = None) -> Iterator[BinaryIO]:
    """As `write_whole`, for what is written in pieces: the file is renamed over `path` when the block ends without an error.

    `needed`: how many bytes there will be, for the message; those written so far when left out.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    written = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            try:
                yield file
                file.flush()
            finally:
                written = file.tell()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as error:
        temporary.unlink(missing_ok=True) if target.parent.is_dir() else None
        if isinstance(error, OSError):
            raise storage_error(error, target, written if needed is None else needed) from None
        raise


def is_empty(folder: str | os.PathLike[str]) -> bool:
    """True where there is no folder, or nothing in it but locks and what a killed `write_whole` left."""
    place = Path(folder)
    names = [path.name for path in place.iterdir()] if place.is_dir() else []
    return all(name.endswith(".lock") or (name.startswith(".") and name.endswith(".tmp")) for name in names)


def is_full(error: OSError) -> bool:
    """Whether the disk, the quota or the largest size of a file was reached."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def storage_error(error: OSError, where: Path, needed: int) -> StorageError:
    """What went wrong when `needed` bytes were to be written at `where`."""
    if is_full(error):
        what = f"no room for the {needed:,} bytes ({needed / 2**20:,.1f} MiB) it needs"
        return StorageError(what, where=where, mend="free space there or choose another folder; what was done is kept")
    return StorageError(f"cannot be written ({error.strerror})", where=where, mend="choose a folder you may write to")

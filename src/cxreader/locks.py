"""File locks between the processes of one machine (flock(2)), which the system frees when their holder ends, however it ends.

Two locks of one process exclude each other as those of two processes do. Files on a network share: as far as it supports flock.
"""

from __future__ import annotations

import fcntl
import os
from io import FileIO
from pathlib import Path

from cxreader.atomic import storage_error


def lock(path: Path, *, shared: bool = False, make_folder: bool = False) -> FileIO:
    """Wait for the lock on `path`, which is made where it is missing: the open file, whose closing frees the lock.

    `shared`: with others that share it, else alone. `make_folder`: and the folders above it. What the file holds is the
    holder's own: it is opened for reading and writing, unbuffered, and left as it was.
    Raises FileNotFoundError where its folder is missing, StorageError where it cannot be made or locked.
    """
    file = _locked(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, make_folder=make_folder)
    assert file is not None  # noqa: S101 - it was waited for
    return file


def try_lock(path: Path, *, make_folder: bool = False) -> FileIO | None:
    """As `lock`, alone and without waiting: None where anybody holds it."""
    return _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB, make_folder=make_folder)


def is_held(path: Path) -> bool:
    """Whether anybody holds a lock on `path`; False where there is no such file. Raises StorageError as `lock`."""
    if not path.exists():
        return False
    file = try_lock(path)
    if file is not None:
        file.close()
    return file is None


def _locked(path: Path, how: int, *, make_folder: bool) -> FileIO | None:
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
            try:
                fcntl.flock(file, how)
                if _names(path, file):
                    return file
            except BlockingIOError:
                file.close()
                return None
            except BaseException:
                file.close()
                raise
            file.close()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_error(error, path.parent, 0) from None


def _names(path: Path, file: FileIO) -> bool:
    """Whether the path still names the open file: it may have been deleted or replaced while its lock was waited for."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False

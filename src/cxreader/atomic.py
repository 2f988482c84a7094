"""Files that are either the old one or the new one, never half of it."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    temporary = beside(target, "tmp")
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
        with suppress(OSError):  # a place or a name that cannot be
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise storage_error(error, target, written if needed is None else needed) from None
        raise


def beside(target: Path, ending: str) -> Path:
    """A hidden name beside `target` that no other process has, on this machine or on another that writes to the same share.

    Process numbers would not do: two machines have the same ones.
    """
    return target.with_name(f".{target.name}.{secrets.token_hex(6)}.{ending}")


def refuse_unwritable(path: str | os.PathLike[str]) -> None:
    """Before long work: raises StorageError when `path` is a folder, or no file of that name can be written there.

    Nothing is written. Folders that are not there yet are made by who writes.
    """
    target = Path(path)
    longest = beside(target.with_name(f"{target.name}.work"), "new")  # of what stands there meanwhile
    try:
        if target.is_dir():
            raise StorageError("is a folder, not a file", where=target, mend="give the name of a file")
        parent = next(folder for folder in longest.absolute().parents if os.path.lexists(folder))
        too_long = len(os.fsencode(longest.name)) > os.pathconf(parent, "PC_NAME_MAX")
    except OSError as error:
        raise storage_error(error, target, 0) from None
    wrong = None if os.access(parent, os.W_OK | os.X_OK) else errno.EACCES
    wrong = errno.ENAMETOOLONG if too_long else wrong if parent.is_dir() else errno.ENOTDIR
    if wrong is not None:
        raise storage_error(OSError(wrong, os.strerror(wrong)), target, 0)


def refuse_unwritable_folder(path: str | os.PathLike[str]) -> None:
    """Before long work: raises StorageError when `path` is a file, or nothing can be written into a folder of that name.

    Nothing is written. Folders that are not there yet are made by who writes.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_dir():
            raise StorageError("is a file, not a folder", where=target, mend="give the name of a folder")
    except OSError as error:
        raise storage_error(error, target, 0) from None
    refuse_unwritable(target / "written")


def reserve_space(path: Path, length: int, *, needed: int | None = None) -> None:
    """Make the file at `path` at least `length` bytes long, on blocks that the disk has given it.

    A memory map of a file with holes would meet a full disk as a dead process; this meets it as an error. Where the system
    cannot reserve (macOS), a full disk is found while writing. Raises StorageError, naming `needed` bytes (`length` when left
    out); the file then has the length it had.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise storage_error(error, path.parent, 0) from None
    before = os.fstat(file).st_size
    try:
        if length > before:
            os.ftruncate(file, length)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file, 0, length)
    except OSError as error:
        os.ftruncate(file, before)
        raise storage_error(error, path.parent, length if needed is None else needed) from None
    finally:
        os.close(file)


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
    if error.errno == errno.ENAMETOOLONG:
        return StorageError("the name is too long", where=where, mend="give a shorter one")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        there = next((place for place in (where, *where.absolute().parents) if os.path.lexists(place)), where)
        if not there.is_dir():
            return StorageError("is a file, not a folder", where=there, mend="name another place")
    return StorageError(f"cannot be written ({error.strerror})", where=where, mend="choose a folder you may write to")

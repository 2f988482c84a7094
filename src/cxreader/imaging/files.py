"""Opening files and walking folders: regular files alone, of bounded size, so that nothing waits, fills memory or vanishes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from cxreader.errors import ImageError
from cxreader.imaging.limits import MAX_BYTES

COPY_AGAIN = "copy the file again from its source"
"""The mend of a damaged file."""


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file, open for reading. Raises ImageError for anything else: a pipe would wait, a device may never end."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):  # noqa: PTH112, PTH116 - any name
            what = "is no regular file, but a pipe or a device"
            raise ImageError(what, where=path, mend="give the radiograph as a file")
        return Path(path).open("rb")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def first_bytes(path: str | os.PathLike[str], count: int) -> bytes:
    """Up to `count` bytes of a file's start. Raises ImageError."""
    with opened(path) as file:
        return _read(file, path, count)


def load(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a file. Raises ImageError, for one of more than MAX_BYTES too."""
    with opened(path) as file:
        length = os.fstat(file.fileno()).st_size
        if length > MAX_BYTES:
            mend = f"at most {MAX_BYTES // 2**20} MiB are read"
            raise ImageError(f"the file has {length / 2**20:,.0f} MiB", where=path, mend=mend)
        return _read(file, path, length)  # no more, should it grow; a greater number would be allocated in full


def below(folder: Path) -> tuple[list[Path], list[Path]]:
    """All below `folder` that is no folder, sorted, hidden names left out; and, sorted, the folders that cannot be opened.

    Linked folders are walked too, each folder once, by its own name rather than by a link's.
    """
    files: list[Path] = []
    closed: list[Path] = []
    seen: set[str] = set()
    tops = [folder]
    for top in tops:  # grows by the links met below
        for where, folders, names in os.walk(top, onerror=_noted(closed)):
            here, real = Path(where), os.path.realpath(where)
            folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
            if real in seen:
                continue
            seen.add(real)
            tops += [here / name for name in sorted(folders) if (here / name).is_symlink()]
            files += [here / name for name in names if not name.startswith(".")]
    return sorted(files), sorted(closed)


def _noted(closed: list[Path]) -> Callable[[OSError], None]:
    return lambda error: closed.append(Path(os.fspath(error.filename)))


def _read(file: BinaryIO, path: str | os.PathLike[str], count: int) -> bytes:
    try:
        return file.read(count)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str | os.PathLike[str], error: OSError | ValueError) -> ImageError:
    """ValueError: a name with a null byte in it."""
    if isinstance(error, ValueError):
        return ImageError("is no file name", where=path, mend="check the path")
    if isinstance(error, FileNotFoundError):
        return ImageError("no such file", where=path, mend="check the path")
    kind = ""
    if os.path.isdir(path):  # noqa: PTH112 (a name that is too long is none)
        try:
            os.scandir(path).close()
        except OSError as closed:
            kind, error = "is a folder that ", closed
        else:
            mend = "give its files, or the folder to `cxreader read`"
            return ImageError("is a folder, not an image", where=path, mend=mend)
    return ImageError(f"{kind}cannot be opened ({error.strerror})", where=path, mend="check its permissions")

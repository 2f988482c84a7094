"""Opening files and walking folders: regular files alone, of bounded size, so that nothing waits, fills memory or vanishes."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cxreader import remote
from cxreader.errors import ImageError
from cxreader.imaging.limits import MAX_BYTES

COPY_AGAIN = "copy the file again from its source"
"""The mend of a damaged file."""
_FETCH = "fetch the file first: of addresses those of s3, gs, abfs and hdfs are read"
SIDE = frozenset(
    (
        "__macosx",
        "@eadir",
        "#recycle",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "thumbs.db",
        "desktop.ini",
    )
)
"""Names, in lower case, of what macOS, Windows and disk stations put beside files; thumbnails of the images among it."""


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file, open for reading. Raises ImageError for anything else: a pipe would wait, a device may never end."""
    try:
        if isinstance(path, str) and remote.is_remote(path):
            return remote.opened(path)
        if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):  # noqa: PTH112, PTH116 - any name
            what = "is no regular file, but a pipe or a device"
            raise ImageError(what, where=path, mend="give the radiograph as a file")
        return Path(path).open("rb")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def first_bytes(path: str | os.PathLike[str], count: int) -> bytes:
    """Up to `count` bytes of a file's start. Raises ImageError."""
    if isinstance(path, str) and remote.is_remote(path):
        return _remote(path, count)
    with opened(path) as file:
        return _read(file, path, count)


def load(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a file. Raises ImageError, for one of more than MAX_BYTES too."""
    if isinstance(path, str) and remote.is_remote(path):
        content = _remote(path, MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise _too_large(path, "more")
        return content
    with opened(path) as file:
        length = os.fstat(file.fileno()).st_size
        if length > MAX_BYTES:
            raise _too_large(path, f"{length / 2**20:,.0f} MiB")
        return _read(file, path, length)  # no more, should it grow; a greater number would be allocated in full


def _remote(name: str, most: int) -> bytes:
    try:
        return remote.read(name, most)
    except OSError as error:
        raise _unreadable(name, error) from None


def _too_large(path: str | os.PathLike[str], size: str) -> ImageError:
    return ImageError(f"the file has {size}", where=path, mend=f"at most {MAX_BYTES // 2**20} MiB are read")


@dataclass(frozen=True, slots=True)
class Below:
    """What lies below a folder, sorted: `files`, all that is no folder, and folders that cannot be opened (`closed`).

    `hidden` counts the files that are left out: hidden ones, and what computers put beside the files of people.
    """

    files: list[Path]
    closed: list[Path]
    hidden: int


def below(folder: Path, *, deep: bool = True) -> Below:
    """All below `folder`, or in it alone where not `deep`.

    Linked folders are walked too, each folder once (by its device and inode), by its own name rather than by a link's.
    """
    files: list[str] = []
    closed: list[str] = []
    seen: set[tuple[int, int]] = set()
    hidden = 0
    tops = [os.fspath(folder)]
    for top in tops:  # grows by the links met below
        folders = [top]
        for where in folders:  # grows by the folders met in them
            try:
                entries = _entries(where, seen)
            except OSError:
                closed.append(where)
                continue
            for entry, is_folder in entries:
                if is_hidden(entry.name):
                    hidden += _count(entry.path) if is_folder else 1
                elif not is_folder:
                    files.append(entry.path)
                elif deep:
                    (tops if entry.is_symlink() else folders).append(entry.path)
    return Below(sorted(map(Path, files)), sorted(map(Path, closed)), hidden)


def _entries(folder: str, seen: set[tuple[int, int]]) -> list[tuple[os.DirEntry[str], bool]]:
    """What lies in a folder, by name, and whether it is a folder; nothing of one that was `seen`. Raises OSError."""
    found = os.stat(folder)  # noqa: PTH116 (one for each of 100,000 folders)
    if (found.st_dev, found.st_ino) in seen:
        return []
    seen.add((found.st_dev, found.st_ino))
    with os.scandir(folder) as entries:
        return [(entry, _is_folder(entry)) for entry in sorted(entries, key=lambda entry: entry.name)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_hidden(name: str) -> bool:
    """True for a name of one file or folder that begins with a dot, or that a computer made for itself (`SIDE`)."""
    return name.startswith(".") or name.lower() in SIDE


def _count(folder: str) -> int:
    """Files below a hidden folder; links are not followed."""
    return sum(len(names) for _, _, names in os.walk(folder)) if not os.path.islink(folder) else 1  # noqa: PTH114


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
        elsewhere = "://" in os.fspath(path) and not remote.is_remote(path)
        mend = _FETCH if elsewhere else "check the path"
        return ImageError("no such file", where=path, mend=mend)
    kind = ""
    if os.path.isdir(path):  # noqa: PTH112 (a name that is too long is none)
        try:
            os.scandir(path).close()
        except OSError as closed:
            kind, error = "is a folder that ", closed
        else:
            mend = "give its files, or the folder to `cxreader read`"
            return ImageError("is a folder, not an image", where=path, mend=mend)
    mend = "check its permissions" if isinstance(error, PermissionError) else "check its name, and the disk it lies on"
    return ImageError(f"{kind}cannot be opened ({error.strerror})", where=path, mend=mend)

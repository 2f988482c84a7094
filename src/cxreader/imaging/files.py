"""Opening files and walking folders: regular files alone, of bounded size, so that nothing waits, fills memory or vanishes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cxreader.errors import ImageError
from cxreader.imaging.limits import MAX_BYTES

COPY_AGAIN = "copy the file again from its source"
"""The mend of a damaged file."""
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

    Linked folders are walked too, each folder once, by its own name rather than by a link's.
    """
    files: list[Path] = []
    closed: list[Path] = []
    seen: set[str] = set()
    hidden = 0
    tops = [folder]
    for top in tops:  # grows by the links met below
        for where, folders, names in os.walk(top, onerror=_noted(closed)):
            here, real = Path(where), os.path.realpath(where)
            if real in seen:
                folders[:] = []
                continue
            seen.add(real)
            hidden += sum(map(is_hidden, names)) + sum(_count(here / name) for name in folders if is_hidden(name))
            folders[:] = [name for name in folders if not is_hidden(name)]
            files += [here / name for name in names if not is_hidden(name)]
            if not deep:
                break
            tops += [here / name for name in sorted(folders) if (here / name).is_symlink()]
    return Below(sorted(files), sorted(closed), hidden)


def is_hidden(name: str) -> bool:
    """True for a name of one file or folder that begins with a dot, or that a computer made for itself (`SIDE`)."""
    return name.startswith(".") or name.lower() in SIDE


def _count(folder: Path) -> int:
    """Files below a hidden folder; links are not followed."""
    return sum(len(names) for _, _, names in os.walk(folder)) if not folder.is_symlink() else 1


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

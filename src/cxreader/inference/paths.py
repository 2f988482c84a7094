"""What a user names becomes a list of files: files, folders that are walked, archives, and names on standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from cxreader.errors import ImageError
from cxreader.imaging.containers import is_archive, is_dicomdir, members, referenced
from cxreader.imaging.read import HEAD, sniff

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".dcm", ".dicom"})


def listed(paths: Iterable[str]) -> tuple[list[str], int]:
    """Every file to read, and how many others were passed over in folders and archives because they hold no image.

    A file that is named is always taken, so that it gets a row with its reason. A zip archive stands for its members
    (`archive.zip!/inner/name.dcm`), wherever it is met, a DICOMDIR that is named for the files it names. `-` stands for
    names on standard input, a line each. An archive or DICOMDIR that is damaged stays in the list as itself: reading it says why.
    """
    files: list[str] = []
    passed_over = 0
    for path in _named(paths):
        found: Iterator[tuple[str, bool]] = iter(((path, True),))
        if os.path.isdir(path):  # noqa: PTH112 (a name that is too long is none)
            found = _walk(Path(path))
        elif is_dicomdir(path):
            found = _named_in(path)
        elif is_archive(path):
            found = _inside(path)
        for name, image in found:
            if image:
                files.append(name)
            else:
                passed_over += 1
    return files, passed_over


def _named(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if path == "-":
            yield from (line for line in (raw.rstrip("\r\n") for raw in sys.stdin) if line)
        else:
            yield path


def _walk(folder: Path) -> Iterator[tuple[str, bool]]:
    """Files below `folder` in order, hidden ones left out; whether each is an image by its content, or at least by its name.

    A DICOMDIR is passed over: the files it names lie below it.
    """
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not path.is_file():
            continue
        if is_archive(path):
            yield from _inside(str(path))
        else:
            image = path.suffix.lower() in _SUFFIXES or _sniffed(path)
            yield str(path), image and not is_dicomdir(path)


def _inside(archive: str) -> Iterator[tuple[str, bool]]:
    """The members of an archive, and whether each is an image; one that cannot be looked into is taken, for its reason."""
    try:
        for name, head in members(archive):
            yield name, not head or Path(name).suffix.lower() in _SUFFIXES or sniff(head) is not None
    except ImageError:
        yield archive, True  # reading it says why


def _named_in(dicomdir: str) -> Iterator[tuple[str, bool]]:
    try:
        yield from ((name, True) for name in referenced(dicomdir))
    except ImageError:
        yield dicomdir, True


def _sniffed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return sniff(file.read(HEAD)) is not None
    except OSError:
        return True  # it gets its row, with the reason

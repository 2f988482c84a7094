"""What a user names becomes a list of files: files, folders that are walked, and archives."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cxreader.errors import DataError, ImageError
from cxreader.imaging.containers import holds_directory, is_archive, is_dicomdir, is_inner_archive, members, referenced
from cxreader.imaging.files import below, first_bytes
from cxreader.imaging.limits import HEAD
from cxreader.imaging.read import sniff

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".dcm", ".dicom"})


def listed(paths: Iterable[str]) -> tuple[list[str], int]:
    """Every file to read, and how many others in folders and archives hold no PNG, JPEG or DICOM and were passed over.

    A file that is named is always taken, so that it gets a row with its reason. A zip archive stands for its members
    (`archive.zip!/inner/name.dcm`), wherever it is met, a DICOMDIR that is named for the files it names. An archive or
    DICOMDIR that is damaged, and a folder that cannot be opened, stay in the list as themselves: reading them says why.
    Raises DataError when there is nothing to read.
    """
    named = list(paths)
    files: list[str] = []
    passed_over = 0
    for path in named:
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
    if not files:
        what = "nothing to read" + (f": {passed_over:,} files, none of them PNG, JPEG or DICOM" if passed_over else "")
        raise DataError(what, where=named[0] if len(named) == 1 else None, mend="name images, or what holds them")
    return files, passed_over


def _walk(folder: Path) -> Iterator[tuple[str, bool]]:
    """Files below `folder`, and whether each is an image by its content, or at least by its name; folders that are closed.

    A DICOMDIR is passed over: the files it names lie below it.
    """
    files, closed = below(folder)
    for path in sorted(files + closed):
        if path.is_file() and is_archive(path):
            yield from _inside(str(path))
        else:
            yield str(path), path in closed or _image(path)


def _image(path: Path) -> bool:
    named_so = path.suffix.lower() in _SUFFIXES
    if not path.is_file():  # a pipe, or a link to nothing
        return named_so
    try:
        head = first_bytes(path, HEAD)
    except ImageError:
        return True  # it gets its row, with the reason
    return (named_so or sniff(head) is not None) and not holds_directory(head)


def _inside(archive: str) -> Iterator[tuple[str, bool]]:
    """The members of an archive, and whether each is an image; one that cannot be looked into is taken, for its reason.

    So is an archive in an archive. A DICOMDIR is passed over: the files it names lie beside it.
    """
    try:
        for name, head in members(archive):
            known = Path(name).suffix.lower() in _SUFFIXES or sniff(head) is not None or is_inner_archive(head)
            yield name, not head or (known and not holds_directory(head))
    except ImageError:
        yield archive, True  # reading it says why


def _named_in(dicomdir: str) -> Iterator[tuple[str, bool]]:
    try:
        yield from ((name, True) for name in referenced(dicomdir))
    except ImageError:
        yield dicomdir, True

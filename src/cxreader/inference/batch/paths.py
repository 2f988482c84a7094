"""What a user names becomes a list of files: files, folders that are walked, and archives."""

from __future__ import annotations

import os
from collections.abc import Iterable

from cxreader import remote
from cxreader.errors import DataError
from cxreader.imaging.containers import is_archive, is_dicomdir
from cxreader.imaging.walk import SUFFIXES, PassedOver, met_in


def listed(paths: Iterable[str]) -> tuple[list[str], PassedOver]:
    """Every file to read, and what lies in folders and archives and was passed over (`imaging.walk`).

    A file that is named is always taken, so that it gets a row with its reason. A zip archive stands for its members
    (`archive.zip!/inner/name.dcm`), wherever it is met, a DICOMDIR that is named for the files it names. An archive or
    DICOMDIR that is damaged, and a folder that cannot be opened, stay in the list as themselves: reading them says why.
    Raises DataError when there is nothing to read.
    """
    named = list(paths)
    files: list[str] = []
    left = PassedOver()
    for path in named:
        if _is_image(path) or (_is_file(path) and not (is_dicomdir(path) or is_archive(path))):
            files.append(path)
            continue
        for met in met_in(path, left):
            if met.what in ("image", "closed"):
                files.append(met.name)
            else:
                left.count(met)
    if not files:
        what = "; ".join(("nothing to read", *left.notes()))
        raise DataError(what, where=named[0] if len(named) == 1 else None, mend="name images, or what holds them")
    return files, left


def _is_image(path: str) -> bool:
    """Whether a file of a store is taken for an image by its name: to look at each of a long list takes long there."""
    return remote.is_remote(path) and os.path.splitext(path)[1].lower() in SUFFIXES  # noqa: PTH122


def _is_file(path: str) -> bool:
    """False for a folder. Raises StorageError where a store cannot be reached."""
    return remote.kind_of(path) != "folder" if remote.is_remote(path) else not os.path.isdir(path)  # noqa: PTH112 (any name)

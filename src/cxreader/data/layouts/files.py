"""The pictures below a folder by the part of their path that a set's table names."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cxreader.counting import count_notes
from cxreader.errors import DataError, ImageError
from cxreader.imaging.duplicates.copies import copies
from cxreader.imaging.files import below
from cxreader.imaging.read import size

PICTURES = frozenset((".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".webp", ".gif", ""))
"""Suffixes under which the public sets and their copies hold pictures; none is a DICOM file's habit."""
_MASKS = ("mask", "masks", "manualmask", "leftmask", "rightmask", "lungsegmentation")


@dataclass(slots=True)
class Pictures:
    """The pictures of a set: `paths` by their key, in the files' order. Others are left out and counted: `passed` have no key.

    A copy is a file of the same key and the same bytes, as in an archive that holds itself once more.
    """

    paths: dict[str, str] = field(default_factory=dict)
    passed: int = 0
    copies: int = 0
    masks: int = 0
    hidden: int = 0
    closed: int = 0

    def notes(self) -> tuple[str, ...]:
        """What was left out, for people."""
        return count_notes(
            {
                "[copy of the same file is|copies of the same file are] counted once": self.copies,
                "[mask is|masks are] left out": self.masks,
                "hidden [file|files] (._*, __MACOSX) left out": self.hidden,
                "[folder|folders] cannot be opened: left out": self.closed,
            }
        )


def by_name(path: str) -> str:
    """The file's name."""
    return os.path.basename(path)  # noqa: PTH119 (of hundreds of thousands)


def by_stem(path: str) -> str:
    """The file's name without its last suffix, in lower case."""
    name = by_name(path)
    stem, suffix = os.path.splitext(name)  # noqa: PTH122
    return (stem if suffix.lower() in PICTURES else name).lower()


def by_last(parts: int) -> Callable[[str], str]:
    """The last `parts` parts of the path with "/" between them."""
    return lambda path: "/".join(path.replace(os.sep, "/").split("/")[-parts:])


def by_last_stem(parts: int) -> Callable[[str], str]:
    """The last `parts` parts of the path, the last without its suffix, in lower case."""
    last = by_last(parts - 1)
    return lambda path: f"{last(os.path.dirname(path))}/{by_stem(path)}".lower()  # noqa: PTH120


def find_pictures(root: Path, key: Callable[[str], str | None]) -> Pictures:
    """Every picture below `root` by its key; None as a key passes a file over.

    Raises DataError for two files of one key that differ: nobody knows which of them the table means.
    """
    walk = below(root)
    found = Pictures(hidden=walk.hidden, closed=len(walk.closed))
    for path in map(str, walk.files):
        if os.path.splitext(path)[1].lower() not in PICTURES:  # noqa: PTH122
            continue
        if is_mask(path, root):
            found.masks += 1
            continue
        name = key(path)
        if name is None:
            found.passed += 1
            continue
        first = found.paths.setdefault(name, path)
        if first != path:
            if not copies((first, path)):
                what = f"is another picture than {first}, of the same name"
                raise DataError(what, where=path, mend="give the folder of one of them, or remove one")
            found.copies += 1
    return found


def picture_size(path: str) -> tuple[int, int] | None:
    """Width and height in pixels, by the header of the picture; None where it cannot be read."""
    try:
        return size(path)
    except ImageError:
        return None


def is_mask(path: str, root: Path) -> bool:
    """True for a file in a folder of masks below the root, or whose name ends in `_mask`."""
    *folders, name = path[len(str(root)) :].replace(os.sep, "/").lower().split("/")
    stem = name.rsplit(".", 1)[0]
    return stem.endswith(("_mask", "-mask")) or any(folder.replace("_", "") in _MASKS for folder in folders)

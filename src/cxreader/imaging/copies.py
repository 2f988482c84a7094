"""Files of the same bytes, found without reading all of every file."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable

from cxreader.errors import ImageError
from cxreader.imaging import containers
from cxreader.imaging.files import first_bytes
from cxreader.imaging.limits import HEAD
from cxreader.imaging.read import load


def identity(name: str) -> tuple[int, int]:
    """Size in bytes of a file and its time of change in ns; of a member of an archive its size and CRC-32. Raises OSError.

    By it a file that was read before is known to be the same.
    """
    try:
        found = os.stat(name)  # noqa: PTH116 (one for each of 112,120 images)
    except OSError:
        if containers.SEPARATOR not in name:
            raise
        try:
            return containers.member_identity(name)
        except ImageError as error:
            raise FileNotFoundError(str(error)) from None
    return found.st_size, found.st_mtime_ns


def copies(names: Iterable[str]) -> dict[str, str]:
    """Of every file or member of an archive whose bytes an earlier one has: that first one, by its name.

    Files are told apart by size, then by their first bytes, and read whole only where both are equal. One that cannot be
    read is no copy.
    """
    found: dict[str, str] = {}
    alike = _groups([list(names)], lambda name: identity(name)[0])
    alike = _groups(alike, _head)
    for group in _groups(alike, lambda name: hashlib.sha256(load(name)).digest()):
        found.update(dict.fromkeys(group[1:], group[0]))
    return found


def _groups(groups: Iterable[list[str]], key: Callable[[str], object]) -> list[list[str]]:
    """Each group, parted by a key; what is alone in a part is left out, and what has no key too."""
    found = []
    for group in groups:
        parts: dict[object, list[str]] = defaultdict(list)
        for name in group:
            try:
                parts[key(name)].append(name)
            except (OSError, ImageError):
                continue
        found += [part for part in parts.values() if len(part) > 1]
    return found


def _head(name: str) -> bytes:
    if containers.is_member(name) and not os.path.lexists(name):
        return containers.member_head(name)
    return first_bytes(name, HEAD)

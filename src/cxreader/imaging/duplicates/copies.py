"""Files of the same bytes, found without reading all of every file."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable

from cxreader.errors import ImageError
from cxreader.imaging import containers
from cxreader.imaging.read import load


def copies(names: Iterable[str]) -> dict[str, str]:
    """Of every file or member of an archive whose bytes an earlier one has: that first one, by its name.

    Files are told apart by size, then by their first bytes, and read whole only where both are equal. One that cannot be
    read is no copy.
    """
    found: dict[str, str] = {}
    alike = _groups([list(names)], lambda name: containers.identity(name)[0])
    alike = _groups(alike, containers.head)
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

"""Which image another table means: by its path, by the end of it, or by the file's name with or without its suffix."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from cxreader.data.layouts.files import by_stem
from cxreader.data.layouts.named_files import portable


def meant_images(names: Iterable[str], images: Iterable[str]) -> tuple[dict[str, str], frozenset[str]]:
    """By name the image that it means, and the names that may mean several. Names of no image are in neither.

    A name is the image's own (as normalised paths they are equal), or one of the two paths ends in the other, in any case and
    with or without a picture's suffix: `images/a.png`, `a.png` and `a` mean `images/a.png`, and `other/a.png` does not. It must
    fit one image alone, and no other name than those that fit each other may fit that image.
    """
    own: dict[str, str] = {}
    alike: dict[str, list[str]] = defaultdict(list)
    for image in images:
        if _normal(image) not in own:
            own[_normal(image)] = image
            alike[_stem(image)].append(image)
    meant: dict[str, str] = {}
    several: set[str] = set()
    loose: dict[str, list[str]] = defaultdict(list)
    for name in names:
        fitting = [image for image in alike.get(_stem(name), ()) if _fit(name, image)]
        if (exact := own.get(_normal(name))) is not None:
            meant[name] = exact
        elif len(fitting) == 1:
            loose[fitting[0]].append(name)
        elif fitting:
            several.add(name)
    for image, found in loose.items():
        longest = max(found, key=lambda name: len(_parts(name)))
        if all(_fit(name, longest) for name in found):
            meant |= dict.fromkeys(found, image)
        else:
            several.update(found)
    return meant, frozenset(several)


def _fit(name: str, other: str) -> bool:
    """Whether one path ends in the other; a file without a suffix is any of its stem."""
    (*folders, file), (*others, another) = _parts(name), _parts(other)
    ends = zip(reversed(folders), reversed(others), strict=False)
    return _same_file(file, another) and all(one == two for one, two in ends)


def _same_file(name: str, other: str) -> bool:
    return name == other or by_stem(name) == other or by_stem(other) == name


def _parts(name: str) -> list[str]:
    return unicodedata.normalize("NFC", _normal(name)).casefold().split("/")


def _stem(name: str) -> str:
    return by_stem(_parts(name)[-1])


def _normal(name: str) -> str:
    return os.path.normpath(portable(name))

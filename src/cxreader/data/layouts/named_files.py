"""The files that a table names: as people write paths, on whatever machine they wrote them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cxreader import remote
from cxreader.counting import format_count
from cxreader.errors import ImageError, TableError
from cxreader.imaging.containers import SEPARATOR, is_archive, is_there, member_names
from cxreader.imaging.files import below, is_hidden
from cxreader.imaging.walk import SUFFIXES, PassedOver, walk

_PICTURES = frozenset(("png", "jpg", "jpeg", "dcm", "dicom", "tif", "tiff", "bmp", "webp", "gif"))
_ABSOLUTE = re.compile(r"(?:[A-Za-z]:)?/")
_INSIDE = SEPARATOR.removesuffix("/")
_TRIED = 200
"""Rows by which it is seen how much of paths from another machine must go."""


@dataclass(slots=True)
class NamedFiles:
    """What was found, in the order of the names: `names` as an index has them, `paths` (None for a missing file)."""

    names: list[str]
    paths: list[str | None]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Listing:
    """The files and folders of one folder by the names they may be asked for."""

    exact: frozenset[str]
    loose: dict[str, list[str]] = field(default_factory=dict)
    stems: dict[str, list[str]] = field(default_factory=dict)
    folders: dict[str, list[str]] = field(default_factory=dict)


def portable(text: str) -> str:
    """A path with "/" between its parts, whatever machine wrote it."""
    return text.replace("\\", "/")


def find_named(folder: Path | str, cells: Sequence[str], at: Callable[[int], str]) -> NamedFiles:
    r"""The file of every cell, relative to `folder` (or an archive) unless it is an absolute path that exists.

    A member of an archive is `archive.zip!/inner/name`; `folder` and cells may be addresses in a store (`remote`). A name
    need not agree in case, nor in how its letters are composed (NFC, NFD), and may lack its suffix; `\` is `/`. Of absolute
    paths of another machine the same number of leading parts is taken away from all, so that most files are found.
    Where no file is found at all, bare names are looked for in the folders and archives below. `at(n)` is the place of the
    n-th cell. Raises TableError for a name without a suffix that two pictures have.
    """
    listings = _Listings(folder)
    names = [cell if "\\" not in cell or os.path.lexists(Path(folder, cell)) else portable(cell) for cell in cells]
    names, notes = _from_elsewhere(names, listings)
    paths = [listings.find(name, lambda n=n: at(n)) for n, name in enumerate(names)]  # type: ignore[misc]
    if not any(paths):
        listings.search_below()
        paths = [listings.find(name, lambda n=n: at(n)) for n, name in enumerate(names)]  # type: ignore[misc]
        if any(paths):
            notes = (*notes, "the files were found by name in the folders, or archives, below the table")
    return NamedFiles(names, paths, notes)


def unnamed(paths: Iterable[str], root: Path | str, *tables: Path) -> tuple[int, PassedOver]:
    """How many images no row of the tables names, of whom the `paths` are, and what else is there that is no image.

    They are looked for in the whole of an archive `root`; of a folder where the rows lead: in the whole of each folder in it
    that holds a named image, and in `root` itself and in folders elsewhere without what lies below. In a store images are
    known by their suffixes, since to look into each takes long, and nothing else is told.
    """
    named = frozenset(paths)
    if remote.is_remote(root):
        there = set(remote.below(str(root))[0]) - named
        return sum(os.path.splitext(name)[1].lower() in SUFFIXES for name in there), PassedOver()  # noqa: PTH122
    files = {_inode(path) for path in (*named, *map(str, tables))} - {None}
    count, left = 0, PassedOver()
    for place, deep in [(str(root), True)] if is_archive(root) else _places(named, os.path.abspath(root)):  # noqa: PTH100
        found = walk(place, deep=deep, known=lambda path: _inode(path) in files)
        count += sum(met.name not in named for met in found.images)
        left += found.passed_over
    return count, left


def _places(paths: Iterable[str], root: str) -> list[tuple[str, bool]]:
    """The folders and archives to look through, and whether what lies below them counts too."""
    places: dict[str, bool] = {}
    for parent in {os.path.normpath(os.path.dirname(path)) for path in paths}:  # noqa: PTH120
        first = os.path.relpath(parent, root).replace(os.sep, "/").split("/")[0]
        if first in (".", ".."):
            places.setdefault(parent, False)
        else:
            places[os.path.join(root, first.removesuffix(_INSIDE))] = True  # noqa: PTH118
    return sorted(places.items())


def _inode(path: str) -> tuple[int, int] | None:
    """By which a file is known under any name."""
    try:
        found = os.stat(path)  # noqa: PTH116 (one for each of 112,120 images)
    except OSError:
        return None  # a member of an archive, which has one name
    return found.st_dev, found.st_ino


def _from_elsewhere(names: list[str], listings: _Listings) -> tuple[list[str], tuple[str, ...]]:
    """Absolute paths that are not there, without the leading parts that only another machine has."""
    strange = [n for n, name in enumerate(names) if _ABSOLUTE.match(name) and not is_there(name)]
    if not strange:
        return names, ()
    tried = [names[n].split("/") for n in strange[:: max(1, len(strange) // _TRIED)]]
    longest = max(map(len, tried))
    found = {drop: sum(_has(parts, drop, listings) for parts in tried) for drop in range(1, longest)}
    drop = max(found, key=lambda n: (found[n], -n)) if found else 0
    if not found.get(drop):
        return names, ()
    kept = list(names)
    for n in strange:
        parts = names[n].split("/")
        kept[n] = "/".join(parts[drop:]) if len(parts) > drop else names[n]
    return kept, (
        format_count(
            len(strange), "absolute [path is|paths are] not of this machine: looked for below the table's folder"
        ),
    )


def _has(parts: list[str], drop: int, listings: _Listings) -> bool:
    return len(parts) > drop and listings.find("/".join(parts[drop:]), str) is not None


class _Listings:
    """Folders below one folder, or in one archive, each listed once."""

    def __init__(self, root: Path | str) -> None:
        self.root = f"{root}{_INSIDE}" if is_archive(root) else str(root)
        self._listings: dict[str, _Listing | None] = {}
        self._folders: dict[str, str | None] = {}
        self._below: _Listing | None = None
        self._where: dict[str, list[str]] = {}

    def find(self, name: str, at: Callable[[], str]) -> str | None:
        """The path of the file of this name, or None. Raises TableError, at the place that `at` gives, for two that fit."""
        head, _, last = name.rpartition("/")
        place = self._folder(f"{head}/" if head or name.startswith("/") else "")
        listing = None if place is None else self._listing(place)
        found = None if listing is None else _pick(listing, last, at)
        if found is not None and place is not None:
            return os.path.join(place, found)  # noqa: PTH118 (of hundreds of thousands)
        if self._below is None:
            return None
        found = _pick(self._below, last, at)
        places = [] if found is None else self._where[found]
        return places[0] if len(places) == 1 else None

    def search_below(self) -> None:
        """From now on look everywhere below the folder, and in archives there, for names that are not where they should be."""
        there = self.root.removesuffix(_INSIDE)
        if remote.is_remote(there):
            paths = remote.below(there)[0]
        else:
            paths = [there] if there != self.root else [str(path) for path in below(Path(there)).files]
        for archive in [path for path in paths if path.lower().endswith(".zip") or path == there]:
            if is_archive(archive):
                paths += [f"{archive}{SEPARATOR}{name}" for name in _members(archive)]
        for path in paths:
            self._where.setdefault(os.path.basename(path), []).append(path)  # noqa: PTH119
        self._below = _listed(self._where)

    def _folder(self, head: str) -> str | None:
        """The folder that a path's beginning, with its last "/", means, or None."""
        if head not in self._folders:
            direct = head if remote.is_remote(head) else os.path.join(self.root, head)  # noqa: PTH118
            direct = direct.rstrip("/") or "/"
            self._folders[head] = self._loosely(head) if self._listing(direct) is None else direct
        return self._folders[head]

    def _loosely(self, head: str) -> str | None:
        parent, _, last = head.rstrip("/").rpartition("/")
        place = None if not last or last == ".." else self._folder(f"{parent}/" if parent else "")
        listing = None if place is None else self._listing(place)
        if place is None or listing is None:
            return None
        fitting = listing.folders.get(_loose(last), [])
        if last.endswith(_INSIDE):
            fitting = [*fitting, *(f"{name}!" for name in listing.loose.get(_loose(last.removesuffix(_INSIDE)), []))]
        return os.path.join(place, fitting[0]) if len(fitting) == 1 else None  # noqa: PTH118

    def _listing(self, place: str) -> _Listing | None:
        if place not in self._listings:
            self._listings |= _scanned(place)
        return self._listings[place]


def _scanned(place: str) -> dict[str, _Listing | None]:
    """What lies in a folder; where it is one of an archive, in each folder there. None for a place that is no folder."""
    at = place.find(_INSIDE)
    while at >= 0:
        if (at + 1 == len(place) or place[at + 1] == "/") and is_archive(place[:at]):
            return {place: None, **_in_archive(place[:at])}
        at = place.find(_INSIDE, at + 1)
    if remote.is_remote(place):
        files, folders = ([name.rpartition("/")[2] for name in names] for names in remote.below(place, deep=False))
        return {place: _listed(files, folders) if files or folders else None}
    try:
        with os.scandir(place) as entries:
            there = [(entry.name, entry.is_file(), entry.is_dir()) for entry in entries]
    except (OSError, ValueError):  # a NUL in the name
        return {place: None}
    listing = _listed((name for name, is_file, _ in there if is_file), (name for name, _, is_dir in there if is_dir))
    return {place: listing}


def _in_archive(archive: str) -> dict[str, _Listing]:
    files, folders = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for name in _members(archive):
        place, _, last = f"{archive}{SEPARATOR}{name}".rpartition("/")
        files[place].add(last)
        while place != f"{archive}{_INSIDE}" and place not in folders:
            parent, _, last = place.rpartition("/")
            folders[parent].add(last)
            place = parent
    return {place: _listed(files[place], folders[place]) for place in {*files, *folders}}


def _members(archive: str) -> list[str]:
    try:
        return [name for name in member_names(archive) if not any(map(is_hidden, name.split("/")))]
    except ImageError:
        return []


def _listed(names: Iterable[str], folders: Iterable[str] = ()) -> _Listing:
    made = _Listing(frozenset(names))
    for name in sorted(folders):
        made.folders.setdefault(_loose(name), []).append(name)
    for name in sorted(made.exact):
        made.loose.setdefault(_loose(name), []).append(name)
        stem, dot, suffix = name.rpartition(".")
        if dot and stem and suffix.lower() in _PICTURES and not name.startswith("."):
            made.stems.setdefault(_loose(stem), []).append(name)
    return made


def _pick(listing: _Listing, name: str, at: Callable[[], str]) -> str | None:
    if name in listing.exact:
        return name
    alike = listing.loose.get(_loose(name), [])
    if len(alike) == 1:
        return alike[0]
    stems = listing.stems.get(_loose(name), [])
    if len(stems) > 1:
        what = f"{' and '.join(stems[:3])} are both called {name!r}"
        raise TableError(what, where=at(), mend="write the name with its suffix")
    return stems[0] if stems else None


def _loose(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()

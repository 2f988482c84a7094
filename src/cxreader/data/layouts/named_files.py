"""The files that a table names: as people write paths, on whatever machine they wrote them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cxreader.errors import ImageError, TableError
from cxreader.imaging.files import first_bytes
from cxreader.imaging.limits import HEAD
from cxreader.imaging.read import sniff

_PICTURES = frozenset(("png", "jpg", "jpeg", "dcm", "dicom", "tif", "tiff", "bmp", "webp", "gif"))
_ABSOLUTE = re.compile(r"(?:[A-Za-z]:)?/")
_TRIED = 200
"""Rows by which it is seen how much of paths from another machine must go."""


@dataclass(slots=True)
class NamedFiles:
    """What was found, in the order of the names: `names` as an index has them, `paths` (None for a missing file).

    `without_row` counts the pictures that lie beside those that were found, and no row names.
    """

    names: list[str]
    paths: list[str | None]
    without_row: int = 0
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Listing:
    """The files of one folder by the names they may be asked for."""

    exact: frozenset[str]
    loose: dict[str, list[str]] = field(default_factory=dict)
    stems: dict[str, list[str]] = field(default_factory=dict)


def portable(text: str) -> str:
    """A path with "/" between its parts, whatever machine wrote it."""
    return text.replace("\\", "/")


def find_named(folder: Path, cells: Sequence[str], at: Callable[[int], str]) -> NamedFiles:
    r"""The file of every cell, relative to `folder` unless it is an absolute path that exists.

    A name need not agree in case, nor in how its letters are composed (NFC, NFD), and may lack its suffix; `\` is `/`. Of
    absolute paths of another machine the same number of leading parts is taken away from all, so that most files are found.
    Where no file is found at all, bare names are looked for in the folders below. `at(n)` is the place of the n-th cell.
    Raises TableError for a name without a suffix that two pictures have.
    """
    listings = _Listings(folder)
    names = [cell if "\\" not in cell or os.path.lexists(folder / cell) else portable(cell) for cell in cells]
    names, notes = _from_elsewhere(names, listings)
    paths = [listings.find(name, lambda n=n: at(n)) for n, name in enumerate(names)]  # type: ignore[misc]
    if not any(paths):
        listings.search_below()
        paths = [listings.find(name, lambda n=n: at(n)) for n, name in enumerate(names)]  # type: ignore[misc]
        if any(paths):
            notes = (*notes, "the files were found by name in the folders below the table")
    return NamedFiles(names, paths, listings.unnamed(path for path in paths if path), notes)


def _from_elsewhere(names: list[str], listings: _Listings) -> tuple[list[str], tuple[str, ...]]:
    """Absolute paths that are not there, without the leading parts that only another machine has."""
    strange = [n for n, name in enumerate(names) if _ABSOLUTE.match(name) and not os.path.isfile(name)]  # noqa: PTH113
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
    return kept, (f"{len(strange):,} absolute paths are not of this machine: looked for below the table's folder",)


def _has(parts: list[str], drop: int, listings: _Listings) -> bool:
    return len(parts) > drop and listings.find("/".join(parts[drop:]), str) is not None


class _Listings:
    """Folders below one folder, each listed once."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
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
        """From now on look everywhere below the folder for names that are not where they should be."""
        for where, folders, names in os.walk(self.root):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
            for name in names:
                self._where.setdefault(name, []).append(os.path.join(where, name))  # noqa: PTH118
        self._below = _listed(self._where)

    def unnamed(self, named: Iterable[str]) -> int:
        """How many pictures lie in the folders of the named files and are not among them."""
        used: dict[str, set[str]] = {}
        for path in named:
            place, name = os.path.split(path)
            used.setdefault(place, set()).add(name)
        left = 0
        for place, names in used.items():
            listing = self._listing(place)
            left += sum(_is_picture(place, name) for name in (listing.exact - names if listing else ()))
        return left

    def _folder(self, head: str) -> str | None:
        """The folder that a path's beginning, with its last "/", means, or None."""
        if head not in self._folders:
            direct = os.path.join(self.root, head)  # noqa: PTH118
            self._folders[head] = direct if os.path.isdir(direct) else self._loosely(head)  # noqa: PTH112
        return self._folders[head]

    def _loosely(self, head: str) -> str | None:
        parent, _, last = head.rstrip("/").rpartition("/")
        place = None if not last or last == ".." else self._folder(f"{parent}/" if parent else "")
        if place is None:
            return None
        try:
            with os.scandir(place) as entries:
                fitting = [entry.path for entry in entries if _loose(entry.name) == _loose(last) and entry.is_dir()]
        except (OSError, ValueError):
            return None
        return fitting[0] if len(fitting) == 1 else None

    def _listing(self, place: str) -> _Listing | None:
        place = place.rstrip("/") or "/"
        if place not in self._listings:
            try:
                with os.scandir(place) as entries:
                    self._listings[place] = _listed(entry.name for entry in entries if entry.is_file())
            except (OSError, ValueError):  # a NUL in the name
                self._listings[place] = None
        return self._listings[place]


def _listed(names: Iterable[str]) -> _Listing:
    made = _Listing(frozenset(names))
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


def _is_picture(place: str, name: str) -> bool:
    if name.startswith("."):
        return False
    if "." in name.strip("."):
        return name.rpartition(".")[2].lower() in _PICTURES
    try:
        return sniff(first_bytes(Path(place, name), HEAD)) is not None
    except (ImageError, OSError):
        return False

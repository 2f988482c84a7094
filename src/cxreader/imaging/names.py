"""A file as a table names it becomes the file as the disk has it: accents, capitals, separators and suffixes may differ."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from unicodedata import normalize

from cxreader.errors import ImageError
from cxreader.imaging import containers
from cxreader.imaging.walk import SUFFIXES

_DRIVE = re.compile(r"^[A-Za-z]:")


def nfc(name: str) -> str:
    """A name with composed accents (Unicode NFC): macOS decomposes them in what it writes, tables hold them composed."""
    return normalize("NFC", name)


class Finder:
    """Finds files by name, seen from one folder. `respelt` counts, by reason, those that are spelt otherwise on the disk.

    A folder is listed once, when a name is first not found as it stands; files that come later are not seen.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = os.path.abspath(folder)  # noqa: PTH100 (a link stays the name it was given)
        self.respelt: Counter[str] = Counter()
        self._folders: dict[str, _Listing] = {}

    def find(self, name: str) -> str | None:
        """The file, or the member of an archive (`archive.zip!/inner/name`), of this name; None where there is none.

        The name as it stands comes first. Else, folder by folder: the same in NFC; the same but for capitals, and at the end
        for a missing image suffix, where just one name fits. Backslashes are read as slashes. Of an absolute path that
        leads nowhere (the table came from another machine) the longest end that lies below the folder counts.
        """
        as_it_stands = os.path.join(self.folder, name)  # noqa: PTH118 (112,120 of them)
        if os.path.isfile(as_it_stands):  # noqa: PTH113
            return as_it_stands
        if "\0" in name or not name.strip():
            return None
        if containers.SEPARATOR in name:
            return self._member(as_it_stands)
        parts = [part for part in _DRIVE.sub("", name.replace("\\", "/")).split("/") if part not in ("", ".")]
        absolute = name.startswith(("/", "\\")) or _DRIVE.match(name) is not None
        for start in range(len(parts) if absolute else 1):
            found = self._descend(parts[start:])
            if found is not None:
                reasons = {"folder"} if absolute else {"separators"} if "\\" in name else set()
                self.respelt.update(reasons | found[1])
                return found[0]
        return None

    def note(self) -> tuple[str, ...]:
        """A line for people where files were found under another spelling."""
        if not self.respelt:
            return ()
        why = ", ".join(f"{reason} {count:,}" for reason, count in self.respelt.most_common())
        return (f"files are found under another spelling of their names: {why}",)

    def _member(self, name: str) -> str | None:
        try:
            containers.member_identity(name)
        except ImageError:
            return None
        return name

    def _descend(self, parts: Iterable[str]) -> tuple[str, set[str]] | None:
        """The path of these parts below the folder, and in what they differ from it."""
        here, reasons = self.folder, set[str]()
        *folders, last = parts
        for part in folders:
            found = (part, set()) if part == ".." else self._listing(here).folder(part)
            if found is None:
                return None
            here = os.path.join(here, found[0])  # noqa: PTH118
            reasons |= found[1]
        found = self._listing(here).file(last)
        return None if found is None else (os.path.join(here, found[0]), reasons | found[1])  # noqa: PTH118

    def _listing(self, folder: str) -> _Listing:
        if folder not in self._folders:
            self._folders[folder] = _Listing(folder)
        return self._folders[folder]


class _Listing:
    """The names in one folder by their spellings."""

    def __init__(self, folder: str) -> None:
        self._names: tuple[dict[str, list[str]], ...] = ({}, {})
        self._stems: dict[str, list[str]] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._add(entry.name, is_file=entry.is_file())
        except OSError:
            return  # nothing is found there

    def _add(self, name: str, *, is_file: bool) -> None:
        composed = nfc(name)
        self._names[is_file].setdefault(composed, []).append(name)
        self._names[is_file].setdefault(f"\0{composed.casefold()}", []).append(name)
        stem, suffix = os.path.splitext(composed)  # noqa: PTH122
        if is_file and suffix.lower() in SUFFIXES:
            self._stems.setdefault(stem, []).append(name)

    def folder(self, name: str) -> tuple[str, set[str]] | None:
        return _only(name, self._names[False])

    def file(self, name: str) -> tuple[str, set[str]] | None:
        found = _only(name, self._names[True])
        with_suffix = self._stems.get(nfc(name), [])
        return (with_suffix[0], {"suffix"}) if found is None and len(with_suffix) == 1 else found


def _only(name: str, names: dict[str, list[str]]) -> tuple[str, set[str]] | None:
    """The name itself, else the one name that is the same in NFC, else the one that differs in capitals alone."""
    composed = nfc(name)
    same = names.get(composed, [])
    if name in same:
        return name, set()
    if len(same) == 1:
        return same[0], {"accents"}
    other = names.get(f"\0{composed.casefold()}", [])
    return (other[0], {"capitals"}) if not same and len(other) == 1 else None

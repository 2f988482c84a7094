"""A short look at a folder: which tables and folders lie there, and how its files are called. No file is opened."""

from __future__ import annotations

import csv
import gzip
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from cxreader.errors import CxreaderError
from cxreader.imaging.files import is_hidden
from cxreader.tables import is_table_name, read_table

DEPTH = 5
"""Folders below the root that are looked into: published archives nest up to `chest_xray/chest_xray/test/NORMAL`."""
_MOST_FOLDERS = 30
"""Of one folder's folders that are entered: a set of 65,000 patients' folders shows its pattern in the first ones."""
_MOST_NAMES = 200
_MOST_HEAD = 1 << 16


@dataclass(frozen=True, eq=False)
class Seen:
    """What a short look at `root` (and at the folder `extra` of tables that lie elsewhere) has found.

    `tables`: by their names, the nearest to the root first, those in the two folders above it last. `folders`: every folder
    entered, with up to 200 of its files' names. Hidden names and those that computers put beside files are left out.
    """

    root: Path
    tables: tuple[Path, ...]
    folders: dict[Path, tuple[str, ...]]
    subfolders: frozenset[str]

    @cached_property
    def columns(self) -> dict[Path, frozenset[str]]:
        """The columns of every table, in lower case; none of a table whose head cannot be read."""
        return {path: _columns(path) for path in self.tables}

    def table_with(self, *columns: str) -> Path | None:
        """The nearest table that has all these columns (in lower case)."""
        return next((path for path, names in self.columns.items() if names.issuperset(columns)), None)

    def tables_with(self, *columns: str) -> list[Path]:
        """Every table that has all these columns, one of a name: the nearest."""
        found: dict[str, Path] = {}
        for path, names in self.columns.items():
            if names.issuperset(columns):
                found.setdefault(path.name.lower(), path)
        return list(found.values())

    def table_named(self, pattern: str) -> Path | None:
        """The nearest table whose whole name matches, in any case."""
        matches = re.compile(pattern, re.IGNORECASE).fullmatch
        return next((path for path in self.tables if matches(path.name)), None)

    def file_named(self, pattern: str) -> Path | None:
        """The nearest file, of those whose names were taken, whose whole name matches, in any case."""
        matches = re.compile(pattern, re.IGNORECASE).fullmatch
        return next((folder / name for folder, names in self.folders.items() for name in names if matches(name)), None)

    def has_names(self, pattern: str) -> bool:
        """True when some file's whole name matches, in any case."""
        matches = re.compile(pattern, re.IGNORECASE).fullmatch
        return any(matches(name) for names in self.folders.values() for name in names)

    def has_folders(self, *names: str, least: int | None = None) -> bool:
        """True when folders of (at least `least` of) these names, in any case, lie below the root."""
        return len(self.subfolders.intersection(names)) >= (len(names) if least is None else least)


def look(root: Path, extra: Path | None = None) -> Seen:
    """The short look. Folders that cannot be opened are passed over."""
    tables: list[Path] = []
    folders: dict[Path, tuple[str, ...]] = {}
    for start in (root,) if extra is None or extra == root else (extra if extra.is_dir() else extra.parent, root):
        level = [start]
        for _ in range(DEPTH + 1):
            below: list[Path] = []
            for folder in level:
                names, inside = _listed(folder)
                tables += [folder / name for name in names if _is_table(name)]
                folders[folder] = tuple(names[:_MOST_NAMES])
                below += [folder / name for name in inside[:_MOST_FOLDERS]]
            level = below
    if extra is not None and extra.is_file():
        tables.insert(0, extra)
    if extra is None:
        for folder in root.absolute().parents[:2]:
            tables += [folder / name for name in _listed(folder)[0] if _is_table(name)]
    names_below = frozenset(folder.name.lower() for folder in folders if folder != root)
    return Seen(root, tuple(dict.fromkeys(tables)), folders, names_below)


def look_inside(archive: Path, names: Sequence[str]) -> Seen:
    """The short look at an archive whose members have these names; its tables are not read, so that they have no columns."""
    folders: dict[Path, list[str]] = {}
    for name in names:
        inside = PurePosixPath(name.split("!/")[-1].replace("\\", "/"))
        folders.setdefault(archive / inside.parent, []).append(inside.name)
    below = {part.lower() for folder in folders for part in folder.relative_to(archive).parts}
    return Seen(archive, (), {folder: tuple(own) for folder, own in folders.items()}, frozenset(below))


def _is_table(name: str) -> bool:
    """True for a table's name; texts, of which some sets hold one a picture, are none here."""
    return is_table_name(PurePath(name)) and not name.lower().endswith((".txt", ".txt.gz"))


def _columns(path: Path) -> frozenset[str]:
    """The columns of a table, of a CSV from its head alone: some have 400,000 rows."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        opened: Any = gzip.open if packed else open
        if packed or path.suffix.lower() in (".csv", ".tsv"):
            with opened(path, "rt", encoding="utf-8-sig") as file:
                line = file.readline(_MOST_HEAD)
            header = next(csv.reader([line], delimiter=max(",;\t", key=line.count)), [])
            return frozenset(" ".join(name.lower().split()) for name in header)
        return frozenset(read_table(path).names())
    except (OSError, EOFError, UnicodeError, csv.Error, zlib.error, CxreaderError):
        return frozenset()  # opening it will say what is wrong


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the files and of the folders in a folder, sorted, hidden ones left out."""
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_hidden(entry.name):
                    (folders if entry.is_dir() else files).append(entry.name)
    except OSError:
        return [], []
    return sorted(files), sorted(folders)

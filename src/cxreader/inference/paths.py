"""What a user names becomes a list of files: files, folders that are walked, and names on standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from cxreader.imaging.read import sniff

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


def listed(paths: Iterable[str]) -> tuple[list[str], int]:
    """Every file to read, and how many others were passed over in folders because they hold no image.

    A file that is named is always taken, so that it gets a row with its reason. `-` stands for names on standard input,
    a line each.
    """
    files: list[str] = []
    passed_over = 0
    for path in _named(paths):
        if Path(path).is_dir():
            found = list(_walk(Path(path)))
            files += [str(file) for file, image in found if image]
            passed_over += sum(not image for _, image in found)
        else:
            files.append(path)
    return files, passed_over


def _named(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if path == "-":
            yield from (line for line in (raw.rstrip("\r\n") for raw in sys.stdin) if line)
        else:
            yield path


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Files below `folder` in order, hidden ones left out; whether each is an image by its content, or at least by its name."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not path.is_file():
            continue
        yield path, path.suffix.lower() in _SUFFIXES or _sniffed(path)


def _sniffed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return sniff(file.read(16)) is not None
    except OSError:
        return True  # it gets its row, with the reason

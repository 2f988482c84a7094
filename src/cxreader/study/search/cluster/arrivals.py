"""The files of a trial as they arrive from another machine: beside the trial's own until all are there, its record the last."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxreader.atomic import storage_error
from cxreader.study.search.record import RECORD

_ARRIVING, _PHASES = "arriving", "phases"


def clear(trial: Path) -> None:
    """Nothing of an earlier attempt arrives any more."""
    shutil.rmtree(trial / _ARRIVING, ignore_errors=True)


def keep(trial: Path, name: str, content: bytes) -> None:
    """Further bytes of a file, by its name with `/`. Raises StorageError for a full disk."""
    path = trial / _ARRIVING / name
    with _storage(path, len(content)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def take_over(trial: Path) -> None:
    """All have arrived: they take the place of what an earlier attempt has left. The record comes last, and makes them count."""
    arriving = trial / _ARRIVING
    with _storage(trial, 0):
        shutil.rmtree(trial / _PHASES, ignore_errors=True)
        files = [path for path in arriving.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda file: file.name == RECORD):
            target = trial / path.relative_to(arriving)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    clear(trial)


@contextmanager
def _storage(place: Path, needed: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, place, needed) from None

"""What STOW-RS destinations ask for, as files in the home that their owner alone may read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxreader.atomic import storage_error

FOLDER = "credentials"


@contextmanager
def kept(home: Path, text: str | None) -> Iterator[str | None]:
    """A new file with this text, by its path from the home, so that it may move; None without a text.

    It goes again where the block raises. Raises StorageError.
    """
    if text is None:
        yield None
        return
    path = home / FOLDER / secrets.token_hex(8)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
    except OSError as error:
        raise storage_error(error, path.parent, 0) from None
    try:
        yield f"{FOLDER}/{path.name}"
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def forget(home: Path, named: str | None) -> None:
    """Remove the file of a destination that is gone, unless it is a person's own, somewhere else. Raises StorageError."""
    if named is None or (home / named).resolve().parent != (home / FOLDER).resolve():
        return
    try:
        (home / named).unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, home, 0) from None

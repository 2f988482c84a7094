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
    """The path of a new file with this text, None without a text; it goes again where the block raises. Raises StorageError."""
    if text is None:
        yield None
        return
    path = (home / FOLDER / secrets.token_hex(8)).resolve()
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
    except OSError as error:
        raise storage_error(error, path.parent, 0) from None
    try:
        yield str(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise

"""One process at a time in a study's folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxreader.errors import UsageError


@contextmanager
def only_process(folder: Path, what: str) -> Iterator[None]:
    """Raise UsageError when another process does the same `what` in this folder; the lock ends with the process."""
    file = os.open(folder / f"{what}.parent.lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        mend = "wait for it, or give another --out"
        raise UsageError(f"another {what} works here", where=folder, mend=mend) from None
    try:
        yield
    finally:
        os.close(file)

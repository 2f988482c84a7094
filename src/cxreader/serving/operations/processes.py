"""The processes of a home on this machine, as their parent tells the others of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from cxreader.atomic import write_whole

FILE = "processes.json"
"""In the home while the service runs."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process: `kind` and `number` among its kind; `pid`, None while it waits to be started; `since` (seconds since 1970).

    `starts`: how often it was started, once where it never ended.
    """

    kind: str
    number: int
    pid: int | None
    since: float | None
    starts: int

    @property
    def running(self) -> bool:
        """Whether it lives."""
        if self.pid is None:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def tell(home: Path, found: Iterable[Running]) -> None:
    """Say which run. Raises StorageError."""
    write_whole(home / FILE, json.dumps([asdict(one) for one in found]).encode())


def told(home: Path) -> list[Running]:
    """The processes of this home; none where no parent runs here."""
    try:
        return [Running(**one) for one in json.loads((home / FILE).read_bytes())]
    except (OSError, ValueError, TypeError):
        return []

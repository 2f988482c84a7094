"""The folder door: a folder is looked at every few seconds, and whole files in it are received.

A file is whole when it has not changed for a while, in size or time, and no other program is known to be writing it (a hidden
name, or one that ends as the copies of programs do). Received files go to `done`, refused ones to `refused` with the reason
beside; a file that the service cannot take now, because a disk is full or the database is gone, stays where it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cxreader.atomic import storage_error, write_whole
from cxreader.errors import ImageError, StorageError
from cxreader.imaging.files import is_hidden
from cxreader.imaging.limits import MAX_BYTES
from cxreader.serving.service import TriageService
from cxreader.serving.settings import FolderSection, Settings

DONE, REFUSED = "done", "refused"
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp")
"""Names, in lower case, end so while a file is being copied."""
_PAUSE = 30.0
"""Seconds of rest after the service could not take a file."""


def run(settings: Settings, stopped: Callable[[], bool], name: str) -> None:  # noqa: ARG001 - the form of a process
    """Watch the folder of the settings until `stopped`."""
    service = TriageService.open(settings)
    door = FolderDoor(service, settings.folder)
    rest_until = 0.0
    while not stopped():
        if time.monotonic() >= rest_until:
            try:
                door.look()
                rest_until = time.monotonic() + settings.folder.every
            except StorageError:
                rest_until = time.monotonic() + _PAUSE
        time.sleep(0.05)
    service.close()


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it was first seen so: its size, its time, and when that was."""

    size: int
    changed: int
    since: float


class FolderDoor:
    """Receives what lies in a folder; call `look` every few seconds. `now`: seconds of a clock that only goes forward."""

    def __init__(
        self, service: TriageService, options: FolderSection, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        assert options.path is not None  # noqa: S101 - without a folder there is no door
        self._service, self._options, self._now = service, options, now
        self.folder = options.path
        self._seen: dict[Path, _Seen] = {}

    def look(self) -> int:
        """Receive every file that is whole; how many there were. Raises StorageError, and then they stay where they are."""
        found = self._files()
        self._seen = {path: seen for path, seen in self._seen.items() if path in found}
        whole = [path for path, status in found.items() if self._is_whole(path, status)]
        for path in sorted(whole):
            self._receive(path)
        return len(whole)

    def _files(self) -> dict[Path, os.stat_result]:
        """Regular files in the folder and below it; links are not followed, what we moved is left out."""
        found = {}
        for where, folders, names in os.walk(self.folder):
            top = Path(where) == self.folder
            folders[:] = [one for one in folders if not is_hidden(one) and not (top and one in (DONE, REFUSED))]
            for name in names:
                path = Path(where, name)
                if is_hidden(name) or name.lower().endswith(UNFINISHED) or path.is_symlink() or not path.is_file():
                    continue
                try:
                    found[path] = path.stat()
                except OSError:  # gone meanwhile
                    continue
        return found

    def _is_whole(self, path: Path, status: os.stat_result) -> bool:
        seen = self._seen.get(path)
        if seen is None or (seen.size, seen.changed) != (status.st_size, status.st_mtime_ns):
            seen = self._seen[path] = _Seen(status.st_size, status.st_mtime_ns, self._now())
        return self._now() - seen.since >= self._options.settle

    def _receive(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                data = file.read(min(self._seen[path].size, MAX_BYTES + 1))
        except OSError:  # somebody else holds it, or a share is gone: the next look tries again
            return
        if self._has_changed(path):
            return
        try:
            self._service.receive(data, door="folder", name=path.name)
            if self._has_changed(path):  # meanwhile: what it holds now is received too, once it is whole
                return
        except ImageError as error:
            reason = error.what if error.mend is None else f"{error.what}; {error.mend}"
            self._put_away(path, REFUSED, reason)
        else:
            self._put_away(path, DONE)

    def _has_changed(self, path: Path) -> bool:
        """Whether a file is not, or no longer, as it was seen last, or is gone."""
        seen = self._seen[path]
        try:
            status = path.stat()
        except OSError:
            return True
        return (seen.size, seen.changed) != (status.st_size, status.st_mtime_ns)

    def _put_away(self, path: Path, where: str, reason: str = "") -> None:
        try:
            if not path.exists():
                return
            if where == DONE and self._options.delete:
                path.unlink()
                return
            moved = self._move(path, where)
            if reason:
                write_whole(moved.with_name(f"{moved.name}.txt"), f"{reason}\n".encode())
        except OSError as error:
            raise storage_error(error, self.folder, 0) from None

    def _move(self, path: Path, where: str) -> Path:
        """To the same place below `where`, under a name that is free."""
        target = self.folder / where / path.relative_to(self.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while target.exists():
            number += 1
            target = target.with_name(f"{path.stem}-{number}{path.suffix}")
        return path.rename(target)

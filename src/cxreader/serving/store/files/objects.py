"""The object store: files by the SHA-256 of their bytes, in a folder or in any S3-compatible service."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from cxreader.atomic import storage_error
from cxreader.errors import MissingObjectError, StorageError

MISSING = "an object is missing from the store"
_BEGUN = ".tmp"


class ObjectStore(Protocol):
    """Bytes by their digest (64 hex digits). Safe to use from several threads and processes.

    Every method raises StorageError where the store cannot be reached or is full, and `get` MissingObjectError for what is
    not there.
    """

    def put(self, data: bytes, *, digest: str | None = None, durable: bool = True) -> str:
        """Keep the bytes and return their digest, which may be given. With `durable` they are on the disk when this returns.

        What lies there already is looked at, and written anew where it is damaged.
        """
        ...

    def get(self, digest: str) -> bytes:
        """The bytes, checked against their digest."""
        ...

    def size(self, digest: str) -> int | None:
        """How many bytes are there under it, None where nothing is; they may be damaged."""
        ...

    def has(self, digest: str) -> bool:
        """Whether something is there under it."""
        ...

    def delete(self, digest: str) -> None:
        """Remove them; nothing happens where they are not there."""
        ...

    def digests(self) -> Iterator[str]:
        """Of all that is there, in no order."""
        ...

    def tidy(self, before: float) -> None:
        """Remove what a killed process began to write, and nobody has written to since that moment (seconds since 1970)."""
        ...


class FolderStore:
    """Objects as files `ab/abcd...` in a folder that all processes share. A file is there whole, or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes, *, digest: str | None = None, durable: bool = True) -> str:
        """As `ObjectStore.put`: written beside its place, forced to the disk, renamed, and the folder's entry forced too."""
        digest = digest or hashlib.sha256(data).hexdigest()
        place = self._place(digest)
        temporary = place.parent / f".{secrets.token_hex(8)}{_BEGUN}"
        try:
            if _holds(place, digest, len(data)):
                if durable:  # whoever wrote it may not have waited, or was killed before
                    _force(place)
                    _force(place.parent)
                return digest
            _make(place.parent)
            with temporary.open("xb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.rename(place)
            if durable:
                _force(place.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise storage_error(error, self.folder, len(data)) from None
        return digest

    def get(self, digest: str) -> bytes:
        """As `ObjectStore.get`."""
        try:
            data = self._place(digest).read_bytes()
        except FileNotFoundError:
            raise MissingObjectError(MISSING, where=self.folder, mend="restore it from a backup") from None
        except OSError as error:
            raise StorageError(f"an object cannot be read ({error.strerror})", where=self.folder) from None
        return checked(data, digest, str(self.folder))

    def size(self, digest: str) -> int | None:
        """As `ObjectStore.size`."""
        try:
            return self._place(digest).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error, self.folder, 0) from None

    def has(self, digest: str) -> bool:
        """As `ObjectStore.has`."""
        return self.size(digest) is not None

    def delete(self, digest: str) -> None:
        """As `ObjectStore.delete`."""
        try:
            self._place(digest).unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error, self.folder, 0) from None

    def digests(self) -> Iterator[str]:
        """As `ObjectStore.digests`."""
        for path in self.folder.glob("??/*"):
            if is_digest(path.name):
                yield path.name

    def tidy(self, before: float) -> None:
        """As `ObjectStore.tidy`."""
        for path in self.folder.glob(f"??/.*{_BEGUN}"):
            with suppress(FileNotFoundError):  # it was ended meanwhile
                if path.stat().st_mtime < before:
                    path.unlink()

    def _place(self, digest: str) -> Path:
        if not is_digest(digest):
            raise StorageError("what was asked for is no digest", where=self.folder)
        return self.folder / digest[:2] / digest


def is_digest(name: str) -> bool:
    """Whether it is 64 hex digits."""
    return re.fullmatch(r"[0-9a-f]{64}", name) is not None


def checked(data: bytes, digest: str, where: str) -> bytes:
    """The data, if that is their digest. Raises MissingObjectError."""
    if hashlib.sha256(data).hexdigest() != digest:
        raise MissingObjectError("an object in the store is damaged", where=where, mend="restore it from a backup")
    return data


def _holds(place: Path, digest: str, size: int) -> bool:
    """Whether the file is there, whole. One that cannot be read is not."""
    with suppress(OSError):
        return place.stat().st_size == size and hashlib.sha256(place.read_bytes()).hexdigest() == digest
    return False


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _force(folder.parent)


def _force(path: Path) -> None:
    """A file's bytes, or a folder's entries, reach the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)

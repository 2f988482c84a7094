"""The object store in a service that speaks S3, which several machines share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from cxreader.remote import RemoteFolder
from cxreader.serving.store.files.objects import checked, is_digest


class RemoteStore:
    """As `objects.ObjectStore`: objects by their digest below a URL (`remote.RemoteFolder`). What it acknowledges is durable."""

    def __init__(self, url: str) -> None:
        self._folder = RemoteFolder(url)

    def put(self, data: bytes, *, digest: str | None = None, durable: bool = True) -> str:  # noqa: ARG002 - every write is
        """As `ObjectStore.put`."""
        digest = digest or hashlib.sha256(data).hexdigest()
        if self._folder.size(digest) != len(data):
            self._folder.write(digest, data)
        return digest

    def get(self, digest: str) -> bytes:
        """As `ObjectStore.get`."""
        return checked(self._folder.read(digest), digest, self._folder.url)

    def size(self, digest: str) -> int | None:
        """As `ObjectStore.size`."""
        return self._folder.size(digest)

    def has(self, digest: str) -> bool:
        """As `ObjectStore.has`."""
        return self.size(digest) is not None

    def delete(self, digest: str) -> None:
        """As `ObjectStore.delete`."""
        self._folder.delete(digest)

    def digests(self) -> Iterator[str]:
        """As `ObjectStore.digests`."""
        return (name for name in self._folder.names() if is_digest(name))

    def tidy(self, before: float) -> None:
        """As `ObjectStore.tidy`: what is not written whole is not there."""

"""Files in a store that speaks S3, by pyarrow's own file systems: read, write, list, delete.

Whose keys are used is pyarrow's matter: the environment's (AWS_ACCESS_KEY_ID, ...), a profile, or the machine's role.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cxreader.errors import MissingObjectError, StorageError

_MEND = "see that the store runs, can be reached, and takes these keys"


class RemoteFolder:
    """A bucket, or a prefix in one: `s3://BUCKET/PREFIX?region=...&endpoint_override=HOST:PORT&scheme=http`.

    Any URL that pyarrow's file systems know will do. A file is there whole or not at all. Safe to use from several threads.
    Raises StorageError for a URL that is none, and in every method where the store cannot be reached or refuses.
    """

    def __init__(self, url: str) -> None:
        import pyarrow.fs as pafs

        self.url = url.partition("?")[0]
        try:
            self._files, self._root = pafs.FileSystem.from_uri(url)
        except Exception as error:  # noqa: BLE001 - pyarrow's errors share no class but this
            raise StorageError(
                f"no store that can be opened ({type(error).__name__})", where=self.url, mend=_MEND
            ) from None
        self._kinds = pafs.FileType

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises MissingObjectError where it is not there."""
        try:
            with self._files.open_input_file(self._path(name)) as file:
                return bytes(file.read())
        except FileNotFoundError:
            raise MissingObjectError("no such file in the store", where=self.url) from None
        except OSError as error:
            raise self._refused(error) from None

    def write(self, name: str, data: bytes) -> None:
        """Write a file, over one that is there; when this returns the store has acknowledged it."""
        try:
            with self._files.open_output_stream(self._path(name)) as file:
                file.write(data)
        except OSError as error:
            raise self._refused(error) from None

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where it is not there."""
        try:
            (found,) = self._files.get_file_info([self._path(name)])
        except OSError as error:
            raise self._refused(error) from None
        return found.size if found.type == self._kinds.File else None

    def delete(self, name: str) -> None:
        """Remove a file; nothing happens where it is not there."""
        try:
            self._files.delete_file(self._path(name))
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._refused(error) from None

    def names(self) -> Iterator[str]:
        """The last parts of the names of all files below, in no order."""
        import pyarrow.fs as pafs

        try:
            found: list[Any] = self._files.get_file_info(
                pafs.FileSelector(self._root, recursive=True, allow_not_found=True)
            )
        except OSError as error:
            raise self._refused(error) from None
        yield from (one.base_name for one in found if one.type == self._kinds.File)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _refused(self, error: OSError) -> StorageError:
        """By its kind alone: texts of a store quote keys and signatures."""
        return StorageError(f"the store cannot be used now ({type(error).__name__})", where=self.url, mend=_MEND)

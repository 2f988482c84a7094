"""Files in a store that speaks S3, Google's or Azure's protocol, or in HDFS, by pyarrow's own file systems.

A file's name is its address with its key as it is written in the store, never escaped: `s3://BUCKET/KEY`, `gs://BUCKET/KEY`,
`abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY`, `hdfs://HOST:PORT/PATH`. Whose keys are used is pyarrow's matter: the
environment's (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, AWS_REGION, ...), a profile, or the machine's role.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, BinaryIO, Literal, cast

from cxreader.errors import MissingObjectError, StorageError

_MEND = "see that the store runs, can be reached, and takes these keys"
_ADDRESS = re.compile(r"(s3|gs|gcs|abfs|abfss|hdfs)://([^/]+)(?:/(.*))?", re.DOTALL)
_AT_ONCE = 1 << 16
"""Bytes asked for at a time where a file is read in pieces."""


def is_remote(name: str | os.PathLike[str]) -> bool:
    """Whether it is the address of a file or folder in a store, and no path."""
    return isinstance(name, str) and _ADDRESS.match(name) is not None


def opened(name: str) -> BinaryIO:
    """A file, for reading in pieces. Raises OSError as the system does (FileNotFoundError), StorageError as `kind_of`."""
    files, path = _place(name)
    try:
        return cast("BinaryIO", io.BufferedReader(files.open_input_file(path), _AT_ONCE))
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "no such file", name) from None
    except OSError as error:
        raise _refused(error) from None


def read(name: str, most: int) -> bytes:
    """All bytes of a file, or the first `most` where there are more. Raises as `opened`."""
    files, path = _place(name)
    try:
        with files.open_input_file(path) as file:
            return bytes(file.read(most))
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "no such file", name) from None
    except OSError as error:
        raise _refused(error) from None


def identity(name: str) -> tuple[int, int]:
    """Size in bytes of a file and its time of change in ns. Raises as `opened`."""
    files, path = _place(name)
    try:
        (found,) = files.get_file_info([path])
    except OSError as error:
        raise _refused(error) from None
    if not found.is_file:
        raise FileNotFoundError(errno.ENOENT, "no such file", name)
    return int(found.size), int(found.mtime_ns or 0)


def kind_of(name: str) -> Literal["file", "folder"] | None:
    """What lies there, None for nothing.

    Raises StorageError where the store cannot be reached or refuses, for an address that holds keys, and where what its
    file system needs is not installed (libjvm and Hadoop for hdfs).
    """
    import pyarrow.fs as pafs

    files, path = _place(name)
    try:
        (found,) = files.get_file_info([path.rstrip("/")])
    except OSError as error:
        raise StorageError(f"the store cannot be used now ({type(error).__name__})", where=name, mend=_MEND) from None
    return {pafs.FileType.File: "file", pafs.FileType.Directory: "folder"}.get(found.type)  # type: ignore[return-value]


def below(folder: str, *, deep: bool = True) -> tuple[list[str], list[str]]:
    """Addresses of all files below a folder, sorted, and of the folders in it where not `deep`. Raises StorageError."""
    import pyarrow.fs as pafs

    files, root = _place(folder)
    root = root.rstrip("/")
    try:
        found = files.get_file_info(pafs.FileSelector(root, recursive=deep, allow_not_found=True))
    except OSError as error:
        raise StorageError(f"the store cannot be used now ({type(error).__name__})", where=folder, mend=_MEND) from None
    top = folder.rstrip("/")
    names = [(f"{top}{one.path.removeprefix(root)}", one.is_file) for one in found]
    return sorted(name for name, is_file in names if is_file), sorted(name for name, is_file in names if not is_file)


def _place(name: str) -> tuple[Any, str]:
    """The file system of an address, and its path there."""
    match = _ADDRESS.fullmatch(name)
    if match is None:
        raise FileNotFoundError(errno.ENOENT, "no address of a file", name)
    scheme, store, key = match.groups()
    if scheme == "s3" and "@" in store:
        mend = "give them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise StorageError("keys stand in an address, which is shown and kept", where="s3", mend=mend)
    files, root = _file_system(scheme, store)
    return files, f"{root.rstrip('/')}/{key or ''}"


@lru_cache(maxsize=64)
def _file_system(scheme: str, store: str) -> tuple[Any, str]:
    """A store's file system, which several threads may use, and the path of its root."""
    import pyarrow.fs as pafs

    where = f"{scheme}://{store}"
    try:
        files, root = pafs.FileSystem.from_uri(f"{where}/")
    except Exception as error:  # noqa: BLE001 - pyarrow's errors share no class but this
        if scheme == "hdfs" and "lib" in str(error):
            mend = "install Java and Hadoop there (JAVA_HOME, HADOOP_HOME, CLASSPATH), or mount HDFS as a folder"
            raise StorageError(
                "HDFS needs libjvm and libhdfs, which are not on this machine", where=where, mend=mend
            ) from None
        raise StorageError(f"no store that can be opened ({type(error).__name__})", where=where, mend=_MEND) from None
    return files, root


def _refused(error: OSError) -> OSError:
    """By its kind alone: texts of a store quote keys and signatures."""
    return OSError(errno.EIO, f"the store refuses, or cannot be reached: {type(error).__name__}")


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

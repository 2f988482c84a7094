"""The work folder of a run over many files: what is to be read, cut into shards that processes claim.

`NAME.work/` beside the table NAME: `manifest.json` (who reads, how, and how many files), `files.parquet` (their names, one
row group a shard), `journal.db` (the answers so far) and locks. It is there from the first moment or not at all, and goes
when the table is whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from cxreader.atomic import storage_error, write_whole, writing_whole
from cxreader.errors import StorageError, UsageError
from cxreader.inference.batch.journal import Journal
from cxreader.inference.batch.manifest import Manifest
from cxreader.inference.batch.pipeline import Found
from cxreader.inference.batch.table import Row
from cxreader.inference.reader import Reader

MANIFEST, FILES, JOURNAL, IN_USE = "manifest.json", "files.parquet", "journal.db", "in-use.lock"


class Work:
    """An open work folder. `found`: files that had an answer when it was opened."""

    def __init__(self, folder: Path, manifest: Manifest, in_use: int) -> None:
        self.folder, self.manifest = folder, manifest
        self._in_use = in_use
        self._held: dict[int, int] = {}
        self._claims = threading.Lock()  # files are taken in one thread and committed in another
        self.journal = Journal(folder / JOURNAL)
        self.found = self.journal.count()[0]

    @classmethod
    def open(cls, table: Path, reader: Reader, files: Sequence[str], *, fresh: bool = False) -> Self:
        """The work folder of `table`: the one that is there, or a new one, and with `fresh` a new one in its place.

        Raises UsageError when the one that is there is of other models, options or files, or, with `fresh`, when another
        process works in it; StorageError when it belongs to another user, or is damaged.
        """
        folder = table.with_name(f"{table.name}.work")
        manifest = Manifest.of(reader, files)
        with _storage(folder):
            if fresh:
                _remove(folder)
            if not folder.exists():
                _make(folder, manifest, files)
            try:
                there = _manifest(folder)
                lock = _locked(folder / IN_USE, fcntl.LOCK_SH)
            except FileNotFoundError:  # another process ended the work at this moment
                return cls.open(table, reader, files)
        with ExitStack() as unless_opened:
            unless_opened.callback(os.close, lock)
            differences = manifest.differences(there)
            if differences:
                what = f"the reading begun there is of {' and '.join(differences)}"
                raise UsageError(what, where=folder, mend="give another --out, or begin anew with --fresh")
            opened = cls(folder, Manifest(**there), lock)
            unless_opened.pop_all()
            return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what was claimed."""
        for lock in (*self._held.values(), self._in_use):
            os.close(lock)
        self._held.clear()
        self.journal.__exit__()

    def todo(self) -> Iterator[tuple[int, str]]:
        """Files without an answer, of every shard that this process can claim; ends when there is none to claim."""
        while (shard := self.claim()) is not None:
            first = shard * self.manifest.shard_size
            names = self.names(shard)
            done = self.journal.done_in(first, len(names))
            yield from ((first + i, name) for i, name in enumerate(names) if first + i not in done)

    def names(self, shard: int) -> list[str]:
        """The files of one shard, in order. Raises StorageError when the list is damaged."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            column = pq.ParquetFile(self.folder / FILES).read_row_group(shard)["name"]
        except (OSError, KeyError, pa.ArrowException):
            mend = "begin anew with --fresh"
            raise StorageError("the list of files is damaged", where=self.folder / FILES, mend=mend) from None
        return [os.fsdecode(name) for name in column.to_pylist()]

    def commit(self, found: Sequence[Found]) -> None:
        """Keep these answers, and give back the shards that are done."""
        self.journal.commit(found, self.manifest.shard_size)
        with self._claims:
            for shard in [shard for shard in self._held if not self.journal.is_open(shard)]:
                self._give_back(shard)

    def is_done(self) -> bool:
        """Whether every file has its answer."""
        return not self.journal.open_shards()

    def rows(self, *, sort: bool) -> Iterator[Row]:
        """The rows of the table, as far as there are answers."""
        return self.journal.rows(sort=sort)

    @contextmanager
    def finishing(self) -> Iterator[bool]:
        """One process at a time ends the work: True for it, False when another did. The folder is gone behind the block."""
        try:
            with _storage(self.folder):
                lock = _locked(self.folder / "finish.lock", fcntl.LOCK_EX)
        except FileNotFoundError:
            yield False
            return
        try:
            ours = (self.folder / MANIFEST).exists()
            yield ours
            if ours:
                with _storage(self.folder):
                    _put_away(self.folder)
        finally:
            os.close(lock)

    def claim(self) -> int | None:
        """A shard that is not done and that no living process holds: the system frees the locks of dead ones."""
        with self._claims, _storage(self.folder):
            for shard in self.journal.open_shards():
                if shard in self._held:
                    continue
                try:
                    self._held[shard] = _locked(self._lock_of(shard), fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                if self.journal.is_open(shard):
                    return shard
                self._give_back(shard)  # another process ended it between the two looks
        return None

    def _give_back(self, shard: int) -> None:
        os.close(self._held.pop(shard))
        self._lock_of(shard).unlink(missing_ok=True)

    def _lock_of(self, shard: int) -> Path:
        return self.folder / f"shard-{shard:06d}.lock"


@contextmanager
def _storage(folder: Path) -> Iterator[None]:
    """The system's errors as ours, but for those that say what another process does."""
    try:
        yield
    except (FileNotFoundError, BlockingIOError):
        raise
    except OSError as error:
        raise storage_error(error, folder, 0) from None


def _column(values: Sequence[bytes]) -> Any:
    """An Arrow column of bytes, from buffers: a list of Python objects would make Arrow import pandas, for half a second."""
    import numpy as np
    import pyarrow as pa

    ends = np.cumsum([0, *map(len, values)], dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)


def _make(folder: Path, manifest: Manifest, files: Sequence[str]) -> None:
    """The folder with all that belongs in it, under another name first: of two processes one wins, and both use its folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    new = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    shutil.rmtree(new, ignore_errors=True)
    written = sum(map(len, files))
    try:
        schema = pa.schema([("name", pa.large_binary())])
        with writing_whole(new / FILES) as file, pq.ParquetWriter(file, schema) as writer:
            for first in range(0, manifest.files, manifest.shard_size):
                names = [os.fsencode(name) for name in files[first : first + manifest.shard_size]]
                writer.write_table(pa.Table.from_arrays([_column(names)], schema=schema))
        with Journal(new / JOURNAL) as journal:
            journal.begin(manifest.sizes())
        write_whole(new / MANIFEST, (json.dumps(asdict(manifest), indent=1) + "\n").encode())
        new.rename(folder)
    except OSError as error:
        if not (folder / MANIFEST).exists():
            raise storage_error(error, folder, written) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        there = json.loads((folder / MANIFEST).read_text("utf-8"))
    except PermissionError:
        raise
    except (OSError, ValueError):
        if not folder.exists():
            raise FileNotFoundError(folder) from None
        raise StorageError(
            "is no work folder, or a damaged one", where=folder, mend="begin anew with --fresh"
        ) from None
    return there if isinstance(there, dict) else {}


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    if not (folder / MANIFEST).exists():
        raise UsageError("is no work folder: it stays", where=folder, mend="move it away, or give another --out")
    lock = None
    try:
        lock = _locked(folder / IN_USE, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _put_away(folder)
    except BlockingIOError:
        mend = "end it first, or give another --out"
        raise UsageError("another process is reading there", where=folder, mend=mend) from None
    finally:
        if lock is not None:
            os.close(lock)


def _put_away(folder: Path) -> None:
    """Gone at once for everybody, then deleted; what a killed process left half deleted goes too."""
    folder.rename(folder.with_name(f".{folder.name}.{os.getpid()}.old"))
    for old in folder.parent.glob(f".{folder.name}.*.old"):
        shutil.rmtree(old, ignore_errors=True)


def _locked(path: Path, how: int) -> int:
    """A file with a lock on it, freed when the number is closed or its process ends. Raises BlockingIOError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, how)
    except BaseException:
        os.close(file)
        raise
    return file

"""The journal of a run over many files: every answer so far, one transaction a batch, in SQLite.

A write-ahead log that is forced to the disk with each commit: a process that is killed, or a machine that loses its power,
leaves whole batches (https://www.sqlite.org/wal.html). An answer is kept once, under its content's SHA-256, and each file
points to one. Several processes of one machine may use it at the same time; the folder must be on a local disk.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from cxreader.errors import StorageError
from cxreader.inference.batch.pipeline import Found
from cxreader.inference.batch.table import Row, row_of

_TABLES = """
CREATE TABLE IF NOT EXISTS shards (shard INTEGER PRIMARY KEY, size INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS answers
    (id INTEGER PRIMARY KEY, sha256 BLOB UNIQUE, step INTEGER NOT NULL, height REAL NOT NULL, answer TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (position INTEGER PRIMARY KEY, name BLOB NOT NULL, answer INTEGER NOT NULL);
"""
# The ranks are sorted without their answers, which would be carried through the sort; those are looked up in its order.
_RANKED = """
SELECT position, row_number() OVER (ORDER BY step, height DESC, position) AS rank
FROM files JOIN answers ON answers.id = files.answer
"""
_AS_GIVEN = f"CREATE TEMP TABLE ranks AS SELECT position AS place, rank FROM ({_RANKED}) ORDER BY position"  # noqa: S608
_SORTED = f"CREATE TEMP TABLE ranks AS SELECT position AS place, rank FROM ({_RANKED}) ORDER BY rank"  # noqa: S608
_ROWS = """
SELECT files.name, ranks.rank, answers.answer
FROM ranks CROSS JOIN files ON files.position = ranks.place CROSS JOIN answers ON answers.id = files.answer
ORDER BY ranks.rowid
"""


class Journal:
    """The journal at `path`, opened or made. Safe to use from several threads; each process opens its own.

    Every method raises StorageError when the disk is full, the place cannot be written or the journal is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with _storage(path):
            self._db = sqlite3.connect(path, timeout=120, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA temp_store = FILE")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def begin(self, sizes: Sequence[int]) -> None:
        """Make the tables, for shards of these sizes."""
        with _storage(self.path), self._lock:
            self._db.executescript(_TABLES)
            with self._writing():
                self._db.executemany("INSERT INTO shards (shard, size) VALUES (?, ?)", enumerate(sizes))

    def commit(self, found: Sequence[Found], shard_size: int) -> None:
        """Keep these answers, all or none; a file that has one already keeps it."""
        with _storage(self.path), self._lock, self._writing():
            for f in found:
                new = self._db.execute(
                    "INSERT OR IGNORE INTO files VALUES (?, ?, ?)", (f.position, os.fsencode(f.name), self._answer(f))
                ).rowcount
                if new:
                    shard = f.position // shard_size
                    self._db.execute("UPDATE shards SET done = done + 1 WHERE shard = ?", (shard,))

    def known(self, sha256: bytes) -> Row | None:
        """The answer to a content, when there is one."""
        with _storage(self.path), self._lock:
            row = self._db.execute("SELECT answer FROM answers WHERE sha256 = ?", (sha256,)).fetchone()
        return None if row is None else json.loads(row[0])

    def is_open(self, shard: int) -> bool:
        """Whether a file of the shard has no answer yet."""
        with _storage(self.path), self._lock:
            query = "SELECT 1 FROM shards WHERE shard = ? AND done < size"
            return self._db.execute(query, (shard,)).fetchone() is not None

    def done_in(self, first: int, size: int) -> set[int]:
        """Which of the `size` positions from `first` on have an answer."""
        query = "SELECT position FROM files WHERE position >= ? AND position < ?"
        with _storage(self.path), self._lock:
            return {position for (position,) in self._db.execute(query, (first, first + size))}

    def open_shards(self) -> list[int]:
        """Shards of which a file has no answer yet, in order."""
        with _storage(self.path), self._lock:
            return [n for (n,) in self._db.execute("SELECT shard FROM shards WHERE done < size ORDER BY shard")]

    def count(self) -> tuple[int, int]:
        """How many files have an answer, and how many different answers there are."""
        with _storage(self.path), self._lock:
            files = self._db.execute("SELECT coalesce(sum(done), 0) FROM shards").fetchone()[0]
            last = self._db.execute("SELECT coalesce(max(id), 0) FROM answers").fetchone()[0]
        return int(files), int(last)

    def rows(self, *, sort: bool) -> Iterator[Row]:
        """A row for each file that has an answer, with its rank: in the files' order, or with `sort` in the worklist's.

        Ranks are sorted in SQLite's temporary files (SQLITE_TMPDIR, else /var/tmp): memory does not grow with the files.
        """
        with _storage(self.path):
            with self._lock:
                self._db.execute("DROP TABLE IF EXISTS temp.ranks")
                self._db.execute(_SORTED if sort else _AS_GIVEN)
                cursor = self._db.execute(_ROWS)
            for name, rank, answer in cursor:
                yield row_of(name, rank, json.loads(answer))

    def _answer(self, found: Found) -> int:
        """The number of an answer, which is written unless its content has one."""
        if found.sha256 is not None:
            known = self._db.execute("SELECT id FROM answers WHERE sha256 = ?", (found.sha256,)).fetchone()
            if known is not None:
                return int(known[0])
        answer = json.dumps(found.answer, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        written = self._db.execute(
            "INSERT INTO answers (sha256, step, height, answer) VALUES (?, ?, ?, ?)",
            (found.sha256, found.step, found.height, answer),
        )
        return int(written.lastrowid or 0)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction: whole when the block ends, nothing of it when it does not."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have ended it
                self._db.execute("ROLLBACK")
            raise


@contextmanager
def _storage(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            mend = "free space there and give the same command again; what was done is kept"
            raise StorageError(f"the disk is full or failing ({name})", where=path, mend=mend) from None
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "no such table" in str(error):  # or it was deleted
            raise StorageError("the journal is damaged", where=path, mend="begin anew with --fresh") from None
        if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
            raise StorageError(f"cannot be written ({name})", where=path, mend="choose another --out") from None
        raise

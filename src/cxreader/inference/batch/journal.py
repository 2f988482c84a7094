"""One SQLite database holds a run over many files: who reads, the files, which process has which shard, and every answer.

A write-ahead log that is forced to the disk with each commit: a process that is killed, or a machine that loses its power,
leaves whole batches (https://www.sqlite.org/wal.html). An answer is kept once, under its content's SHA-256, and each file
points to one. Several processes of one machine may use it at the same time; the folder must be on a local disk.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

from cxreader.errors import StorageError
from cxreader.inference.batch.pipeline import Found
from cxreader.inference.batch.table import Row, row_of

# A shard is a run of positions; `holder` is the lease of the process that reads it, and in `work` of the one that writes the
# table. A lease's name is unique: whether its process lives is asked of the system (`Work`), never of the database.
_TABLES = """
BEGIN;
CREATE TABLE work (manifest TEXT NOT NULL, holder TEXT);
CREATE TABLE files (position INTEGER PRIMARY KEY, name BLOB NOT NULL);
CREATE TABLE shards (first INTEGER PRIMARY KEY, size INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0, holder TEXT);
CREATE TABLE answers
    (id INTEGER PRIMARY KEY, sha256 BLOB UNIQUE, step INTEGER NOT NULL, height REAL NOT NULL, answer TEXT NOT NULL);
CREATE TABLE answered (position INTEGER PRIMARY KEY, answer INTEGER NOT NULL);
"""
_ONE_MORE = "UPDATE shards SET done = done + 1 WHERE first = (SELECT max(first) FROM shards WHERE first <= ?)"
_UNANSWERED = """
SELECT position, name FROM files LEFT JOIN answered USING (position)
WHERE position >= ? AND position < ? AND answer IS NULL ORDER BY position
"""
# The ranks are sorted without the answers' texts, which would be carried through the sort; those are looked up in its order.
_RANKS = """
CREATE TEMP TABLE ranks AS
SELECT position, answers.id AS answer, row_number() OVER (ORDER BY step, height DESC, position) AS rank
FROM answered JOIN answers ON answers.id = answered.answer ORDER BY
"""
_ROWS = """
SELECT name, rank, answers.answer
FROM ranks CROSS JOIN files USING (position) CROSS JOIN answers ON answers.id = ranks.answer ORDER BY ranks.rowid
"""


class Journal:
    """The journal at `path`, opened. Safe to use from several threads; each process opens its own.

    Every method raises StorageError when the disk is full, the place cannot be written or the journal is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with _storage(path):
            self._db = sqlite3.connect(path, timeout=120, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA temp_store = FILE")

    @staticmethod
    def make(path: Path, manifest: Mapping[str, Any], names: Iterable[str], sizes: Sequence[int]) -> None:
        """A new journal of the files `names`, in shards of these sizes; `manifest`: plain values for JSON."""
        firsts = accumulate(sizes, initial=0)
        with _storage(path), closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.executescript(_TABLES)
            db.execute("INSERT INTO work (manifest) VALUES (?)", (json.dumps(manifest),))
            db.executemany("INSERT INTO files VALUES (?, ?)", enumerate(map(os.fsencode, names)))
            db.executemany("INSERT INTO shards (first, size) VALUES (?, ?)", zip(firsts, sizes, strict=False))
            db.execute("COMMIT")
            db.execute("PRAGMA journal_mode = WAL")  # which the file remembers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def manifest(self) -> dict[str, Any]:
        """What `make` was given."""
        return dict(json.loads(self._one("SELECT manifest FROM work")[0]))

    def claim(self, lease: str, is_dead: Callable[[str], bool]) -> list[tuple[int, str]] | None:
        """A shard that is not done and that no living process holds, for `lease`: position and name of its unanswered files.

        None when there is none. `is_dead`: whether the process of another lease has ended.
        """
        with _storage(self.path), self._writing():
            for first, size, holder in self._db.execute(
                "SELECT first, size, holder FROM shards WHERE done < size ORDER BY first"
            ).fetchall():
                if holder is None or (holder != lease and is_dead(holder)):
                    self._db.execute("UPDATE shards SET holder = ? WHERE first = ?", (lease, first))
                    found = self._db.execute(_UNANSWERED, (first, first + size)).fetchall()
                    return [(position, os.fsdecode(name)) for position, name in found]
        return None

    def claim_table(self, lease: str, is_dead: Callable[[str], bool]) -> bool:
        """Whether it is for `lease` to write the table: True where no other living process holds that."""
        with _storage(self.path), self._writing():
            (holder,) = self._db.execute("SELECT holder FROM work").fetchone()
            if holder not in (None, lease) and not is_dead(holder):
                return False
            self._db.execute("UPDATE work SET holder = ?", (lease,))
        return True

    def commit(self, found: Sequence[Found]) -> None:
        """Keep these answers, all or none; a file that has one already keeps it."""
        with _storage(self.path), self._writing():
            one = "INSERT OR IGNORE INTO answered VALUES (?, ?)"
            new = [f.position for f in found if self._db.execute(one, (f.position, self._answer(f))).rowcount]
            self._db.executemany(_ONE_MORE, ((position,) for position in new))

    def known(self, sha256: bytes) -> Row | None:
        """The answer to a content, when there is one."""
        row = self._one("SELECT answer FROM answers WHERE sha256 = ?", sha256)
        return None if row is None else json.loads(row[0])

    def is_done(self) -> bool:
        """Whether every file has its answer."""
        return self._one("SELECT 1 FROM shards WHERE done < size") is None

    def count(self) -> tuple[int, int]:
        """How many files have an answer, and how many different answers there are."""
        files, answers = self._one("SELECT (SELECT total(done) FROM shards), (SELECT max(id) FROM answers)")
        return int(files), answers or 0

    def rows(self, *, sort: bool) -> Iterator[Row]:
        """A row for each file that has an answer, with its rank: in the files' order, or with `sort` in the worklist's.

        Ranks are sorted in SQLite's temporary files (SQLITE_TMPDIR, else /var/tmp): memory does not grow with the files.
        """
        with _storage(self.path):
            with self._lock:
                self._db.execute("DROP TABLE IF EXISTS temp.ranks")
                self._db.execute(_RANKS + ("rank" if sort else "position"))
                cursor = self._db.execute(_ROWS)
            for name, rank, answer in cursor:
                yield row_of(name, rank, json.loads(answer))

    def _one(self, query: str, *values: object) -> Any:
        """The first row, or None."""
        with _storage(self.path), self._lock:
            return self._db.execute(query, values).fetchone()

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
        """One transaction, alone among all processes: whole when the block ends, nothing of it when it does not."""
        with self._lock:
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

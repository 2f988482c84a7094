"""The work folder of a run over many files, which several processes of one machine share.

`NAME.work/` beside the table NAME holds the journal and two kinds of lock: `in-use.lock`, shared by all that work there, and
a lease of each process, `lease-*.lock`, by which others see that it lives. The folder is there from the first moment or not
at all, and goes when the table is whole.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from cxreader.atomic import beside, storage_error
from cxreader.errors import StorageError, UsageError
from cxreader.inference.batch.journal import Journal
from cxreader.inference.reader import BATCH, Reader
from cxreader.inference.runtimes.backend import runtime_version
from cxreader.locks import is_held, lock, try_lock

JOURNAL, IN_USE = "journal.db", "in-use.lock"
VERSION = 2
_VERSION_1 = "manifest.json"
"""In the folders of an earlier version, which kept manifest and names in files of their own."""
LARGEST, FEWEST = 2048, 32
"""A shard has at most so many files; a list that allows it is cut into at least so many shards, for several processes."""
PATIENCE = 0.2
"""Seconds between two looks at what other processes hold."""
_WORDS = {
    "version": "another version of this folder",
    "cxreader": "another version of cxreader",
    "artifacts": "other models",
    "backends": "another runtime",
    "runtimes": "another version of the runtime",
    "operating_point": "another operating point",
    "disagreement": "another bound of disagreement",
    "terms": "other words of a site",
    "files": "another number of files",
    "files_sha256": "other files",
}


def identity_of(reader: Reader) -> dict[str, Any]:
    """All of a reader on which its answers depend, as plain values for JSON."""
    return {
        "cxreader": version("cxreader"),
        "artifacts": [member.id for member in reader.members],
        "backends": [member.backend.name for member in reader.members],
        "runtimes": [runtime_version(member.backend.name) for member in reader.members],
        "operating_point": reader.operating_point.to_dict(),
        "disagreement": reader.disagreement,
        "terms": reader.site.to_dict() if reader.site else None,
    }


def manifest_of(reader: Reader, files: Sequence[str]) -> dict[str, Any]:
    """All on which a table depends, as plain values for JSON. `files_sha256`: of the names as bytes, each ended by NUL."""
    digest = hashlib.sha256()
    for name in files:
        digest.update(os.fsencode(name) + b"\0")
    return {
        "version": VERSION,
        **identity_of(reader),
        "files": len(files),
        "files_sha256": digest.hexdigest(),
    }


def differences(own: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """What two manifests, or two readers' identities, have apart, in words; of another number of files not that they differ.

    A manifest that an earlier revision wrote without `runtimes` is not held to them.
    """
    found = [key for key in own if own[key] != there.get(key) and (key in there or key != "runtimes")]
    return [_WORDS[key] for key in found if key != "files_sha256" or "files" not in found]


def shard_sizes(files: int) -> list[int]:
    """Files in each shard: whole batches of the network, but for the last."""
    batches = -(-files // (FEWEST * BATCH))
    size = min(LARGEST, BATCH * max(1, batches))
    return [min(size, files - first) for first in range(0, files, size)]


class Work:
    """An open work folder: its `journal`, how many `files` there are, and how many were `found` answered when it was opened."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        """Of a folder that is there; else FileNotFoundError. Raises as `open`."""
        self.folder, self.files = folder, int(manifest["files"])
        _refuse_other_folder(folder)
        self._lease = f"lease-{secrets.token_hex(8)}.lock"  # unique, as no process number is
        with ExitStack() as opened:
            opened.enter_context(lock(folder / IN_USE, shared=True))
            opened.enter_context(lock(folder / self._lease))
            opened.callback((folder / self._lease).unlink, missing_ok=True)
            self.journal = opened.enter_context(Journal(folder / JOURNAL))
            others = differences(manifest, self.journal.manifest())
            if not self._is_there():
                raise FileNotFoundError(folder)
            if others:
                what = f"the reading begun there is of {' and '.join(others)}"
                raise UsageError(what, where=folder, mend="give another --out, or begin anew with --fresh")
            self.found = self.journal.count()[0]
            self._opened = opened.pop_all()

    @classmethod
    def open(cls, table: Path, reader: Reader, files: Sequence[str], *, fresh: bool = False) -> Self:
        """The work folder of `table`: the one that is there, or a new one, and with `fresh` a new one in its place.

        Raises UsageError when the one that is there is of other models, options or files or of an earlier version, or, with
        `fresh`, when another process works in it; StorageError when it belongs to another user, or is damaged.
        """
        folder = table.with_name(f"{table.name}.work")
        manifest = manifest_of(reader, files)
        with _storage(folder):
            if fresh:
                _remove(folder)
            while True:
                if not folder.exists():
                    _make(folder, manifest, files)
                try:
                    return cls(folder, manifest)
                except FileNotFoundError:  # another process ended the work at this moment
                    continue
                except StorageError:
                    if folder.exists():
                        raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what was claimed: the lease ends."""
        self._opened.close()

    def todo(self) -> Iterator[tuple[int, str]]:
        """Files without an answer, of every shard that this process can claim; ends when there is none to claim."""
        while (shard := self.journal.claim(self._lease, self._is_dead)) is not None:
            yield from shard

    @contextmanager
    def finishing(self) -> Iterator[bool]:
        """One process at a time ends the work: True for it, False when another did. The folder is gone behind the block."""
        with _storage(self.folder):
            while not self.journal.claim_table(self._lease, self._is_dead):
                time.sleep(PATIENCE)
            ours = self._is_there()
        yield ours
        if ours:
            with _storage(self.folder):
                _put_away(self.folder)

    def _is_dead(self, lease: str) -> bool:
        return not is_held(self.folder / lease)

    def _is_there(self) -> bool:
        """Whether the folder is still the one that was opened: no other one holds this lease."""
        return (self.folder / self._lease).exists()


@contextmanager
def _storage(folder: Path) -> Iterator[None]:
    """The system's errors as ours."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, folder, 0) from None


def _make(folder: Path, manifest: dict[str, Any], files: Sequence[str]) -> None:
    """The folder with all that belongs in it, under another name first: of two processes one wins, and both use its folder."""
    new = beside(folder, "new")
    try:
        lock(new / IN_USE, make_folder=True).close()
        Journal.make(new / JOURNAL, manifest, files, shard_sizes(len(files)))
        new.rename(folder)
    except OSError:
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _refuse_other_folder(folder: Path) -> None:
    """Before anything is written there. Raises FileNotFoundError when there is no folder."""
    names = {path.name for path in folder.iterdir()}
    if _VERSION_1 in names:
        what = "the reading begun there is of an earlier version of cxreader, which kept it in other files"
        raise UsageError(what, where=folder, mend="finish it with that version, or begin anew with --fresh")
    if not names & {JOURNAL, IN_USE}:
        raise StorageError("is no work folder", where=folder, mend="move it away, or give another --out")


def _remove(folder: Path) -> None:
    """The folder goes, where there is one, also that of an earlier version; only if it is ours, and nobody works in it."""
    if not folder.exists():
        return
    if not any((folder / name).exists() for name in (JOURNAL, IN_USE, _VERSION_1)):
        raise UsageError("is no work folder: it stays", where=folder, mend="move it away, or give another --out")
    alone = try_lock(folder / IN_USE)
    if alone is None:
        mend = "end it first, or give another --out"
        raise UsageError("another process is reading there", where=folder, mend=mend)
    with alone:
        _put_away(folder)


def _put_away(folder: Path) -> None:
    """Gone at once for everybody, then deleted; what a killed process left half deleted goes too."""
    folder.rename(beside(folder, "old"))
    for old in folder.parent.glob(f".{folder.name}.*.old"):
        shutil.rmtree(old, ignore_errors=True)

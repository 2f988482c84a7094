"""Backups: the database in one state, every file that it names, settings, secret, credentials and models that were sent.

All in one archive, and back into an empty home. What lies elsewhere is not in it: models that the settings name, and a file of
credentials that a person keeps.

The database is kept as SQLite whatever the service runs on, so that a backup of PostgreSQL can be restored to SQLite and the
other way round.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, insert, select, text
from sqlalchemy.orm import Session

from cxreader.atomic import storage_error, writing_whole
from cxreader.errors import DataError, MissingObjectError, UsageError
from cxreader.serving.administration.credentials import FOLDER as CREDENTIALS
from cxreader.serving.home import SECRET
from cxreader.serving.service import TriageService
from cxreader.serving.settings import FILE, Settings
from cxreader.serving.store import audit
from cxreader.serving.store.database import Database
from cxreader.serving.store.files.objects import is_digest
from cxreader.serving.store.migrate import revision, upgrade
from cxreader.serving.store.opened import opened_database, opened_objects
from cxreader.serving.store.tables.base import metadata
from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.readings import ResultObject, StoredPixels
from cxreader.serving.worker.models import SENT

_DATABASE, _OBJECTS, _KEPT = "database.db", "objects", "home"
_FOLDERS = (CREDENTIALS, SENT)
"""Of the home, whose files are in a backup."""
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Saved:
    """What a backup holds: `rows` of all tables, `objects`, and how many of those named were `missing` from the store."""

    rows: int
    objects: int
    missing: int


def backup(service: TriageService, file: Path) -> Saved:
    """Write a backup while the service runs; the file is there whole or not at all, readable by its owner alone.

    Decoded pixels are left out: they are made again. Raises UsageError where the file is there already, StorageError.
    """
    if file.exists():
        raise UsageError("is there already", where=file, mend="choose another name")
    with _scratch(service.settings.home) as folder, writing_whole(file) as opened:
        os.fchmod(opened.fileno(), 0o600)
        rows = _copied(service.database, folder / _DATABASE)
        with tarfile.open(fileobj=opened, mode="w") as archive:
            archive.add(folder / _DATABASE, _DATABASE)
            for name in (SECRET, FILE):
                archive.add(service.settings.home / name, name)
            for path in _home_files(service.settings.home):
                archive.add(path, f"{_KEPT}/{path.relative_to(service.settings.home).as_posix()}", recursive=False)
            objects, missing = _pack(archive, service, folder / _DATABASE)
    return Saved(rows, objects, missing)


def restore(file: Path, home: Path) -> Saved:
    """Make an empty home from a backup; its settings say which database and store are filled, which must be empty too.

    Raises UsageError for a home, database or store in which anything is, DataError for what is no whole backup, StorageError.
    """
    if home.exists() and any(home.iterdir()):
        raise UsageError("is not empty", where=home, mend="name a folder that is not there")
    try:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)
        with tarfile.open(file) as archive:
            members = iter(archive)
            with _scratch(home) as folder:
                for name in (_DATABASE, SECRET, FILE):
                    _unpack(archive, next(members, None), name, folder / name)
                for name in (SECRET, FILE):
                    (folder / name).rename(home / name)
                settings = Settings.load(home)
                if next(iter(opened_objects(settings).digests()), None) is not None:
                    raise UsageError("holds files already", where="objects", mend="name an empty store in serve.toml")
                rows = _filled(folder / _DATABASE, settings)
            return Saved(rows, _put(archive, members, settings), 0)
    except (tarfile.TarError, EOFError):
        raise DataError("is no whole backup", where=file, mend="take another one") from None
    except OSError as error:
        raise storage_error(error, home, 0) from None


def _copied(source: Database, target: Path) -> int:
    """Copy every row of one state of the database to a SQLite file of the same revision; how many."""
    copy = Database(f"sqlite:///{target}")
    try:
        upgrade(copy, revision(source) or "head")
        rows = _rows(source, copy)
        with copy.writing() as session:
            session.execute(delete(StoredPixels))  # made again from the files
        return rows
    finally:
        copy.close()


def _filled(source: Path, settings: Settings) -> int:
    """The same from a SQLite file to the database of the settings; both are brought to this version's tables first."""
    copy, target = Database(f"sqlite:///{source}"), opened_database(settings)
    try:
        if revision(target) is not None:
            raise UsageError("holds tables already", where="database", mend="name an empty one in serve.toml")
        upgrade(copy)
        upgrade(target)
        rows = _rows(copy, target)
        with target.writing() as session:
            _renumber(session)
            found = audit.verify(session)
        if found.number is not None:
            raise DataError(f"entry {found.number} of its audit log {found.why}", mend="take another backup")
        return rows
    finally:
        copy.close()
        target.close()


def _rows(source: Database, target: Database) -> int:
    count = 0
    with source.reading() as read, target.writing() as write:
        if read.get_bind().dialect.name == "postgresql":
            read.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        for table in metadata.sorted_tables:
            for chunk in read.execute(select(table).execution_options(yield_per=_ROWS)).mappings().partitions():
                write.execute(insert(table), [dict(row) for row in chunk])
                count += len(chunk)
    return count


def _renumber(session: Session) -> None:
    """PostgreSQL's sequences go on behind the rows that were put in."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        if "id" in table.c and table.c.id.autoincrement is not False:
            named = {"table": table.name}
            last = f"(SELECT coalesce(max(id), 0) + 1 FROM {table.name})"  # noqa: S608 - our own tables' names
            session.execute(text(f"SELECT setval(pg_get_serial_sequence(:table, 'id'), {last}, false)"), named)


def _pack(archive: tarfile.TarFile, service: TriageService, kept: Path) -> tuple[int, int]:
    """Add every object that the kept database names; how many, and how many are not there any more."""
    copy = Database(f"sqlite:///{kept}")
    objects = missing = 0
    try:
        with copy.reading() as session:
            named = set(session.scalars(select(Instance.sha256).where(Instance.purged_at.is_(None))))
            named |= set(session.scalars(select(ResultObject.sha256)))
    finally:
        copy.close()
    for digest in sorted(named):
        try:
            data = service.objects.get(digest)
        except MissingObjectError:
            missing += 1
            continue
        member = tarfile.TarInfo(f"{_OBJECTS}/{digest}")
        member.size, member.mode = len(data), 0o600
        archive.addfile(member, io.BytesIO(data))
        objects += 1
    return objects, missing


def _put(archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo], settings: Settings) -> int:
    """Put every object into the store of the settings, and the home's own files into it; how many objects."""
    store, count = opened_objects(settings), 0
    for member in members:
        if member.name.startswith(f"{_KEPT}/"):
            _unpack_home(archive, member, settings.home)
            continue
        digest = member.name.removeprefix(f"{_OBJECTS}/")
        opened = archive.extractfile(member) if member.isfile() and is_digest(digest) else None
        if opened is None or store.put(opened.read()) != digest:
            raise DataError("holds a file that is not what it is called", mend="take another backup")
        count += 1
    return count


def _home_files(home: Path) -> list[Path]:
    """Credentials of destinations and models that were sent."""
    return sorted(path for name in _FOLDERS for path in (home / name).rglob("*") if path.is_file())


def _unpack_home(archive: tarfile.TarFile, member: tarfile.TarInfo, home: Path) -> None:
    """Write one of the home's own files, for its owner alone, where such files lie and nowhere else."""
    parts = member.name.split("/")[1:]
    if len(parts) < 2 or parts[0] not in _FOLDERS or not all(_PLAIN.fullmatch(part) for part in parts):
        raise DataError("holds a file that is not what it is called", mend="take another backup")
    folder = home
    for part in parts[:-1]:
        folder = folder / part
        folder.mkdir(mode=0o700, exist_ok=True)
    _unpack(archive, member, member.name, folder / parts[-1])


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo | None, name: str, target: Path) -> None:
    """Write the member, which must be the one of this name, to a file; nothing of its own name or mode is believed."""
    opened = archive.extractfile(member) if member is not None and member.isfile() and member.name == name else None
    if opened is None:
        raise DataError("is no backup of a service", mend="give a file that `cxreader serve backup` wrote")
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
        while chunk := opened.read(2**20):
            file.write(chunk)


@contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    """A folder in the home, for its owner alone, gone afterwards: what lies there is patients'."""
    with tempfile.TemporaryDirectory(dir=home, prefix=".backup-") as folder:
        yield Path(folder)

"""The home of a service: a folder with its settings, its secret, and, unless the settings say otherwise, database and files."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cxreader.atomic import storage_error, write_whole
from cxreader.errors import ConfigError, CxreaderError, UsageError
from cxreader.locks import try_lock
from cxreader.serving.access.people import new_password
from cxreader.serving.dicom import admission
from cxreader.serving.settings import FILE, Settings
from cxreader.serving.store import audit, users
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.migrate import head, revision, upgrade
from cxreader.serving.store.opened import opened_database
from cxreader.serving.store.reading import models
from cxreader.serving.web_settings import check_web
from cxreader.serving.worker.models import rule_of

SECRET, LOCK = "secret.key", "serve.lock"
SECRET_BYTES = 32
_TEMPLATE = """\
# Settings of the service; the page docs/reference/serving.md tells them all.
# The environment (CXREADER_SERVE_...) comes before this file.
models = []

[worklist]
# The longest waits in minutes.
alarm = 60
no_answer = 120
in_doubt = 240
below = 480
"""


def init(settings: Settings, *, administrator: str, password: str | None = None) -> str | None:
    """Make a home: its folder for its owner alone, settings, a secret, a database with every table, the first administrator.

    Returns the password that was made up, None where one was given or there were users already; it is kept nowhere. What is
    there already stays, so that the same call ends what was interrupted, and brings the database of an earlier version to
    this one. Raises UsageError for a name or password that will not do, StorageError.
    """
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)
    except OSError as error:
        raise storage_error(error, home, 0) from None
    if not (home / FILE).exists():
        write_whole(home / FILE, _TEMPLATE.encode())
    if not (home / SECRET).exists():
        with open(os.open(home / SECRET, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            file.write(secrets.token_bytes(SECRET_BYTES))
    database = opened_database(settings)
    try:
        upgrade(database)
        made = new_password() if password is None else None
        with database.writing() as session:
            if users.any_there(session):
                return None
            now = database.now(session)
            user = users.add(session, now, name=administrator, role="admin", password=password or str(made))
            audit.note(session, now, [Noted("user added", "command line", user.key, {"role": "admin"})])
        return made
    finally:
        database.close()


@contextmanager
def opened(settings: Settings) -> Iterator[None]:
    """A home that lacks nothing, its models active, in which nobody else runs the service while the block runs.

    Raises one ConfigError that names everything it lacks, UsageError where the service of this home runs already.
    """
    found = lacking(settings)
    if found:
        each = " ".join(f"({n}) {one}" for n, one in enumerate(found, 1)) if len(found) > 1 else str(found[0])
        raise ConfigError(f"the service cannot start: {each}")
    lock = try_lock(settings.home / LOCK)
    if lock is None:
        raise UsageError("the service of this home runs already", where=settings.home, mend="end it first")
    with lock:
        _activate(settings)
        yield


def lacking(settings: Settings) -> list[CxreaderError]:
    """Everything that a service with these settings lacks, each with its mend."""
    found: list[CxreaderError] = []
    for check in (_home, _models, _tables, _folder, admission.check, _web):
        try:
            check(settings)
        except CxreaderError as error:
            found.append(error)
    return found


def secret(settings: Settings) -> bytes:
    """The secret of a home, SECRET_BYTES long; tokens for forms and pseudonyms are made with it."""
    return (settings.home / SECRET).read_bytes()


def _activate(settings: Settings) -> None:
    """The models of the settings, unless an administrator chose others while the settings were the same."""
    rule, database = rule_of(settings), opened_database(settings)
    with closing(database), database.writing() as session:
        now, before = database.now(session), models.active(session)
        if before is not None and models.is_chosen_over(before, models.digest_of(rule)):
            return
        found = models.activate(session, now, rule)
        if before is None or before.id != found.id:
            audit.note(session, now, [Noted("models active", "command line", found.names)])


def _home(settings: Settings) -> None:
    secret = settings.home / SECRET
    mend = f"cxreader serve init --home {settings.home}"
    if not secret.is_file() or len(secret.read_bytes()) < SECRET_BYTES:
        raise ConfigError("the home has no secret", where=secret, mend=mend)
    if stat.S_IMODE(secret.stat().st_mode) & 0o077:
        raise ConfigError("others may read the secret", where=secret, mend=f"chmod 600 {secret}")


def _models(settings: Settings) -> None:
    if not settings.models:
        raise ConfigError("no model is given", where="models", mend="add --model ARTIFACT, or name it in serve.toml")
    rule_of(settings)


def _tables(settings: Settings) -> None:
    if settings.database is None and not (settings.home / "service.db").is_file():
        raise ConfigError("there is no database", where="database", mend=f"cxreader serve init --home {settings.home}")
    database = opened_database(settings)
    try:
        there = revision(database)
    finally:
        database.close()
    if there != head():
        what = "has no tables" if there is None else f"is at revision {there}, this version needs {head()}"
        mend = f"back it up, then cxreader serve init --home {settings.home}"
        raise ConfigError(f"the database {what}", where="database", mend=mend)


def _folder(settings: Settings) -> None:
    path: Path | None = settings.folder.path
    if path is not None and not (path.is_dir() and os.access(path, os.R_OK | os.W_OK | os.X_OK)):
        raise ConfigError(
            "is no folder that can be read and written", where="folder.path", mend="make it, or name another"
        )


def _web(settings: Settings) -> None:
    check_web(settings.web)

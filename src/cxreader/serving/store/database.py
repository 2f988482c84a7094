"""The database: SQLite in the home by default, PostgreSQL by its URL. Transactions, its clock, and its errors as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from cxreader.errors import ConfigError, MissingDependencyError, StorageError
from cxreader.serving.clock import Clock, database_clock

PATIENCE = 60
"""Seconds that a transaction waits for another one's before it is an error."""
_IN_ORDER = 0x6378_7264
"""The advisory lock of PostgreSQL under which numbers without gaps are given out."""
_COLLIDED = ("40001", "40P01")
"""PostgreSQL's codes for transactions that got in each other's way."""
_ATTEMPTS = 4
T = TypeVar("T")


class Database:
    """A database at `url`: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`. Safe to use from several threads.

    Its methods raise StorageError when the database cannot be reached, is full or refuses; no message holds a value of a row.
    """

    def __init__(self, url: str, *, clock: Clock = database_clock) -> None:
        self.engine = _engine(_url(url))
        self.clock = clock
        self._read = sessionmaker(self.engine, expire_on_commit=False)
        self._write = sessionmaker(self.engine.execution_options(writes=True), expire_on_commit=False)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database; nothing of it is kept."""
        with _errors(), self._read() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction: kept whole when the block ends, not at all when it raises. On SQLite it is alone from its beginning."""
        with _errors(), self._write.begin() as session:
            yield session

    def write(self, work: Callable[[Session], T]) -> T:
        """What `work` returns in a transaction of its own, begun anew where another one came first with the same name or rows."""
        for attempt in range(_ATTEMPTS):
            try:
                with _errors(anew=attempt + 1 < _ATTEMPTS), self._write.begin() as session:
                    return work(session)
            except _Anew:
                continue
        raise AssertionError  # pragma: no cover - the last attempt returned or raised

    def now(self, session: Session) -> float:
        """The moment by the service's clock."""
        return self.clock(session)

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def in_order(session: Session) -> None:
    """From here to the end of the transaction no other one gives out numbers of the audit log or of events.

    What the session has not written yet is written first: who waits for a row must not hold this lock.
    """
    session.flush()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _IN_ORDER})


class _Anew(Exception):  # noqa: N818 - no error: the transaction begins again
    """Another transaction came first."""


def _url(given: str) -> URL:
    try:
        url = make_url(given)
    except ArgumentError:
        url = URL.create("unknown")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        mend = "give sqlite:///PATH or postgresql://USER@HOST/NAME"
        raise ConfigError("is no URL of a database that is supported", where="database", mend=mend)
    return url


def _engine(url: URL) -> Engine:
    lite = url.drivername == "sqlite"
    arguments: dict[str, Any] = {"timeout": PATIENCE} if lite else {"connect_timeout": 10}
    try:
        engine = create_engine(url, connect_args=arguments, hide_parameters=True, pool_pre_ping=not lite, pool_size=16)
    except ModuleNotFoundError as error:
        mend = "pip install 'cxreader[postgres]'"
        raise MissingDependencyError(f"PostgreSQL needs {error.name}", mend=mend) from None
    if lite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    """A write-ahead log that reaches the disk with every commit (https://www.sqlite.org/pragma.html#pragma_synchronous)."""
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {PATIENCE * 1000}",
        "case_sensitive_like = ON",  # as PostgreSQL has it; no index and no CHECK of ours has a LIKE, which this could break
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(value: Any) -> Any:
    """SQLite's own knows the capitals of ASCII alone."""
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _errors(*, anew: bool = False) -> Iterator[None]:
    """The driver's errors as ours, by their kind alone: their texts quote values. With `anew`, a second comer is `_Anew`."""
    try:
        yield
    except SQLAlchemyError as error:
        second = isinstance(error, IntegrityError) or _kind(error) in _COLLIDED
        raise (_Anew() if anew and second else _storage_error(error)) from None


def _kind(error: SQLAlchemyError) -> str:
    """SQLite's name or PostgreSQL's code of an error, else its class."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or type(cause).__name__


def _storage_error(error: SQLAlchemyError) -> StorageError:
    kind = _kind(error)
    if kind in ("SQLITE_FULL", "53100"):
        return StorageError("the disk of the database is full", where="database", mend="free space there")
    if isinstance(error, DBAPIError) and (
        error.connection_invalidated or kind in ("OperationalError", "SQLITE_CANTOPEN")
    ):
        mend = "see that it runs and can be reached"
        return StorageError(f"the database cannot be reached ({kind})", where="database", mend=mend)
    return StorageError(f"the database refused ({kind})", where="database", mend="see the database's own log")

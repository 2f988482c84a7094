"""The one clock of the service: the database's, so that processes on several machines agree."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.orm import Session

Clock = Callable[[Session], float]
"""Gives the moment now: seconds since 1970, UTC."""

_NOW = {
    "sqlite": text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
    "postgresql": text("SELECT extract(epoch FROM clock_timestamp())"),
}


def database_clock(session: Session) -> float:
    """The moment by the clock of the session's database; SQLite's is that of its machine, to the millisecond."""
    return float(session.scalar(_NOW[session.get_bind().dialect.name]))


class SetClock:
    """A clock that stands where it was set, for tests and for simulated time."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self, _: Session) -> float:
        """The moment that was set."""
        return self.now

    def forward(self, seconds: float) -> None:
        """Later by so many seconds."""
        self.now += seconds

"""A home's database for one command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy.orm import Session

from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.opened import opened_database

T = TypeVar("T")


def within(home: Path, work: Callable[[Session, float], T]) -> T:
    """What `work` returns in one transaction, given the moment now."""
    database = opened_database(Settings.load(home))
    try:
        return database.write(lambda session: work(session, database.now(session)))
    finally:
        database.close()


@contextmanager
def service(home: Path) -> Iterator[TriageService]:
    """The service of a home, without its processes."""
    made = TriageService.open(Settings.load(home))
    try:
        yield made
    finally:
        made.close()

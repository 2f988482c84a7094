"""A home's database, or its service, for one command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from cxreader.serving.service import TriageService

T = TypeVar("T")


def within(home: Path, work: Callable[[Session, float], T]) -> T:
    """What `work` returns in one transaction of the home's database, given the moment now."""
    from cxreader.serving.settings import Settings
    from cxreader.serving.store.opened import opened_database

    database = opened_database(Settings.load(home))
    try:
        return database.write(lambda session: work(session, database.now(session)))
    finally:
        database.close()


@contextmanager
def service(home: Path) -> Iterator[TriageService]:
    """The service of a home, without its processes."""
    from cxreader.serving.service import TriageService
    from cxreader.serving.settings import Settings

    made = TriageService.open(Settings.load(home))
    try:
        yield made
    finally:
        made.close()

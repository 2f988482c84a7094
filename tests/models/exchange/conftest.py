"""A published artifact and a server, for every test of the exchange."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.models.exchange.published import made
from tests.models.exchange.server import Shelf, serving


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact with an export, and a card beside it."""
    return made(tmp_path_factory.mktemp("made"))


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with serving() as one:
        yield one

"""A browser for the tests of pages, and a service whose studies the viewer opens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import active
from tests.serving.page.live import served
from tests.serving.page.sitting import Room
from tests.serving.page.viewed import judge, studies
from tests.serving.web.conftest import world_of

from cxreader.serving.clock import database_clock
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.database import Database
from cxreader.serving.store.files.objects import FolderStore


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright.

    One a file: while it runs, no other test of this process may run an event loop of its own.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as started:
        found = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, artifact: Path) -> Iterator[Room]:
    """One service for all walks."""
    folder = tmp_path_factory.mktemp("room")
    shutil.copytree(artifact, folder / "artifact")
    judge(folder / "artifact")
    shutil.copy(migrated_sqlite, folder / "service.db")
    url = f"sqlite:///{folder / 'service.db'}"
    settings = Settings.load(folder / "home", models=(folder / "artifact",), database=url)
    database = Database(url, clock=database_clock)
    world = world_of(active(TriageService(settings, database, FolderStore(settings.home / "objects"))))
    keys = studies(world)
    with served(world) as address:
        yield Room(address, world, keys)
    database.close()

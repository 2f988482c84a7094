"""The application that tests of the HTTP door talk to."""

from __future__ import annotations

import pytest
from tests.serving.web.world import World, people

from cxreader.serving.home import SECRET
from cxreader.serving.service import TriageService
from cxreader.serving.web.app import create_app


@pytest.fixture
def world(service: TriageService) -> World:
    """An application on the test's service."""
    return world_of(service)


def world_of(service: TriageService) -> World:
    """An application on a service."""
    home = service.settings.home
    home.mkdir(exist_ok=True)
    (home / SECRET).write_bytes(b"s" * 32)
    return World(create_app(service.settings, service), service, people(service))

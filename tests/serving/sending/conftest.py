"""A service whose results go to a peer: its secret, a destination, and alarms that wait to be sent."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.serving.sending.peer import Peer
from tests.serving.world import dicom, make_artifact, read_all

from cxreader.models.artifact import load_artifact, save_manifest
from cxreader.records import OperatingPoint
from cxreader.serving.home import SECRET
from cxreader.serving.results.uids import KINDS
from cxreader.serving.service import TriageService
from cxreader.serving.store import destinations
from cxreader.serving.store.tables.sending import Destination


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported artifact that calls every image abnormal."""
    folder = make_artifact(tmp_path_factory.mktemp("alarming") / "artifact", seed=3)
    everything = (OperatingPoint.given(0.0),)
    save_manifest(replace(load_artifact(folder), operating_points=everything), folder)
    return folder


@pytest.fixture
def secret(service: TriageService) -> TriageService:
    """The service, once its home has a secret."""
    service.settings.home.mkdir(exist_ok=True)
    (service.settings.home / SECRET).write_bytes(b"s" * 32)
    return service


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A node that receives, on loopback."""
    with Peer().listening() as made:
        yield made
    gc.collect()


Added = Callable[..., Destination]


@pytest.fixture
def added(secret: TriageService) -> Added:
    """Adds a destination by its address."""

    def add(address: dict[str, Any], *, name: str = "PACS", sends: Sequence[str] = KINDS) -> Destination:
        with secret.database.writing() as session:
            return destinations.add(session, secret.database.now(session), name, address, sends)

    return add


@pytest.fixture
def read(secret: TriageService) -> Callable[..., None]:
    """Receives images of these seeds and reads them."""

    def work(*seeds: int, **elements: Any) -> None:
        for seed in seeds:
            secret.receive(dicom(seed, **elements), door="dicom", sender="CT1")
        read_all(secret)

    return work

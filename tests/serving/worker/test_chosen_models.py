"""Models that an administrator chooses: workers go on with them, restarts keep them, the settings win when they change."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import select
from tests.serving.world import dicom

from cxreader.models.artifact import load_artifact
from cxreader.serving.administration import models as administration
from cxreader.serving.home import init, opened
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.reading import models
from cxreader.serving.store.tables.readings import Result
from cxreader.serving.worker import run as worker
from cxreader.serving.worker.models import SENT


@pytest.fixture
def home(tmp_path: Path, artifact: Path, other_artifact: Path) -> Settings:
    """A home whose settings name one artifact; another one was sent to it."""
    settings = Settings.load(tmp_path / "home", models=(artifact,), dicom={"port": 0})
    init(settings, administrator="admin", password="correct horse battery")  # noqa: S106
    shutil.copytree(other_artifact, settings.home / SENT / load_artifact(other_artifact).id)
    return settings


def active(service: TriageService) -> str:
    with service.database.reading() as session:
        found = models.active(session)
        assert found is not None
        return found.names


def read_by(service: TriageService, count: int) -> list[str]:
    """Who read so many images, in the order of the answers, once they are read."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with service.database.reading() as session:
            found = [one.reading["artifact"] for one in session.scalars(select(Result).order_by(Result.id))]
        if len(found) == count:
            return found
        time.sleep(0.1)
    raise AssertionError("nobody read")


def test_a_worker_goes_on_with_the_models_that_are_chosen(
    home: Settings, artifact: Path, other_artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK", 0.1)
    first, other = load_artifact(artifact).id, load_artifact(other_artifact).id
    with opened(home):
        service, stop = TriageService.open(home), Event()
        thread = Thread(target=worker.run, args=(home, stop.is_set, "w"), daemon=True)
        thread.start()
        try:
            service.receive(dicom(1), door="http")
            assert read_by(service, 1) == [first]
            administration.activate(service, "admin", [other])
            service.receive(dicom(2), door="http")
            assert read_by(service, 2) == [first, other]
        finally:
            stop.set()
            thread.join(60)
        assert not thread.is_alive()
        service.close()


def test_a_choice_outlives_a_restart_and_ends_when_the_settings_name_others(
    home: Settings, artifact: Path, other_artifact: Path
) -> None:
    first, other = load_artifact(artifact).id, load_artifact(other_artifact).id
    service = TriageService.open(home)
    with opened(home):
        administration.activate(service, "admin", [other])
    with opened(home):
        assert active(service) == other  # the settings say what they said when it was chosen
    both = Settings.load(home.home, models=(artifact, other_artifact), dicom={"port": 0})
    with opened(both):
        assert active(service) == f"{first}+{other}"
    with opened(home):
        assert active(service) == first  # an earlier choice does not come back
    service.close()

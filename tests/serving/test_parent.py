"""The parent and its processes: the whole service from a folder to the list, in processes of their own that may be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.serving.world import dicom

from cxreader.serving.home import init
from cxreader.serving.operations import processes
from cxreader.serving.parent import KINDS
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.tables.readings import Job, Result

SECONDS = 120
PASSWORD = "correct horse"  # noqa: S105 - of a home in the test's own folder


@pytest.fixture
def running(tmp_path: Path, artifact: Path) -> Iterator[tuple[subprocess.Popen[bytes], TriageService, Path]]:
    """`cxreader serve` with a folder door, a service that looks into its home, and the folder."""
    watched = tmp_path / "in"
    watched.mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "serve.toml").write_text(
        f'models = ["{artifact}"]\n[folder]\npath = "{watched}"\nsettle = 0.1\nevery = 0.2\n[dicom]\nport = 0\n'
    )
    settings = Settings.load(tmp_path / "home")
    init(settings, administrator="root", password=PASSWORD)
    service = TriageService.open(settings)
    command = [sys.executable, "-m", "cxreader", "serve", "--home", str(settings.home)]
    with (tmp_path / "said").open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        try:
            yield process, service, watched
        finally:
            process.kill()
    service.close()


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def results(service: TriageService) -> int:
    with service.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Result)) or 0


def put(folder: Path, numbers: range) -> None:
    for n in numbers:
        (folder / f"{n}.part").write_bytes(dicom(n))
        (folder / f"{n}.part").rename(folder / f"{n}.dcm")


def children(of: int) -> list[int]:
    """Processes whose parent that is, but for Python's own resource tracker."""
    listed = Path(f"/proc/{of}/task/{of}/children").read_text().split()
    return [int(one) for one in listed if b"resource_tracker" not in Path(f"/proc/{one}/cmdline").read_bytes()]


def holder_of_last(service: TriageService) -> str:
    with service.database.reading() as session:
        return session.scalars(select(Job.holder).order_by(Job.id.desc())).first() or ""


@pytest.mark.slow
def test_from_the_folder_to_the_list_through_deaths_of_processes_and_of_their_parent(
    running: tuple[subprocess.Popen[bytes], TriageService, Path],
) -> None:
    process, service, watched = running
    put(watched, range(4))
    until(lambda: results(service) == 4)
    assert len(service.worklist().entries) == 4
    first, before = holder_of_last(service), children(process.pid)
    assert len(before) == sum(kind.count(service.settings) for kind in KINDS)
    told = processes.told(service.settings.home)
    assert sorted(one.pid or 0 for one in told) == sorted(before)
    assert {(one.running, one.starts) for one in told} == {(True, 1)}
    for child in before:
        os.kill(child, signal.SIGKILL)
    put(watched, range(4, 8))
    until(lambda: results(service) == 8)
    assert holder_of_last(service) != first
    after = children(process.pid)
    assert not set(after) & set(before)
    assert {one.starts for one in processes.told(service.settings.home)} == {2}
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in after))  # they end with their parent


@pytest.mark.slow
def test_it_ends_when_asked_and_leaves_no_lease_behind(
    running: tuple[subprocess.Popen[bytes], TriageService, Path],
) -> None:
    process, service, watched = running
    put(watched, range(30))
    until(lambda: results(service) > 0)
    mine = children(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 0
    assert not any(Path(f"/proc/{child}").exists() for child in mine)
    assert processes.told(service.settings.home) == []
    with service.database.reading() as session:
        assert session.scalars(select(Job.state).where(Job.state == "leased")).all() == []

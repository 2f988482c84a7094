"""A node that is killed while it receives: what it acknowledged is there, and another one takes its place."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving.dicom.scu import as_dataset, sending
from tests.serving.world import dicom

from cxreader.serving.home import init
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.tables.images import Instance

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")  # pynetdicom's own sockets
SECONDS = 120


@pytest.fixture
def port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def running(tmp_path: Path, artifact: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], TriageService]]:
    """`cxreader serve` with a node and without readers, and a service that looks into its home."""
    (tmp_path / "home").mkdir()
    lines = [f'models = ["{artifact}"]', "[worker]", "processes = 0", "[dicom]", f"port = {port}"]
    (tmp_path / "home" / "serve.toml").write_text("\n".join(lines))
    settings = Settings.load(tmp_path / "home")
    init(settings, administrator="root", password="correct horse")  # noqa: S106 - of a home in the test's own folder
    service = TriageService.open(settings)
    command = [sys.executable, "-m", "cxreader", "serve", "--home", str(settings.home)]
    with (tmp_path / "said").open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        try:
            yield process, service
        finally:
            process.kill()
    service.close()


def children(parent: int) -> list[int]:
    """Its processes, but for the one that tracks what they share."""
    found = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return [pid for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def acknowledged(port: int, seeds: range, kill_after: int | None, parent: int) -> set[str]:
    """The UIDs of the images whose C-STORE was a success; after so many, every process of the parent is killed."""
    kept = set()
    with sending(port) as association:
        for n in seeds:
            if n == kill_after:
                for pid in children(parent):
                    os.kill(pid, signal.SIGKILL)
            made = as_dataset(dicom(n))
            try:
                status = association.send_c_store(made)
            except RuntimeError:  # the association went with the node, at whichever moment
                break
            if status and status.Status == 0x0000:
                kept.add(str(made.SOPInstanceUID))
    return kept


def test_what_was_acknowledged_is_there(running: tuple[subprocess.Popen[bytes], TriageService], port: int) -> None:
    process, service = running
    kept: set[str] = set()
    end, killed = time.monotonic() + SECONDS, False
    while len(kept) < 12:
        assert time.monotonic() < end
        found = acknowledged(port, range(12), None if killed else 5, process.pid)
        killed, kept = killed or bool(found), kept | found
        time.sleep(0.2)
    assert killed
    with service.database.reading() as session:
        rows = session.query(Instance).all()
    assert kept == {row.sop_instance_uid for row in rows}
    assert all(service.objects.has(row.sha256) for row in rows)

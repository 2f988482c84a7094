"""What stands around the service when it is shown on phantoms: a home, a modality that sends, a peer that receives."""

from __future__ import annotations

import http.client
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import func, select

from cxreader.atomic import write_whole
from cxreader.errors import StorageError, UsageError
from cxreader.serving.dicom import listening
from cxreader.serving.dicom.associations import Called, RefusedError, associated
from cxreader.serving.dicom.contexts import PLAIN, VERIFICATION
from cxreader.serving.home import init, lacking
from cxreader.serving.results.uids import KINDS
from cxreader.serving.sending import addresses
from cxreader.serving.sending.store_scu import OFFERED
from cxreader.serving.service import TriageService
from cxreader.serving.settings import FILE, PREFIX, Settings
from cxreader.serving.store import destinations
from cxreader.serving.store.tables.images import Instance, WorklistRow
from cxreader.serving.store.tables.readings import Job, Result
from cxreader.serving.store.tables.sending import OutboxEntry

ADMINISTRATOR, MODALITY, PEER = "admin", "MODALITY", "PEER"
START, PATIENCE = 120.0, 120.0
"""Seconds that the service has to start, and that nothing may change before what is left is given up."""
_LOOK = 0.25
_LOOPBACK = "127.0.0.1"
_UNDER_WAY = ("waiting", "leased")


class Peer:
    """A node on loopback that takes every result. `got`: the modality of each by its UID; `port` while it listens."""

    def __init__(self) -> None:
        self.got: dict[str, str] = {}
        self.port = 0

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[Self]:
        """Receive while the block runs, on this port or any free one."""
        from pynetdicom import evt
        from pynetdicom.ae import ApplicationEntity

        entity = ApplicationEntity(ae_title=PEER)
        for uid, syntaxes in (*OFFERED, (VERIFICATION, PLAIN)):
            entity.add_supported_context(uid, list(syntaxes))
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_ECHO, lambda _: 0)]
        server: Any = entity.start_server((_LOOPBACK, port), block=False, evt_handlers=handlers)
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            entity.shutdown()

    def _store(self, event: Any) -> int:
        self.got[str(event.dataset.SOPInstanceUID)] = str(event.dataset.Modality)
        return 0


@contextmanager
def home(folder: Path, model: Path, peer: Peer) -> Iterator[tuple[Settings, str]]:
    """A home below `folder` while the block runs, on free ports of loopback, whose results go to `peer`; and its password.

    Raises UsageError where the environment holds settings, which would lead phantoms elsewhere, and the first of
    `home.lacking`, such as a model without its export.
    """
    found = sorted(name for name in os.environ if name.upper().startswith(PREFIX))
    if found:
        raise UsageError("settings of another service would hold here too", where=found[0], mend="unset it first")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="home-", dir=folder.resolve(), ignore_cleanup_errors=True) as made:
        named = json.dumps(str(model.resolve()), ensure_ascii=False)
        lines = [f"models = [{named}]", "[dicom]", "port = 0", "[web]", f"port = {_free_port()}", ""]
        write_whole(Path(made) / FILE, "\n".join(lines).encode())
        settings = Settings.load(Path(made))
        password = init(settings, administrator=ADMINISTRATOR)
        for lack in lacking(settings):
            raise lack
        service = TriageService.open(settings)
        with service.database.writing() as session:
            address = addresses.by_store(f"{PEER}@{_LOOPBACK}:{peer.port}")
            destinations.add(session, service.database.now(session), "peer", address, KINDS)
        service.close()
        yield settings, str(password)


def await_start(settings: Settings, log: Path, runs: Callable[[], bool], *, patience: float = START) -> None:
    """Wait until web and node answer. Raises StorageError where the service ends or takes more than `patience` seconds."""
    until = time.monotonic() + patience
    while not _started(settings):
        if not runs() or time.monotonic() > until:
            raise StorageError("the service did not start", where=log, mend="this log says why")
        time.sleep(_LOOK)


def send(settings: Settings, files: Sequence[Path], pause: float, tell: Callable[[int, int], None] | None) -> int:
    """Send DICOM files by C-STORE, an association each, `pause` seconds apart; returns how many were acknowledged."""
    from pydicom import dcmread

    acknowledged = 0
    for n, file in enumerate(files, 1):
        made = dcmread(file)
        port = listening.told(settings.home) or 0
        called = Called(_LOOPBACK, port, settings.dicom.ae_title, calling=MODALITY)
        try:
            with associated(settings.dicom, called, [(str(made.SOPClassUID), PLAIN)]) as association:
                acknowledged += association.send_c_store(made).get("Status") == 0
        except RefusedError:
            pass  # it is missing among those acknowledged
        if tell is not None:
            tell(n, len(files))
        if n < len(files):
            time.sleep(pause)
    return acknowledged


@dataclass(frozen=True, slots=True)
class Counts:
    """Images received and read, studies placed by an answer, objects sent; `left`: what still waits, `lost`: given up."""

    received: int
    read: int
    ordered: int
    sent: int
    left: int
    lost: int


def settled(service: TriageService) -> Counts:
    """The counts once nothing is under way any more, or once nothing has changed for PATIENCE seconds."""
    before, since = _counts(service), time.monotonic()
    while before.left and time.monotonic() - since < PATIENCE:
        time.sleep(_LOOK)
        counts = _counts(service)
        if counts != before:
            before, since = counts, time.monotonic()
    return before


def _counts(service: TriageService) -> Counts:
    with service.database.reading() as session:

        def count(column: Any, *where: Any) -> int:
            return session.scalar(select(func.count(column.distinct())).where(*where)) or 0

        return Counts(
            received=count(Instance.id),
            read=count(Result.instance_id),
            ordered=count(WorklistRow.study_id, WorklistRow.result_id.is_not(None)),
            sent=count(OutboxEntry.id, OutboxEntry.state == "sent"),
            left=sum(count(of.id, of.state.in_(_UNDER_WAY)) for of in (Job, OutboxEntry)),
            lost=sum(count(of.id, of.state == "dead") for of in (Job, OutboxEntry)),
        )


def _started(settings: Settings) -> bool:
    """Whether the web process answers and says that the node listens."""
    connection = http.client.HTTPConnection(_LOOPBACK, settings.web.port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return bool(json.loads(connection.getresponse().read())["node"] == "")
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.create_server((_LOOPBACK, 0)) as opened:
        return int(opened.getsockname()[1])

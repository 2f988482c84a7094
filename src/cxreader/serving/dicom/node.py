"""The node's process: an SCP of Verification, Storage of images, and Storage Commitment, behind which stands the service."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxreader.errors import ConfigError, CxreaderError, ImageError
from cxreader.serving import incoming
from cxreader.serving.dicom import admission, commitment, listening
from cxreader.serving.dicom.arriving import Arriving
from cxreader.serving.dicom.contexts import contexts
from cxreader.serving.dicom.part10 import with_own_head
from cxreader.serving.dicom.tls import node_context
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.events import Event

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
"""Statuses of C-STORE (PS3.4 B.2.3). A sender tries again after the second, and not after the third."""
DOOR = "node"
"""What its folder of arriving data sets is called."""
_LOOK = 0.2
_SWEEP = 300.0


def run(settings: Settings, stopped: Callable[[], bool], name: str) -> None:  # noqa: ARG001 - every process is called alike
    """Listen until `stopped`; what is under way then is ended first. Raises ConfigError, StorageError."""
    service = TriageService.open(settings)
    node = Node(service)
    try:
        node.start()
        swept = time.monotonic()
        while not stopped():
            time.sleep(_LOOK)
            if time.monotonic() - swept > _SWEEP:
                swept = time.monotonic()
                node.sweep()
    finally:
        node.stop()
        service.close()


class Node:
    """The SCP of a service. `port` is the one that it listens on once it was started."""

    def __init__(self, service: TriageService) -> None:
        self.service, self._section = service, service.settings.dicom
        self._incoming = service.settings.home / incoming.FOLDER / DOOR
        self.port = self._section.port
        self._entity: ApplicationEntity | None = None

    def start(self) -> None:
        """Listen. Raises ConfigError for an address or a certificate that cannot be used."""
        begun = time.time()
        prepare_library(incoming.made(self.service.settings.home, DOOR))
        entity = self._made()
        where = (self._section.host, self._section.port)
        try:
            server = entity.start_server(
                where, block=False, ssl_context=node_context(self._section.tls), evt_handlers=self._handlers()
            )
        except OSError as error:
            what = f"cannot listen on {where[0]}:{where[1]} ({error.strerror})"
            raise ConfigError(what, where="dicom.port", mend="name a free one") from None
        self._entity = entity
        incoming.remove(self._incoming, before=begun)  # now that no other node listens
        if server is not None:
            self.port = server.server_address[1]
        listening.tell(self.service.settings.home, self.port)

    def stop(self) -> None:
        """Accept nothing more, let associations end what they do, and close them."""
        if self._entity is None:
            return
        listening.tell(self.service.settings.home, None)
        for server in list(self._entity._servers):  # `shutdown` aborts associations; those under way end first
            server.shutdown()
        until = time.monotonic() + self._section.grace
        while self._entity.active_associations and time.monotonic() < until:
            time.sleep(0.05)
        self._entity.shutdown()
        self._entity = None

    def sweep(self) -> None:
        """Remove what associations left that ended without the rest of a data set."""
        incoming.remove(self._incoming, before=time.time() - incoming.ABANDONED)

    def _made(self) -> ApplicationEntity:
        from pynetdicom.ae import ApplicationEntity

        entity = ApplicationEntity(ae_title=self._section.ae_title)
        entity.maximum_associations = self._section.associations
        entity.require_called_aet = True
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self._section.timeout
        entity.maximum_pdu_size = 0
        entity.supported_contexts = list(contexts())
        return entity

    def _handlers(self) -> list[Any]:
        from pynetdicom import evt

        return [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._commit),
        ]

    def _requested(self, event: Event) -> None:
        """Refuse who is not known: rejected for good, calling AE title not recognised (PS3.8 9.3.4)."""
        association: Any = event.assoc
        title = association.requestor.primitive.calling_ae_title
        if not admission.may_call(self._section, title, association.requestor.address):
            association.acse.send_reject(0x01, 0x01, 0x03)
            association.kill()

    def _store(self, event: Event) -> int:
        """Success only when the service has it on the disk and in the queue, or made it."""
        sender = event.assoc.requestor.ae_title.strip()
        try:
            request: Any = event.request
            instance = str(request.AffectedSOPInstanceUID)
            head = {"sop_class": str(request.AffectedSOPClassUID), "syntax": str(event.context.transfer_syntax)}
            with self.service.room.taken(event.dataset_path.stat().st_size):
                data = with_own_head(event.dataset_path, instance=instance, **head)
                self.service.receive(data, door="dicom", sender=sender, instance=instance)
        except ImageError:
            return CANNOT_UNDERSTAND
        except (CxreaderError, OSError):
            return OUT_OF_RESOURCES
        except Exception:  # noqa: BLE001 - the library's own answer to what is raised would quote it in its log
            return OUT_OF_RESOURCES
        return SUCCESS

    def _commit(self, event: Event) -> tuple[int, None]:
        return commitment.requested(self.service, event), None


def prepare_library(folder: Path) -> None:
    """Have pynetdicom write data sets to this folder as they arrive, and nothing of them to any log. Of this whole process."""
    from pynetdicom import _config, dimse_messages

    tempfile.tempdir = str(folder)
    _config.STORE_RECV_CHUNKED_DATASET = True
    dimse_messages.NamedTemporaryFile = Arriving  # type: ignore[assignment,attr-defined]  # the library's own ends the association
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)

"""A node that receives objects, and answers as it is told to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from pydicom import Dataset
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from cxreader.serving.dicom.contexts import PLAIN, VERIFICATION
from cxreader.serving.results.sr import COMPREHENSIVE, COMPREHENSIVE_3D
from cxreader.serving.sending.store_scu import PRESENTATION_STATE, SECONDARY_CAPTURE

EVERYTHING = (VERIFICATION, COMPREHENSIVE_3D, COMPREHENSIVE, SECONDARY_CAPTURE, PRESENTATION_STATE)


class Peer:
    """`got`: what came; `statuses`: of the next objects, then success. `port` while it listens."""

    def __init__(self, classes: Sequence[str] = EVERYTHING) -> None:
        self.got: list[Dataset] = []
        self.statuses: list[int] = []
        self.port = 0
        self._classes = classes

    @property
    def address(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "ae_title": "PACS"}

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[Self]:
        entity = ApplicationEntity(ae_title="PACS")
        for one in self._classes:
            entity.add_supported_context(one, list(PLAIN))
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_ECHO, lambda _: 0)]
        server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        assert server is not None
        self.port = server.server_address[1]
        yield self
        entity.shutdown()

    def _store(self, event: Any) -> int:
        status = self.statuses.pop(0) if self.statuses else 0
        if status == 0 or status >> 12 == 0xB:
            self.got.append(event.dataset)
        return status

"""The sender's process: every destination by itself, so that one that is down holds up no other, and answers that are owed.

One such process runs wherever the service does: what killed processes left in the object store it removes too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from cxreader.errors import StorageError
from cxreader.serving import incoming
from cxreader.serving.dicom.commitment import answer_due
from cxreader.serving.sending import delivery
from cxreader.serving.sending.delivery import deliver
from cxreader.serving.sending.making import Maker
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store import destinations
from cxreader.serving.store.tables.sending import OutboxEntry
from cxreader.serving.store.work.set_back import Steps, bring_near

log = logging.getLogger(__name__)
LOOK = 1.0
"""Seconds between two looks at the outbox."""
_AT_ONCE = 8
_COMMITMENTS = -1


def run(settings: Settings, stopped: Callable[[], bool], name: str) -> None:
    """Send until `stopped`; rounds under way are ended first. While database or store cannot be used it tries again."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    service = TriageService.open(settings)
    try:
        with ThreadPoolExecutor(_AT_ONCE, "sender") as pool:
            sender, tidied = Sender(service, pool, name), -incoming.ABANDONED
            while not stopped():
                try:
                    sender.look()
                    if time.monotonic() - tidied >= incoming.ABANDONED:
                        service.objects.tidy(time.time() - incoming.ABANDONED)
                        tidied = time.monotonic()
                except StorageError as error:
                    log.warning("sending waits for database or store", extra={"told": error.what})
                time.sleep(LOOK)
    finally:
        service.close()


class Sender:
    """Rounds for all destinations, each in a thread."""

    def __init__(self, service: TriageService, pool: ThreadPoolExecutor, name: str) -> None:
        self._service, self._pool, self._name = service, pool, name
        self._maker = Maker(service)
        self._running: dict[int, Future[int]] = {}
        self._steps = Steps()

    def look(self) -> None:
        """Begin a round for each destination that has none under way. Raises what a round raised."""
        for key in [key for key, job in self._running.items() if job.done()]:
            self._running.pop(key).result()
        if _COMMITMENTS not in self._running:
            self._running[_COMMITMENTS] = self._pool.submit(answer_due, self._service)
        if self._service.settings.silent:
            return
        with self._service.database.reading() as session:
            now = self._service.database.now(session)
            found = [one for one in destinations.every(session) if one.enabled]
        if self._steps.back(now):
            self._service.database.write(
                lambda s: bring_near(s, now, OutboxEntry, pause=delivery.AT_MOST, lease=delivery.LEASE)
            )
        for one in found:
            if one.id not in self._running:
                self._running[one.id] = self._pool.submit(deliver, self._service, self._maker, one, self._name)

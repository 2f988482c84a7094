"""The service that every door calls: receive, list, show. Doors translate; what is decided is decided here and below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.errors import AbsentError, ConfigError, SilentError
from cxreader.imaging.files import load
from cxreader.serving.intake import Arrived, arrived
from cxreader.serving.settings import Settings
from cxreader.serving.store import audit, events, listing, models, queue, studies
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.database import Database
from cxreader.serving.store.listing import Page, State
from cxreader.serving.store.objects import ObjectStore
from cxreader.serving.store.opened import opened_database, opened_objects
from cxreader.serving.store.studies import Admitted, Outcome
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.trail import Event


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was received: kept on the disk and queued when this is returned.

    `outcome`: new, again (the same bytes are there: nothing else happened), or conflict (other bytes are there under its SOP
    Instance UID: both are kept and read). `study` and `instance` are keys, which tell nothing of the patient.
    """

    outcome: Outcome
    study: str
    instance: str
    sha256: str
    sop_class: str
    sop_instance_uid: str


class TriageService:
    """The service of a home. Safe to use from several threads; each process opens its own.

    Methods raise StorageError when database or store cannot be reached or are full, and what is told beside each.
    """

    def __init__(self, settings: Settings, database: Database, objects: ObjectStore) -> None:
        self.settings, self.database, self.objects = settings, database, objects

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The service that these settings describe."""
        return cls(settings, opened_database(settings), opened_objects(settings))

    def close(self) -> None:
        """Give back what is open."""
        self.database.close()

    def receive(self, source: bytes | Path, *, door: str, sender: str = "", name: str = "") -> Receipt:
        """Keep a file and queue it: when this returns, its bytes are on the disk and its row is committed.

        `door`: dicom, http or folder; `sender`: the calling AE title, or the user's name; `name`: the file's, where it had one.
        Raises ImageError for what is no DICOM image, PNG or JPEG; a picture that cannot be read, or is no chest, is received.
        """
        came = arrived(source if isinstance(source, bytes) else load(source))
        self.objects.put(came.data)
        return self.database.write(lambda session: self._admit(session, came, door, sender, name))

    def worklist(self, *, state: State = "open", cursor: str | None = None, size: int = 50) -> Page:
        """A page of the worklist (`store.listing.page`). Raises UsageError for a size or cursor that is none, SilentError."""
        self.refuse_silent()
        with self.database.reading() as session:
            return listing.page(session, self.database.now(session), state=state, cursor=cursor, size=size)

    def events(self, since: int) -> Sequence[Event]:
        """What happened after the event of this number; nothing while the service is silent."""
        if self.settings.silent:
            return ()
        with self.database.reading() as session:
            return events.since(session, since)

    def refuse_silent(self) -> None:
        """Raise SilentError where nothing may be shown."""
        if self.settings.silent:
            raise SilentError("the service is silent: it reads and keeps everything, and shows nothing")

    def _admit(self, session: Session, came: Arrived, door: str, sender: str, name: str) -> Receipt:
        now = self.database.now(session)
        found = studies.admit(session, now, came, door=door, sender=sender, name=name)
        if found.outcome != "again":
            self._queue(session, now, found, door, sender)
        image = found.instance
        uids = image.sop_class, image.sop_instance_uid
        return Receipt(found.outcome, found.study.key, image.key, came.sha256, *uids)

    def _queue(self, session: Session, now: float, found: Admitted, door: str, sender: str) -> None:
        active = models.active(session)
        if active is None:
            raise ConfigError("no models are active", where="models", mend="start the service with --model")
        queue.enqueue(session, now, found.instance, active)
        waits = self.settings.worklist.waits
        (row,) = studies.refresh(session, now, [found.study.id], waits, reopen=True)
        events.tell(session, now, [("received", *row)])
        event = "received" if found.outcome == "new" else "received under a UID that other bytes have"
        detail = {"sender": sender, "sha256": found.instance.sha256, "study": found.study.key}
        audit.note(session, now, [Noted(event, door, found.instance.key, detail)])

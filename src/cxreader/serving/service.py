"""The service that every door calls: receive, list, show, keep a verdict. Doors translate; what is decided is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

from sqlalchemy.orm import Session

from cxreader.errors import AbsentError, ImageError, SilentError
from cxreader.imaging.dicom.objects import media_instance
from cxreader.imaging.files import load
from cxreader.imaging.limits import HEAD
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.vocabulary.site_terms import SiteTerms
from cxreader.serving.intake import arrived, printable
from cxreader.serving.room import Room
from cxreader.serving.settings import Settings
from cxreader.serving.store import events
from cxreader.serving.store.database import Database
from cxreader.serving.store.files.objects import ObjectStore
from cxreader.serving.store.opened import opened_database, opened_objects
from cxreader.serving.store.reading import listing, receiving, taking, verdicts, views
from cxreader.serving.store.reading.filters import ALL, Filters
from cxreader.serving.store.reading.listing import Page, Sort, States
from cxreader.serving.store.reading.receiving import Receipt
from cxreader.serving.store.reading.results import KeptPixels, keep_pixels
from cxreader.serving.store.reading.studies import Origin
from cxreader.serving.store.reading.verdicts import Opinion
from cxreader.serving.store.reading.views import StudyView
from cxreader.serving.store.tables.images import Instance, Study, WorklistRow
from cxreader.serving.store.tables.people import User, Verdict
from cxreader.serving.store.tables.readings import HeatMap, Result, StoredPixels
from cxreader.serving.store.tables.trail import Event
from cxreader.serving.worker.decoded import keep_decoded, network_input


class TriageService:
    """The service of a home. Safe to use from several threads; each process opens its own.

    `database` gives transactions to what has no method here: functions of `store` take their session. `room` bounds what is held
    in memory while it is received: doors load files within it. Methods raise
    StorageError when database or store cannot be reached or are full, and what is told beside each; those that show something
    raise SilentError while the service is silent.
    """

    def __init__(self, settings: Settings, database: Database, objects: ObjectStore) -> None:
        self.settings, self.database, self.objects = settings, database, objects
        self.room = Room(settings.receiving_mib * 2**20)

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The service that these settings describe."""
        return cls(settings, opened_database(settings), opened_objects(settings))

    def close(self) -> None:
        """Give back what is open."""
        self.database.close()

    def receive(
        self, source: bytes | Path, *, door: str, sender: str = "", name: str = "", instance: str = ""
    ) -> Receipt:
        """Keep a file and queue it: when this returns, its bytes are on the disk and its row is committed.

        `door`: dicom, http or folder; `sender`: the calling AE title, or the user's name; `name`: the file's, where it had one;
        `instance`: the SOP Instance UID under which it was sent, which its header must bear out.
        A result of this service that comes back, as a PACS may route it, is not kept: its receipt says so.
        Raises ImageError for what is no DICOM image, PNG or JPEG; a picture that cannot be read, or is no chest, is received.
        """
        data = source if isinstance(source, bytes) else load(source)
        with self.database.reading() as session:
            own = receiving.own(session, instance or media_instance(data[:HEAD]))
        if own is not None:
            return own
        came = arrived(data)
        if instance and came.instance["sop_instance_uid"] != instance:
            raise ImageError("its header does not name the instance that it was sent as", mend="send it again")
        self.objects.put(came.data, digest=came.sha256)
        origin, waits = Origin(door, printable(sender), printable(name)), self.settings.worklist.waits
        receipt = self.database.write(lambda s: receiving.receive(s, self.database.now(s), came, origin, waits))
        if not self.objects.has(came.sha256):  # deleted between the two, when nothing named it yet
            self.objects.put(came.data)
        return receipt

    def worklist(
        self,
        *,
        state: States = "open",
        cursor: str | None = None,
        size: int = 50,
        filters: Filters = ALL,
        sort: Sort = "urgency",
    ) -> Page:
        """A page of the worklist (`store.listing.page`). Raises UsageError for a size or cursor that is none."""
        self.refuse_silent()
        with self.database.reading() as session:
            now = self.database.now(session)
            return listing.page(session, now, state=state, cursor=cursor, size=size, filters=filters, sort=sort)

    def next_study(self, user: User, filters: Filters = ALL, *, after: str = "") -> str | None:
        """The key of the most urgent open study that nobody else has in hand, now in this user's; None where nothing is left.

        `after`: the key of a study that is not given again.
        """
        self.refuse_silent()
        return self.database.write(lambda s: taking.next_study(s, self.database.now(s), user, filters, after=after))

    def readers(self) -> Sequence[str]:
        """Names of those to whom a study can be handed over."""
        with self.database.reading() as session:
            return taking.readers(session)

    def study(self, key: str) -> StudyView:
        """A study with its images, results and verdicts. Raises AbsentError."""
        self.refuse_silent()
        with self.database.reading() as session:
            return views.study_view(session, self.database.now(session), key)

    def original(self, instance: str) -> tuple[Instance, bytes]:
        """An image and its bytes as they came. Raises AbsentError for one that is not there or was deleted."""
        with self.database.reading() as session:
            found = views.by_key(session, Instance, instance)
        if found.purged_at is not None:
            raise AbsentError("the image was deleted", mend="its readings are kept")
        return found, self.objects.get(found.sha256)

    def pixels(self, instance: str) -> KeptPixels:
        """Where the decoded pixels of an image lie (`store.pixels`), decoded now where they are not there.

        Raises AbsentError, and ImageError for what cannot be decoded.
        """
        with self.database.reading() as session:
            found = views.by_key(session, Instance, instance)
            kept = session.get(StoredPixels, found.id)
        if kept is not None and found.purged_at is None and self.objects.size(kept.sha256) == kept.bytes:
            return KeptPixels(kept.sha256, kept.bytes, kept.about)
        _, data = self.original(instance)
        made = keep_decoded(self.objects, data, found.key, site=self._terms())
        self.database.write(lambda session: keep_pixels(session, found.id, made))
        return made

    def network_input(self, instance: str, spec: InputSpec) -> bytes:
        """What a network with this input spec is shown of an image, as PNG. Raises AbsentError, ImageError."""
        self.refuse_silent()
        found, data = self.original(instance)
        return network_input(data, found.key, spec, site=self._terms())

    def maps(self, result: str) -> Sequence[HeatMap]:
        """The maps of a result that may be shown.

        None where `show_regions` is off, nor of what is called normal or was refused. Raises AbsentError.
        """
        self.refuse_silent()
        with self.database.reading() as session:
            found = views.by_key(session, Result, result)
            alarm = found.reading["decision"] in ("abnormal", "refer")
            return views.maps(session, found) if self.settings.show_regions and alarm else ()

    def give_verdict(self, study: str, user: User, opinion: Opinion) -> Verdict:
        """Keep a reader's verdict on a study, beside the result that decides its place. Raises AbsentError."""
        self.refuse_silent()

        def work(session: Session) -> Verdict:
            found = views.by_key(session, Study, study)
            result = session.get_one(WorklistRow, found.id).result_id
            return verdicts.give(session, self.database.now(session), found, user, opinion, result=result)

        return self.database.write(work)

    def reread(self, actor: str, studies: Sequence[str] | None = None) -> int:
        """Queue images for the active models as their next revision: those of these studies, or all that they have not read.

        Returns how many. Raises AbsentError for a study that is not there, ConfigError where no models are active.
        """
        with self.database.reading() as session:
            of = None if studies is None else [views.by_key(session, Study, key).id for key in studies]
        count, after = self.database.write(partial(self._reread, actor, of, 0))
        while after is not None:
            more, after = self.database.write(partial(self._reread, actor, of, after))
            count += more
        return count

    def _reread(self, actor: str, of: Sequence[int] | None, after: int, session: Session) -> tuple[int, int | None]:
        return receiving.reread(session, self.database.now(session), actor, of, after=after)

    def retry(self, actor: str) -> int:
        """Queue every image anew whose reading failed for good, with all its attempts; returns how many."""
        waits = self.settings.worklist.waits
        return self.database.write(lambda s: receiving.retry(s, self.database.now(s), actor, waits))

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

    def _terms(self) -> SiteTerms | None:
        """The site's own terms, by which the worker reads too."""
        return None if self.settings.terms is None else SiteTerms.load(self.settings.terms)

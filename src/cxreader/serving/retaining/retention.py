"""Deleting by command: rows in one transaction a study, then the files that nothing names any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.retaining import rows
from cxreader.serving.retaining.rows import Digests, forget
from cxreader.serving.service import TriageService
from cxreader.serving.store.reading import studies as studies_of
from cxreader.serving.store.reading.views import by_key
from cxreader.serving.store.tables.images import Study

What = Literal["study", "images", "derived"]
DAY = 86_400.0
_WORK: dict[What, Callable[[Session, float, str, Study], Digests]] = {
    "study": rows.delete_study,
    "images": rows.delete_originals,
    "derived": rows.delete_derived,
}


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many `studies` were gone through, how many of them were left for a legal hold (`held`), how many `objects` went."""

    studies: int
    held: int
    objects: int


@dataclass(frozen=True, slots=True)
class WouldDelete:
    """What is older than a moment: `studies`, of which `held` are under legal hold; of the others the `images` that are kept.

    `size` in bytes; `decoded`: objects of decoded pixels, of `decoded_size` bytes; `sent`: entries of the outbox that ended.
    """

    studies: int
    held: int
    images: int
    size: int
    decoded: int
    decoded_size: int
    sent: int


class Retention:
    """Deletes for an `actor`, whom the audit log names."""

    def __init__(self, service: TriageService, actor: str) -> None:
        self._service, self._actor = service, actor

    def chosen(self, keys: Sequence[str], days: float | None) -> list[str]:
        """The studies of these keys, or those received more than so many days ago. Raises UsageError for both or neither."""
        if bool(keys) == (days is not None):
            raise UsageError("which studies?", mend="give their keys, or --older-than DAYS")
        if days is None:
            return list(keys)
        database = self._service.database
        with database.reading() as session:
            return rows.older(session, database.now(session) - days * DAY)

    def would_delete(self, days: float) -> WouldDelete:
        """What deletions of more than so many days ago would find now."""
        database = self._service.database
        with database.reading() as session:
            before = database.now(session) - days * DAY
            return WouldDelete(
                *rows.count_older(session, before),
                *rows.count_cache(session, before),
                rows.count_outbox(session, before),
            )

    def delete_older(self, what: What, days: float, *, most: int) -> tuple[Deleted, int]:
        """Delete so much of the earliest `most` studies received more than so many days ago; and how many such are left."""
        keys = self.chosen((), days)
        return self.delete(what, keys[:most]), max(0, len(keys) - most)

    def delete(self, what: What, keys: Iterable[str]) -> Deleted:
        """Delete so much of these studies. Raises AbsentError for a key that is none; what came before it is deleted."""
        database, studies, held, objects = self._service.database, 0, 0, 0
        for key in keys:
            with database.writing() as session:
                study = by_key(session, Study, key)
                held += bool(study.hold)
                now, beside = database.now(session), rows.sharing(session, study)
                gone = _WORK[what](session, now, self._actor, study)
                studies_of.refresh(session, now, beside, self._service.settings.worklist.waits)
            studies += 1
            objects += forget(database, self._service.objects, gone)
        return Deleted(studies, held, objects)

    def clear_cache(self, days: float) -> int:
        """Delete decoded pixels of images received more than so many days ago; how many objects."""
        database = self._service.database
        with database.writing() as session:
            now = database.now(session)
            gone = rows.delete_cache(session, now, self._actor, now - days * DAY)
        return forget(database, self._service.objects, gone)

    def clear_outbox(self, days: float) -> int:
        """Delete what was sent or given up more than so many days ago; how many entries."""
        database = self._service.database
        with database.writing() as session:
            now = database.now(session)
            return rows.delete_outbox(session, now, self._actor, now - days * DAY)

    def hold(self, key: str, reason: str) -> None:
        """Put a study under legal hold, or lift it by an empty reason. Raises AbsentError."""
        if not reason.isprintable():
            raise UsageError("the reason cannot be printed", where="reason", mend="write it in one line")
        database = self._service.database
        with database.writing() as session:
            rows.hold(session, database.now(session), self._actor, by_key(session, Study, key), reason)

    def sweep(self) -> int:
        """Delete objects that no row names, as an interrupted deletion leaves them; how many.

        Nothing may run on this database and store meanwhile but doors.
        """
        return forget(self._service.database, self._service.objects, self._service.objects.digests())

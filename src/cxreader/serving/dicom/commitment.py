"""Storage Commitment, Push Model (PS3.4 J): the request is kept, and answered by N-EVENT-REPORT on an association of its own."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from cxreader.errors import ConfigError, CxreaderError, StorageError
from cxreader.serving.dicom import admission
from cxreader.serving.dicom.associations import Called, RefusedError, associated
from cxreader.serving.dicom.contexts import COMMITMENT, PLAIN
from cxreader.serving.service import TriageService
from cxreader.serving.store import audit
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.work import commitments
from cxreader.serving.store.work.commitments import Owed

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.events import Event

    from cxreader.serving.settings import PeerSection

INSTANCE = "1.2.840.10008.1.20.1.1"
"""The well-known SOP instance (PS3.4 J.3.5)."""
SUCCESS, INVALID_ARGUMENT, PROCESSING_FAILURE, NO_SUCH_ACTION, NOT_AUTHORISED = 0x0000, 0x0115, 0x0110, 0x0123, 0x0124
"""Statuses of N-ACTION (PS3.7 10.1.4.1.10)."""
ALL_KEPT, SOME_FAILED = 1, 2
"""Event types (PS3.4 J.3.3)."""
LEASE, FIRST, LONGEST, GIVE_UP = 120.0, 10.0, 3600.0, 60
"""Seconds that an answer may take, before the second attempt, and between two at most; attempts."""


def requested(service: TriageService, event: Event) -> int:
    """Keep a request (N-ACTION); its status. Success says that an answer will be given, nothing of what it is."""
    requester = event.assoc.requestor.ae_title.strip()
    known = admission.peer(service.settings.dicom, requester)
    if known is None or known.port is None:
        return NOT_AUTHORISED
    if event.action_type != 1:
        return NO_SUCH_ACTION
    try:
        asked = event.action_information
        items = [(str(i.ReferencedSOPClassUID), str(i.ReferencedSOPInstanceUID)) for i in asked.ReferencedSOPSequence]
        transaction = str(asked.TransactionUID)
    except Exception:  # noqa: BLE001 - what pydicom raises for a damaged data set is open-ended, and quotes it
        return INVALID_ARGUMENT
    if not items or not 0 < len(transaction) <= 64:
        return INVALID_ARGUMENT
    try:
        service.database.write(lambda s: commitments.keep(s, service.database.now(s), transaction, requester, items))
    except CxreaderError:
        return PROCESSING_FAILURE
    return SUCCESS


def answer_due(service: TriageService) -> int:
    """Answer what is due. Returns to how many requests. Raises StorageError as the database."""
    database = service.database
    with database.writing() as session:
        now = database.now(session)
        due = commitments.take(session, now, now + LEASE, farthest=1.5 * LONGEST)
    for owed in due:
        error = _tried(service, owed)
        with database.writing() as session:
            now = database.now(session)
            if not error:
                commitments.answered(session, now, owed)
                detail = {"requester": owed.requester, "images": len(owed.items)}
                audit.note(session, now, [Noted("storage commitment answered", "sender", detail=detail)])
            else:
                pause = min(LONGEST, FIRST * 2 ** (owed.attempt - 1)) * random.uniform(0.5, 1.5)  # noqa: S311
                again = None if owed.attempt >= GIVE_UP else now + pause
                commitments.failed(session, now, owed, error, again=again)
    return len(due)


def _tried(service: TriageService, owed: Owed) -> str:
    """`_answer`; whatever else it fails with is a failure of this one answer, and ends no sender."""
    try:
        return _answer(service, owed)
    except StorageError:
        raise
    except ConfigError as error:
        return error.what
    except Exception as error:  # noqa: BLE001 - what the other side makes the library raise is open-ended, and quotes it
        return f"the sender failed ({type(error).__name__})"


def _answer(service: TriageService, owed: Owed) -> str:
    """Give one answer; empty, or why it was not received."""
    peer = admission.peer(service.settings.dicom, owed.requester)
    if peer is None or peer.port is None:
        return "the settings no longer say where to call"
    with service.database.reading() as session:
        reasons = commitments.verdicts(session, service.objects, owed.items)
    kind = SOME_FAILED if any(reason is not None for reason in reasons) else ALL_KEPT
    try:
        with associated(service.settings.dicom, _called(peer), [(COMMITMENT, PLAIN)], provider=COMMITMENT) as assoc:
            status, _ = assoc.send_n_event_report(_report(owed, reasons), kind, COMMITMENT, INSTANCE)
    except RefusedError as error:
        return error.why
    code = status.get("Status") if status else None
    return "" if code == SUCCESS else "no response" if code is None else f"status {code:04X}"


def _called(peer: PeerSection) -> Called:
    host = peer.host or peer.addresses[0].split("/")[0]
    return Called(host, int(peer.port or 0), peer.ae_title, tls=peer.tls)


def _report(owed: Owed, reasons: list[int | None]) -> Dataset:
    from pydicom import Dataset

    report = Dataset()
    report.TransactionUID = owed.transaction_uid
    kept, lost = [], []
    for (sop_class, instance), reason in zip(owed.items, reasons, strict=True):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        if reason is None:
            kept.append(item)
        else:
            item.FailureReason = reason
            lost.append(item)
    if kept:
        report.ReferencedSOPSequence = kept
    if lost:
        report.FailedSOPSequence = lost
    return report

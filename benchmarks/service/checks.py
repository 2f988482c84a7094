"""What must be true at the end: everything acknowledged is there once, and read once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from cxreader.errors import StorageError
from cxreader.serving.service import TriageService
from cxreader.serving.store import audit
from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.readings import Job, Result

PATIENCE = 150.0
"""Seconds that nothing may change before what waits is given up."""


def settle(service: TriageService, *, patience: float = PATIENCE) -> bool:
    """Wait until no job waits or is leased; False where nothing changed for so long."""
    before, since = None, time.monotonic()
    while True:
        try:
            with service.database.reading() as session:
                states = Counter(
                    dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).tuples().all())
                )
        except StorageError:
            states = Counter()
        if states and not states["waiting"] + states["leased"]:
            return True
        if states != before:
            before, since = states, time.monotonic()
        if time.monotonic() - since > patience:
            return False
        time.sleep(0.25)


def whole(service: TriageService, book: Sequence[Mapping[str, Any]], *, revisions: int = 1) -> dict[str, Any]:
    """Counts of what was sent, acknowledged, refused, lost, doubled and read; all but the first three should be 0 or equal."""
    kept = {one["uid"] for one in book if one["kept"]}
    with service.database.reading() as session:
        images = session.execute(select(Instance.sop_instance_uid, Instance.id, Instance.sha256)).tuples().all()
        results = Counter(session.scalars(select(Result.instance_id)))
        jobs = Counter(session.scalars(select(Job.state)))
        log = audit.verify(session)
    there = Counter(uid for uid, _, _ in images)
    return {
        "sent": len({one["uid"] for one in book}),
        "attempts": len(book),
        "acknowledged": len(kept),
        "refused": dict(Counter(f"{one['door']} {one['answer']}" for one in book if not one["kept"])),
        "lost": len(kept - set(there)),
        "doubled": sum(count > 1 for count in there.values()),
        "there_without_acknowledgement": len(set(there) - kept),
        "read": len(results),
        "read_twice": sum(count > revisions for count in results.values()),
        "unread": sum(results[key] == 0 for _, key, _ in images),
        "jobs": dict(jobs),
        "files_missing": sum(not service.objects.has(sha256) for _, _, sha256 in images),
        "audit_log_whole": log.number is None,
    }


def is_whole(found: Mapping[str, Any]) -> bool:
    """Whether nothing was lost, doubled or left."""
    none = ("lost", "doubled", "read_twice", "unread", "files_missing")
    return not any(found[name] for name in none) and set(found["jobs"]) <= {"done"} and found["audit_log_whole"]

"""The audit log for auditors: pages by number, filters in the address, and whether the log is as it was written."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from cxreader.serving.store import audit
from cxreader.serving.store.audit import Wanted
from cxreader.serving.web.allowed import Auditor
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.pages.administration.room import shown

router = APIRouter(prefix="/administration/audit", include_in_schema=False)
SIZE = 100
Words = Annotated[str, Query(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Day = Annotated[str, Query(pattern=r"^(\d{4}-\d\d-\d\d)?$")]


@router.get("")
def show(
    request: Request,
    door: TheDoor,
    principal: Auditor,
    event: Words = "",
    actor: Words = "",
    subject: Words = "",
    since: Day = "",
    until: Day = "",
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    verify: bool = False,
) -> Response:
    """The latest entries first; `until` is the last day that is shown."""
    filters = {"event": event, "actor": actor, "subject": subject, "since": since, "until": until}
    last = _moment(until)
    wanted = Wanted(
        event or None, actor or None, subject or None, _moment(since), None if last is None else last + 86_400
    )

    def work(session: Session, _: float) -> dict[str, Any]:
        found = audit.latest(session, wanted, before=before, size=SIZE + 1)
        more = found[SIZE - 1].number if len(found) > SIZE else None
        verified = audit.verify(session) if verify else None
        return {"entries": found[:SIZE], "more": more, "events": audit.events_known(session), "verified": verified}

    asked = urlencode({name: value for name, value in filters.items() if value})
    told: dict[str, Any] = {
        "filters": filters,
        "filtered": any(filters.values()),
        "first": before is None,
        "asked": asked,
    }
    return shown(request, door, principal, "audit", **door.read(work), **told)


def _moment(day: str) -> float | None:
    """Midnight of a day, UTC; None for none, and for what no calendar has."""
    try:
        return datetime.combine(date.fromisoformat(day), time(), UTC).timestamp() if day else None
    except ValueError:
        return None

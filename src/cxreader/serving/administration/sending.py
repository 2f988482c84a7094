"""Destinations of results, and what could not be sent to them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from cxreader.errors import UsageError
from cxreader.serving.administration import credentials
from cxreader.serving.sending import addresses
from cxreader.serving.store import audit, destinations
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.tables.sending import Destination
from cxreader.serving.store.work import outbox

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")
"""What a destination may be called: it stands in addresses of pages and in the audit log."""


def add(
    session: Session, now: float, actor: str, *, name: str, address: Mapping[str, Any], sends: Sequence[str]
) -> Destination:
    """A new destination; `sends`: the kinds of object it is sent, all for none. Raises UsageError."""
    if not NAME.fullmatch(name):
        mend = "give letters, digits, spaces, dots, - and _, at most 64"
        raise UsageError("is no name of a destination", where="name", mend=mend)
    made = destinations.add(session, now, name, address, addresses.kinds(sends))
    audit.note(session, now, [Noted("destination added", actor, name, {"kind": made.kind, "sends": made.sends})])
    return made


def change(session: Session, now: float, actor: str, name: str, *, sends: Sequence[str], enabled: bool) -> Destination:
    """Send other kinds of object from now on, or nothing for a while. What waits stays. Raises AbsentError, UsageError."""
    found = destinations.by_name(session, name)
    if not sends:
        raise UsageError("nothing would be sent", where="sends", mend="choose an object, or switch it off")
    found.sends, found.enabled, found.changed_at = list(addresses.kinds(sends)), enabled, now
    session.flush()
    audit.note(session, now, [Noted("destination changed", actor, name, {"sends": found.sends, "enabled": enabled})])
    return found


def remove(session: Session, now: float, actor: str, name: str, *, unsent: bool, home: Path) -> None:
    """Send nothing there any more; what it asks for, if it is kept in the home, goes once the transaction is kept.

    Raises AbsentError, and UsageError where objects wait for it, without `unsent`.
    """
    named = destinations.by_name(session, name).address.get("credentials")
    dropped = destinations.remove(session, name)
    if dropped and not unsent:
        raise UsageError(
            f"{dropped:,} objects for it were not sent", where=name, mend="say that they are to be dropped (--yes)"
        )
    audit.note(session, now, [Noted("destination removed", actor, name, {"unsent": dropped})])
    event.listen(session, "after_commit", lambda _: credentials.forget(home, named), once=True)


def revive(session: Session, now: float, actor: str, name: str | None = None) -> int:
    """Send the dead letters of a destination, or of all, again; how many. Raises AbsentError."""
    of = None if name is None else destinations.by_name(session, name).id
    count = outbox.revive(session, now, of)
    audit.note(session, now, [Noted("dead letters sent again", actor, name or "", {"objects": count})])
    return count


def resend(session: Session, now: float, actor: str, entry: int) -> None:
    """Send one object again, whatever became of it. Raises AbsentError, and UsageError for one that waits."""
    destination, result = outbox.resend(session, now, entry)
    audit.note(session, now, [Noted("object sent again", actor, result, {"destination": destination})])

"""A clock that was set back: moments that it set before lie ahead, and nothing may wait until it has caught up with them."""

from __future__ import annotations

import math

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from cxreader.serving.store.tables.readings import Job
from cxreader.serving.store.tables.sending import OutboxEntry

TOLERANCE = 1.0
"""Seconds by which a clock may go back unnoticed."""


class Steps:
    """Looks at a clock again and again. Its first look counts as one after a step back: what was before it is not known."""

    def __init__(self) -> None:
        self._last = math.inf

    def back(self, now: float) -> bool:
        """Whether the clock went back since the last look."""
        last, self._last = self._last, now
        return now < last - TOLERANCE


def bring_near(session: Session, now: float, kind: type[Job | OutboxEntry], *, pause: float, lease: float) -> None:
    """What was never tried is due now, and what was is at most `pause` seconds from now; no lease lasts longer than `lease`."""
    never = (kind.available_at > now) & (kind.available_at == kind.created_at)
    waiting = (kind.state == "waiting", or_(never, kind.available_at > now + pause))
    session.execute(update(kind).where(*waiting).values(available_at=now))
    leased = (kind.state == "leased", kind.leased_until > now + lease)
    session.execute(update(kind).where(*leased).values(leased_until=now + lease))

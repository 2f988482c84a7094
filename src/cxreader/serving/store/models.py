"""The sets of models that read here: one is active, and what is received is queued for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cxreader.serving.store.tables.readings import Job, ModelSet


def active(session: Session) -> ModelSet | None:
    """The set for which images are queued; None before the first one was activated."""
    return session.scalar(select(ModelSet).where(ModelSet.active))


def activate(session: Session, now: float, rule: Mapping[str, Any]) -> ModelSet:
    """Make the models of this rule (`worker.models.rule_of`) the active set; what waits for others is theirs from now on."""
    digest = hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()
    found = session.scalar(select(ModelSet).where(ModelSet.digest == digest))
    if found is None:
        found = ModelSet(digest=digest, names="+".join(rule["artifacts"]), rule=dict(rule), added_at=now, active=False)
        session.add(found)
        session.flush()
    if not found.active:
        session.execute(update(ModelSet).where(ModelSet.active).values(active=False))
        found.active = True
        session.execute(update(Job).where(Job.state.in_(("waiting", "dead"))).values(models_id=found.id))
    return found

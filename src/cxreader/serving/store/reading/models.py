"""The sets of models that read here: one is active, and what is received is queued for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cxreader.serving.store.tables.readings import ModelSet

CHOSEN = "chosen over"
"""Beside the rule of a set that an administrator chose: the digest of what the settings named then. No part of `digest`."""


def active(session: Session) -> ModelSet | None:
    """The set for which images are queued; None before the first one was activated."""
    return session.scalar(select(ModelSet).where(ModelSet.active))


def digest_of(rule: Mapping[str, Any]) -> str:
    """The digest that names the models of a rule (`worker.models.rule_of`)."""
    return hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()


def is_chosen_over(models: ModelSet, given: str) -> bool:
    """Whether an administrator chose these models while the settings named those of the digest `given`: they stay active."""
    return bool(models.active and models.rule.get(CHOSEN) == given)


def activate(session: Session, now: float, rule: Mapping[str, Any], *, over: str | None = None) -> ModelSet:
    """Make the models of this rule the active set; what waits is theirs from now on.

    `over`: the digest of the models that the settings name, where an administrator chose these in their place.
    """
    digest = digest_of(rule)
    found = session.scalar(select(ModelSet).where(ModelSet.digest == digest))
    if found is None:
        found = ModelSet(digest=digest, names="+".join(rule["artifacts"]), rule=dict(rule), added_at=now, active=False)
        session.add(found)
        session.flush()
    if not found.active:
        session.execute(update(ModelSet).where(ModelSet.active).values(active=False))
        found.active = True
    found.rule = dict(rule) if over is None else {**rule, CHOSEN: over}
    return found

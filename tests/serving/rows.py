"""Rows made by hand."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from cxreader.inference.triage import ALARM, IN_DOUBT, NORMAL, UNANSWERED
from cxreader.serving.order.places import Waits
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.readings import ModelSet
from cxreader.serving.store.work import queue

WAITS = Waits({ALARM: 600.0, UNANSWERED: 1200.0, IN_DOUBT: 2400.0, NORMAL: 4800.0})


def study(n: int, **more: Any) -> Study:
    """The n-th study."""
    blank = {c.name: "" for c in Study.__table__.columns if str(c.type) == "TEXT"}
    return Study(**(blank | {"study_uid": f"1.2.3.{n}", "received_at": 0.0} | more))


def instance(of: Study, n: int, **more: Any) -> Instance:
    """The n-th image."""
    blank = {c.name: "" for c in Instance.__table__.columns if str(c.type) == "TEXT"}
    own = {"sha256": f"{n:064x}", "sop_instance_uid": f"1.2.{n}", "version": 0, "series_uid": "1.2", "received_at": 0.0}
    return Instance(**(blank | own | {"study_id": of.id, "rows": 1, "columns": 1, "bytes": 1} | more))


def model_set(session: Session, *, active: bool = True) -> ModelSet:
    """Models that read."""
    made = ModelSet(digest="f" * 64, names="model", rule={"artifacts": ["model"]}, active=active, added_at=0.0)
    session.add(made)
    session.flush()
    return made


def queued(session: Session, count: int, now: float = 0.0) -> tuple[ModelSet, list[Instance]]:
    """So many images, each of a study of its own, in the queue of one set of models."""
    models, images = model_set(session), []
    for n in range(1, count + 1):
        of = study(n)
        session.add(of)
        session.flush()
        image = instance(of, n)
        session.add(image)
        session.flush()
        queue.enqueue(session, now, image, models)
        images.append(image)
    session.flush()
    return models, images

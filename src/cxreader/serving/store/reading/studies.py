"""Studies and their images: what came is put in its place, and the worklist's row is made from what is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cxreader.inference.triage import Urgency
from cxreader.serving.intake import Arrived
from cxreader.serving.order.places import WAITING, Waits, failed, most_urgent
from cxreader.serving.store.tables.images import Instance, Study, WorklistRow
from cxreader.serving.store.tables.readings import Job, Result

Outcome = Literal["new", "again", "conflict"]
REFUSED, UNREAD = "refused", "unread"
"""In the place of a decision, where a reader gave none, and where none has read yet."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An image in its place. `outcome`: new, again (these bytes are there) or conflict (other bytes are there under its UID).

    `purged`: whether its bytes had been deleted, and are kept anew.
    """

    study: Study
    instance: Instance
    outcome: Outcome
    purged: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a file came from: `door` is dicom, http or folder, `sender` the calling AE title or the user, `name` the file's."""

    door: str
    sender: str = ""
    name: str = ""


def admit(session: Session, now: float, came: Arrived, origin: Origin) -> Admitted:
    """Put what came in its place. The same bytes are admitted once; their purged bytes may be kept anew."""
    known = session.scalar(select(Instance).where(Instance.sha256 == came.sha256))
    if known is not None:
        purged, known.purged_at = known.purged_at is not None, None
        study = session.get_one(Study, known.study_id)
        return Admitted(study, known, "again", purged=purged)
    study = _study(session, now, came)
    same_uid = Instance.sop_instance_uid == came.instance["sop_instance_uid"]
    others = session.scalar(select(func.count()).select_from(Instance).where(same_uid)) or 0
    instance = Instance(
        **came.instance,
        study_id=study.id,
        sha256=came.sha256,
        version=others,
        kind=came.kind,
        name=origin.name,
        bytes=len(came.data),
        door=origin.door,
        sender=origin.sender,
        received_at=now,
        purged_at=None,
    )
    session.add(instance)
    session.flush()
    return Admitted(study, instance, "conflict" if others else "new")


def _study(session: Session, now: float, came: Arrived) -> Study:
    """The study of this patient, which is locked until the transaction ends."""
    same = [getattr(Study, name) == came.study[name] for name in ("study_uid", "patient_id", "issuer")]
    study = session.scalar(select(Study).where(*same).with_for_update())
    if study is None:
        study = Study(**came.study, received_at=now, hold="")
        session.add(study)
        session.flush()
    return study


def refresh(
    session: Session, now: float, studies: Iterable[int], waits: Waits, *, reopen: bool = False
) -> list[tuple[str, int]]:
    """Make the worklist's rows of these studies anew; returns each one's key and its row's revision.

    `reopen`: a study that was done is open again, since another image came. Locks the studies, in their order.
    """
    ids = sorted(set(studies))
    keys = {
        s.id: s for s in session.scalars(select(Study).where(Study.id.in_(ids)).order_by(Study.id).with_for_update())
    }
    rows = {row.study_id: row for row in session.scalars(select(WorklistRow).where(WorklistRow.study_id.in_(ids)))}
    images = _images(session, ids)
    changed = []
    for study in keys.values():
        row = rows.get(study.id)
        if row is None:
            row = WorklistRow(study_id=study.id, received_at=study.received_at, revision=0, state="open")
            session.add(row)
        if reopen and row.state == "done":
            row.state, row.reader, row.received_at = "open", "", now
        _place(row, images[study.id], waits)
        row.revision, row.updated_at = row.revision + 1, now
        changed.append((study.key, row.revision))
    return changed


@dataclass(frozen=True, slots=True)
class _Image:
    """What is known of one image: how it came, its latest result and what that decided, and whether no reader survived it."""

    version: int
    view: str
    acquired: str
    station: str
    place: Urgency
    result: int | None
    decision: str
    dead: bool


_CAME = (
    Instance.id,
    Instance.study_id,
    Instance.version,
    Instance.view,
    Instance.acquired,
    Instance.sender,
    Instance.door,
)
_RESULT = (Result.id, Result.step, Result.height, Result.reason, Result.reading["decision"].as_string())


def _images(session: Session, studies: Sequence[int]) -> dict[int, list[_Image]]:
    latest = (
        select(Result.instance_id, func.max(Result.revision).label("revision"))
        .join(Instance, Instance.id == Result.instance_id)
        .where(Instance.study_id.in_(studies))
        .group_by(Result.instance_id)
        .subquery()
    )
    found = session.execute(
        select(*_CAME, *_RESULT, Job.attempts)
        .outerjoin(latest, latest.c.instance_id == Instance.id)
        .outerjoin(Result, (Result.instance_id == Instance.id) & (Result.revision == latest.c.revision))
        .outerjoin(Job, (Job.instance_id == Instance.id) & (Job.state == "dead"))
        .where(Instance.study_id.in_(studies))
        .order_by(Instance.id, Job.id)
    )
    images: dict[int, dict[int, _Image]] = defaultdict(dict)
    for instance, study, version, view, acquired, sender, door, result, step, height, reason, told, attempts in found:
        place, decision = WAITING if attempts is None else failed(attempts), UNREAD
        if result is not None:
            place, decision = Urgency(step, height, reason), told or REFUSED
        images[study][instance] = _Image(
            version, view, acquired, sender or door, place, result, decision, attempts is not None
        )
    return {study: list(of.values()) for study, of in images.items()}


def _place(row: WorklistRow, images: Sequence[_Image], waits: Waits) -> None:
    place = most_urgent(image.place for image in images)
    decisive = next(image for image in images if image.place == place)
    row.step, row.depth, row.reason = place.step, -place.height, place.reason
    row.due_at = waits.due(row.received_at, place.step)
    row.result_id, row.decision = decisive.result, decisive.decision
    row.view, row.acquired, row.station = decisive.view, decisive.acquired, decisive.station
    row.images = len(images)
    row.read = sum(image.result is not None for image in images)
    row.failed = sum(image.dead and image.result is None for image in images)
    row.conflict = any(image.version for image in images)

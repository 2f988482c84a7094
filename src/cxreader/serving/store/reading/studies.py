"""Studies and their images: what came is put in its place, and the worklist's row is made from what is known."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from cxreader.inference.triage import ALARM, Urgency
from cxreader.serving.intake import Arrived
from cxreader.serving.order.places import WAITING, Waits, failed, most_urgent
from cxreader.serving.store.reading.patients import IDENTITY, differing
from cxreader.serving.store.tables.images import Instance, Study, WorklistRow
from cxreader.serving.store.tables.people import Verdict
from cxreader.serving.store.tables.readings import Job, Result

Outcome = Literal["new", "again", "conflict", "own"]
REFUSED, UNREAD = "refused", "unread"
"""In the place of a decision, where a reader gave none, and where none has read yet."""
AFTER_VERDICT = "read after the final verdict"
"""Behind the reason of an alarm that nobody had before them who ended the study."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An image in its place. `outcome`: new, again (these bytes are there) or conflict.

    Conflict: other bytes are there under its UID, of which `others` are the studies; or its header says otherwise whose image
    it is than its study does, in `differs` (words of `patients.IDENTITY`). `purged`: whether its bytes had been deleted, and
    are kept anew.
    """

    study: Study
    instance: Instance
    outcome: Outcome
    purged: bool = False
    others: tuple[int, ...] = ()
    differs: tuple[str, ...] = ()


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
    others = session.execute(select(Instance.study_id, Instance.version).where(same_uid)).all()
    told = {name: getattr(study, name) for name in came.study}
    differs = tuple(differing(told, came.study))
    instance = Instance(
        **came.instance,
        study_id=study.id,
        sha256=came.sha256,
        version=max((version for _, version in others), default=-1) + 1,
        kind=came.kind,
        name=origin.name,
        bytes=len(came.data),
        door=origin.door,
        sender=origin.sender,
        received_at=now,
        purged_at=None,
        differs={name: value for name, value in came.study.items() if value != told[name]},
    )
    session.add(instance)
    session.flush()
    outcome: Outcome = "conflict" if others or differs else "new"
    return Admitted(study, instance, outcome, others=tuple({study for study, _ in others}), differs=differs)


def _study(session: Session, now: float, came: Arrived) -> Study:
    """The study of this patient, which is locked until the transaction ends.

    An issuer that one of two leaves out is the other's; of several studies that fit then, the one that differs least.
    """
    same = [getattr(Study, name) == came.study[name] for name in ("study_uid", "patient_id")]
    found = session.scalars(select(Study).where(*same).order_by(Study.id).with_for_update()).all()
    issuer = came.study["issuer"]
    fit = [one for one in found if one.issuer == issuer] or [one for one in found if not (one.issuer and issuer)]
    if not fit:
        study = Study(**came.study, received_at=now, hold="")
        session.add(study)
        session.flush()
        return study
    study = min(fit, key=lambda one: len(differing({name: getattr(one, name) for name in came.study}, came.study)))
    _complete(session, study, came)
    return study


def _complete(session: Session, study: Study, came: Arrived) -> None:
    """What the study's images left out until now, and this one says; their own headers still leave it out."""
    added = {name: value for name, value in came.study.items() if value and not getattr(study, name)}
    if added:
        for image in session.scalars(select(Instance).where(Instance.study_id == study.id)):
            image.differs = dict.fromkeys(added, "") | image.differs
        for name, value in added.items():
            setattr(study, name, value)


def refresh(
    session: Session, now: float, studies: Iterable[int], waits: Waits, *, reopen: Collection[int] = ()
) -> list[tuple[str, int]]:
    """Make the worklist's rows of these studies anew; returns each one's key and its row's revision.

    `reopen`: those that are open again where they were done, since another image or an alarm came. Locks the studies, in their
    order.
    """
    ids = sorted(set(studies))
    keys = {
        s.id: s for s in session.scalars(select(Study).where(Study.id.in_(ids)).order_by(Study.id).with_for_update())
    }
    rows = {row.study_id: row for row in session.scalars(select(WorklistRow).where(WorklistRow.study_id.in_(ids)))}
    images, verdicts = _images(session, ids), _final_verdicts(session, ids)
    changed = []
    for study in keys.values():
        row = rows.get(study.id)
        if row is None:
            row = WorklistRow(study_id=study.id, received_at=study.received_at, revision=0, state="open")
            session.add(row)
        if study.id in reopen and row.state == "done":
            row.state, row.reader, row.received_at = "open", "", now
        _place(row, images[study.id], waits, verdicts.get(study.id, math.inf))
        row.conflict_reason = "; ".join(_conflicts(study, images[study.id]))
        row.conflict = bool(row.conflict_reason)
        row.revision, row.updated_at = row.revision + 1, now
        changed.append((study.key, row.revision))
    return changed


@dataclass(frozen=True, slots=True)
class _Image:
    """What is known of one image: how it came, its latest result and what that decided, and whether no reader survived it.

    `header`: what it says otherwise than its study; `twice`: whether other bytes of its UID are there, `elsewhere` in another
    study.
    """

    header: dict[str, str]
    twice: bool
    elsewhere: bool
    view: str
    acquired: str
    station: str
    place: Urgency
    result: int | None
    read_at: float
    decision: str
    dead: bool


_OTHER = aliased(Instance)
_SAME_UID = (_OTHER.sop_instance_uid == Instance.sop_instance_uid) & (_OTHER.id != Instance.id)
_CAME = (
    Instance.id,
    Instance.study_id,
    Instance.differs,
    exists().where(_SAME_UID, _OTHER.study_id == Instance.study_id).correlate(Instance),
    exists().where(_SAME_UID, _OTHER.study_id != Instance.study_id).correlate(Instance),
    Instance.view,
    Instance.acquired,
    Instance.sender,
    Instance.door,
)
_RESULT = (
    Result.id,
    Result.step,
    Result.height,
    Result.reason,
    Result.read_at,
    Result.reading["decision"].as_string(),
)


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
    for instance, study, header, twice, elsewhere, view, acquired, sender, door, *answer, attempts in found:
        result, step, height, reason, read_at, told = answer
        place, decision = WAITING if attempts is None else failed(attempts), UNREAD
        if result is not None:
            place, decision = Urgency(step, height, reason), told or REFUSED
        images[study][instance] = _Image(
            header or {},
            twice,
            elsewhere,
            view,
            acquired,
            sender or door,
            place,
            result,
            read_at or 0.0,
            decision,
            attempts is not None,
        )
    return {study: list(of.values()) for study, of in images.items()}


def _final_verdicts(session: Session, studies: Sequence[int]) -> dict[int, float]:
    """When the latest final verdict on each of these studies was given."""
    final = select(Verdict.study_id, func.max(Verdict.given_at)).where(Verdict.stage == "final")
    found = session.execute(final.where(Verdict.study_id.in_(studies)).group_by(Verdict.study_id))
    return {study: at for study, at in found}  # noqa: C416 - rows are no pairs for the type checker


def _place(row: WorklistRow, images: Sequence[_Image], waits: Waits, verdict: float) -> None:
    place = most_urgent(image.place for image in images)
    decisive = next(image for image in images if image.place == place)
    row.step, row.depth, row.reason = place.step, -place.height, place.reason
    if place.step == ALARM and decisive.read_at >= verdict:
        row.reason = f"{place.reason}; {AFTER_VERDICT}"
    row.due_at = waits.due(row.received_at, place.step)
    row.result_id, row.decision = decisive.result, decisive.decision
    row.view, row.acquired, row.station = decisive.view, decisive.acquired, decisive.station
    row.images = len(images)
    row.read = sum(image.result is not None for image in images)
    row.failed = sum(image.dead and image.result is None for image in images)


def _conflicts(study: Study, images: Sequence[_Image]) -> list[str]:
    """Why a person must compare the images of a study, in words that tell nothing of the patient."""
    told = {name: getattr(study, name) for name in IDENTITY}
    words = dict.fromkeys(word for image in images for word in differing(told, told | image.header))
    return [
        *(["one of its images came in two versions"] if any(image.twice for image in images) else []),
        *(["one of its images came for another study too"] if any(image.elsewhere for image in images) else []),
        *([f"its images differ in {', '.join(words)}"] if words else []),
    ]

"""What was received, and the worklist: studies, their images, and one row a study that is indexed for listing."""

from __future__ import annotations

from sqlalchemy import ColumnElement, ForeignKey, Index, UniqueConstraint, select
from sqlalchemy.orm import Mapped, aliased, mapped_column

from cxreader.serving.store.tables.base import Base, Digest, Key, Moment, Uid, Values, Words, new_key


class Study(Base):
    """A study of one patient. Images of one Study Instance UID whose patients (identifier, issuer) differ stand in several.

    Each value is that of the first image that says any; what another one says otherwise stands in its `differs`.
    Patient data stands here and in the object store, nowhere else. `hold`: why it may not be deleted, empty without a legal
    hold.
    """

    __tablename__ = "studies"
    __table_args__ = (UniqueConstraint("study_uid", "patient_id", "issuer"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[Key] = mapped_column(default=new_key)
    study_uid: Mapped[Uid]
    patient_id: Mapped[Words] = mapped_column(index=True)
    issuer: Mapped[Words]
    patient_name: Mapped[Words]
    birth_date: Mapped[Words]
    sex: Mapped[Words]
    age: Mapped[Words]
    accession_number: Mapped[Words] = mapped_column(index=True)
    study_date: Mapped[Words] = mapped_column(index=True)
    study_time: Mapped[Words]
    study_id: Mapped[Words]
    description: Mapped[Words]
    referring_physician: Mapped[Words]
    received_at: Mapped[Moment] = mapped_column(index=True)
    hold: Mapped[Words]


class Instance(Base):
    """One file as it was received, named by its bytes.

    `version`: 0 for the first bytes that came under its SOP Instance UID, greater for others that came later: all are kept and
    read, and one is `current`. `kind`: dicom, png or jpeg. `name`: of the file where it had one; it may name the patient. `door`:
    dicom, http or folder; `sender`: the calling AE title, or the user. `purged_at`: when its bytes were deleted, None while they
    are kept. `differs`: what its header says of patient and study otherwise than its study's row does, by column of `Study`.
    `patient_orientation`: the two directions of PS3.3 C.7.6.1.1.1, empty where they are not known.
    """

    __tablename__ = "instances"
    __table_args__ = (UniqueConstraint("sop_instance_uid", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[Key] = mapped_column(default=new_key)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"), index=True)
    sha256: Mapped[Digest] = mapped_column(unique=True)
    sop_instance_uid: Mapped[Uid]
    version: Mapped[int]
    sop_class: Mapped[Words]
    transfer_syntax: Mapped[Words]
    series_uid: Mapped[Uid] = mapped_column(index=True)
    series_number: Mapped[Words]
    series_description: Mapped[Words]
    instance_number: Mapped[Words]
    modality: Mapped[Words]
    view: Mapped[Words]
    body_part: Mapped[Words]
    acquired: Mapped[Words]
    rows: Mapped[int]
    columns: Mapped[int]
    kind: Mapped[Words]
    name: Mapped[Words]
    bytes: Mapped[int]
    door: Mapped[Words]
    sender: Mapped[Words]
    received_at: Mapped[Moment] = mapped_column(index=True)
    purged_at: Mapped[Moment | None]
    patient_orientation: Mapped[Words]
    differs: Mapped[Values] = mapped_column(default=dict)


def current() -> ColumnElement[bool]:
    """Whether an `Instance` of the enclosing query is the one that its SOP Instance UID stands for here.

    The study of the first image that came under the UID is whose it is; of the images that came under it for that study the
    latest whose bytes are kept is current, or the latest where none are. What came for another patient is not, until somebody
    deletes the wrong study.
    """
    other = aliased(Instance)
    same = other.sop_instance_uid == Instance.sop_instance_uid
    owner = select(other.study_id).where(same).order_by(other.version).limit(1)
    kept_first = other.purged_at.is_not(None), other.version.desc()
    latest = select(other.id).where(same, other.study_id == Instance.study_id).order_by(*kept_first).limit(1)
    return (Instance.study_id == owner.correlate(Instance).scalar_subquery()) & (
        Instance.id == latest.correlate(Instance).scalar_subquery()
    )


class WorklistRow(Base):
    """Where a study stands: `step` and `height` of its most urgent image (`inference.triage`), `due_at` its longest wait's end.

    `received_at`: of its first image, or of the one that opened it again. `state`: open, pending (put aside by a reader) or
    done (with a final verdict). `reason`: of its place, in words. `result_id`: the result that decides its place, None while
    none is there. `images`: how many it has, of which so many are `read` and so many `failed` for good. `conflict`: whether
    other bytes came under the UID of one of them, or they differ in whose they are; `conflict_reason` says which, in words
    without patient data. `revision` counts its changes.

    What the list is filtered by, of the image that decides: `decision` (abnormal, refer or normal; refused; unread), `view`, and
    `station`, the AE title or the user that sent it, else the door; `acquired`: as far as known, YYYYMMDDHHMMSS. `reader`: the
    name of who has it in hand, put it aside, was handed it or gave the final verdict; empty once it was given back.
    """

    __tablename__ = "worklist"
    __table_args__ = (
        Index("ix_worklist_due", "state", "due_at", "study_id"),
        Index("ix_worklist_place", "state", "step", "depth", "received_at", "study_id", "due_at"),
        Index("ix_worklist_received", "state", "received_at", "study_id"),
        Index("ix_worklist_any_state", "received_at", "study_id"),
        Index(
            "ix_worklist_facets",
            *("state", "step", "decision", "view", "station", "reader", "due_at", "received_at", "study_id"),
        ),
    )

    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"), primary_key=True, autoincrement=False)
    state: Mapped[Words] = mapped_column(default="open")
    step: Mapped[int]
    depth: Mapped[float]
    """The height with its sign turned: an index in ascending order then has the highest first."""
    received_at: Mapped[Moment]
    due_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    reason: Mapped[Words]
    result_id: Mapped[int | None] = mapped_column(ForeignKey("results.id"), index=True)
    images: Mapped[int]
    read: Mapped[int]
    failed: Mapped[int]
    conflict: Mapped[bool]
    conflict_reason: Mapped[Words] = mapped_column(default="")
    revision: Mapped[int]
    decision: Mapped[Words]
    view: Mapped[Words]
    station: Mapped[Words]
    acquired: Mapped[Words]
    reader: Mapped[Words]

"""Reading: the models, the queue, results in immutable revisions, and what was made beside them."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cxreader.serving.store.tables.base import Base, Digest, Key, Leased, Moment, Uid, Values, Words, new_key


class ModelSet(Base):
    """The models that read together, and all on which their answers depend (`rule`); `digest` names it.

    `names`: the artifacts' ids, joined by "+". `rule` may also say that an administrator chose them. One set is `active`: what is
    received is queued for it.
    """

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[Digest] = mapped_column(unique=True)
    names: Mapped[Words]
    rule: Mapped[Values]
    active: Mapped[bool]
    added_at: Mapped[Moment]


class Job(Leased, Base):
    """One image to be read: `state` is waiting, leased, done or dead. `models_id`: of who read it last, or, while it waits, may.

    `revision`: the number that its result will have among the image's.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("instance_id", "revision"),
        Index("ix_jobs_state", "state", "available_at", "id"),
        Index("ix_jobs_lease", "state", "leased_until"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id"))
    models_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    revision: Mapped[int]


class Result(Base):
    """The answer to an image, never changed: a re-read adds the next `revision`.

    `reading`: the Reading as JSON, without maps (`store.results`). `no_map`: why no heat map was made, empty where one may be.
    """

    __tablename__ = "results"
    __table_args__ = (
        UniqueConstraint("instance_id", "revision"),
        UniqueConstraint("sha256", "models_id", "revision"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[Key] = mapped_column(default=new_key)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id"))
    sha256: Mapped[Digest]
    models_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    revision: Mapped[int]
    reading: Mapped[Values]
    step: Mapped[int]
    height: Mapped[float]
    reason: Mapped[Words]
    no_map: Mapped[Words]
    read_at: Mapped[Moment] = mapped_column(index=True)


class HeatMap(Base):
    """A map of one result by one model: `kind` heat (Grad-CAM) or region (region head); `finding` of the latter, "any" for any.

    `data`: float16, little-endian, `height` x `width`, row by row, as `records.Reading` describes the values. `fit`: how the
    picture was fitted to the network's square, pad or squash (`store.results.frame` says where the map lies).
    """

    __tablename__ = "maps"
    __table_args__ = (UniqueConstraint("result_id", "model", "kind", "finding"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    result_id: Mapped[int] = mapped_column(ForeignKey("results.id"))
    model: Mapped[Words]
    kind: Mapped[Words]
    finding: Mapped[Words]
    fit: Mapped[Words]
    height: Mapped[int]
    width: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)


class StoredPixels(Base):
    """Where the decoded pixels of an image lie, for the viewer: `sha256` in the object store, `about` how to show them."""

    __tablename__ = "pixels"

    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id"), primary_key=True, autoincrement=False)
    sha256: Mapped[Digest]
    bytes: Mapped[int]
    about: Mapped[Values]


class ResultObject(Base):
    """A DICOM object made of a result: `kind` is sr, sr_regions, sc or gsps; its file is `sha256` in the object store."""

    __tablename__ = "result_objects"
    __table_args__ = (UniqueConstraint("result_id", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[Key] = mapped_column(default=new_key)
    result_id: Mapped[int] = mapped_column(ForeignKey("results.id"))
    kind: Mapped[Words]
    sop_class: Mapped[Words]
    sop_instance_uid: Mapped[Uid] = mapped_column(unique=True)
    series_uid: Mapped[Uid]
    sha256: Mapped[Digest]
    bytes: Mapped[int]
    made_at: Mapped[Moment]

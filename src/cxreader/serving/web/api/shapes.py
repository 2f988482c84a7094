"""What the API sends: the shapes of its JSON, and how they are made of the store's rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from cxreader.inference.batch.table import answer_of
from cxreader.records import Reading
from cxreader.serving.store.reading.listing import Entry
from cxreader.serving.store.reading.results import reading_of
from cxreader.serving.store.tables.images import Instance, Study, WorklistRow
from cxreader.serving.store.tables.people import Verdict
from cxreader.serving.store.tables.readings import Result

KEY = "Zk3xQ0vT9aLr2sWc"
_MOMENT = "2026-11-30T09:15:00Z"


class Patient(BaseModel):
    """Whose study it is, as its DICOM header says; empty where it does not."""

    id: str = Field(examples=["4711"])
    issuer: str
    name: str = Field(description="As a DICOM person name (PS3.5 6.2).", examples=["Doe^Jane"])
    birth_date: str = Field(description="YYYYMMDD.", examples=["19500101"])
    sex: str = Field(examples=["F"])
    age: str = Field(description="As DICOM has it.", examples=["058Y"])


class Point(BaseModel):
    """The operating point: an image is called abnormal from `threshold` on; it was chosen on so many images."""

    name: str = Field(examples=["sensitivity 0.95"])
    threshold: float = Field(examples=[0.42])
    rule: str
    fitted_on: str
    n_positive: int
    n_negative: int


class Member(BaseModel):
    """What one of several models said."""

    artifact: str
    probability: float | None
    decision: str | None
    ood_score: float | None


class Answer(BaseModel):
    """One revision of the answer to an image. Without an answer `reasons` say why.

    `probability` of abnormal stands with the Venn-Abers pair around it, no confidence interval with a level; `score` in its place
    where the artifact was calibrated on too few images. Below the operating point does not rule out disease.
    """

    result: str = Field(description="Its key.", examples=[KEY])
    revision: int = Field(examples=[1])
    read_at: str = Field(examples=[_MOMENT])
    acceptance: str = Field(examples=["accepted"])
    decision: str | None = Field(examples=["abnormal"])
    probability: float | None = Field(examples=[0.71])
    probability_low: float | None = Field(examples=[0.66])
    probability_high: float | None = Field(examples=[0.74])
    no_interval: str = Field(description="Why no pair stands around the probability; empty where one does.")
    score: float | None
    conformal: str | None
    agreement: float | None
    ood_score: float | None
    reasons: list[str]
    notes: list[str]
    artifact: str = Field(description="The models, joined by +.")
    operating_point: Point
    members: list[Member]
    no_map: str = Field(description="Why there is no heat map; empty where there may be one.")

    @classmethod
    def of(cls, result: Result) -> Answer:
        """The answer of a result."""
        reading = reading_of(result)
        told = answer_of(reading)
        own = {name: told[name] for name in cls.model_fields if name in told}
        point = {name: getattr(reading.operating_point, name) for name in Point.model_fields}
        return cls(
            **own
            | {"result": result.key, "revision": result.revision, "read_at": moment(result.read_at)}
            | {"no_interval": _no_interval(reading)}
            | {"reasons": list(reading.reasons), "notes": list(reading.notes), "no_map": result.no_map}
            | {"operating_point": Point(**point), "members": [Member(**one) for one in told.get("members", ())]}
        )


class Listed(BaseModel):
    """A study in the worklist. `band` and `reason` say why it stands where it stands; `waited` is in seconds."""

    study: str = Field(examples=[KEY])
    band: str = Field(examples=["alarm"])
    reason: str = Field(examples=["waited 61 min of 60; above the operating point"])
    waited: float = Field(examples=[3661.0])
    due_at: str = Field(examples=[_MOMENT])
    received_at: str = Field(examples=[_MOMENT])
    state: str = Field(examples=["open"])
    patient: Patient
    accession_number: str
    study_date: str
    images: int = Field(description="How many it has.")
    read: int = Field(description="How many of them have a result.")
    failed: int = Field(description="How many no reader survived: a person must look.")
    conflict: bool = Field(
        description="Whether its images must be compared: a UID came twice, or they differ in whose they are."
    )
    conflict_reason: str = Field(description="Why, in words.", examples=["its images differ in patient name"])
    revision: int = Field(description="Rises with every change of this line.")
    answer: Answer | None = Field(description="Of the image that decides the place.")
    withheld: str = Field(
        description="read-first: answer and reason wait for this reader's own verdict, the place does not; else empty.",
        examples=[""],
    )

    @classmethod
    def of(cls, entry: Entry, withheld: str = "") -> Listed:
        """A line of a page; `withheld`: why its answer is not told."""
        return cls(
            **_place(entry.study, entry.row),
            band=entry.band,
            reason="" if withheld else entry.reason,
            waited=round(entry.waited, 3),
            answer=None if entry.result is None or withheld else Answer.of(entry.result),
            withheld=withheld,
        )


class Image(BaseModel):
    """An image of a study, with all its answers, the latest first."""

    image: str = Field(examples=[KEY])
    sha256: str
    kind: str = Field(examples=["dicom"])
    sop_class: str
    sop_instance_uid: str
    series_uid: str
    modality: str = Field(examples=["DX"])
    view: str = Field(examples=["PA"])
    rows: int
    columns: int
    acquired: str = Field(description="YYYYMMDDHHMMSS, as far as known.")
    version: int = Field(description="0, or the how many-th other bytes under its UID these are.")
    received_at: str
    kept: bool = Field(description="Whether its bytes are still there.")
    answers: list[Answer]

    @classmethod
    def of(cls, instance: Instance, results: Sequence[Result]) -> Image:
        """An image and its results."""
        own = {name: getattr(instance, name) for name in cls.model_fields if hasattr(instance, name)}
        own |= {"image": instance.key, "received_at": moment(instance.received_at), "kept": instance.purged_at is None}
        return cls(**own, answers=[Answer.of(one) for one in results])


class Said(BaseModel):
    """A reader's verdict."""

    reader: str
    kind: str
    stage: str
    mode: str
    findings: list[Any]
    comment: str
    seconds: float | None
    given_at: str
    impression: str
    disagreement: str

    @classmethod
    def of(cls, verdict: Verdict, reader: str) -> Said:
        """A verdict and its reader's name."""
        own = {name: getattr(verdict, name) for name in cls.model_fields if hasattr(verdict, name)}
        return cls(**own | {"reader": reader, "given_at": moment(verdict.given_at)})


class Lock(BaseModel):
    """Who reads a study now; it warns and keeps nobody out. Without a heartbeat it ends at `until`."""

    reader: str
    since: str
    until: str
    yours: bool
    handed: bool = Field(False, description="It was handed over to this reader, and nobody reads it now.")


def _no_interval(reading: Reading) -> str:
    if reading.probability is not None and reading.interval is None:
        return "no Venn-Abers pair was fitted for this artifact, or several models read together"
    return ""


def moment(seconds: float) -> str:
    """ISO 8601, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _place(study: Study, row: WorklistRow) -> dict[str, Any]:
    return {
        "study": study.key,
        "patient": patient(study),
        "accession_number": study.accession_number,
        "study_date": study.study_date,
        "due_at": moment(row.due_at),
        "received_at": moment(row.received_at),
        "state": row.state,
        **{
            name: getattr(row, name) for name in ("images", "read", "failed", "conflict", "conflict_reason", "revision")
        },
    }


def patient(study: Study) -> Patient:
    """Whose study it is."""
    told = {name: getattr(study, name) for name in ("issuer", "birth_date", "sex", "age")}
    return Patient(id=study.patient_id, name=study.patient_name, **told)

"""What is to be judged: images of a source, and which of them the model has never met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxreader.config import Uncertain
from cxreader.counting import format_count
from cxreader.data.index import Index
from cxreader.data.layouts.headers import PATIENT_SALT as DICOM_SALT
from cxreader.data.sources import locate, open_data, open_source
from cxreader.data.split import Split, patient_hash
from cxreader.errors import DataError
from cxreader.identity import other_spellings
from cxreader.models.artifact import Artifact, TrainingPatients
from cxreader.records import ImageRecord
from cxreader.runs import RunFolder


@dataclass(frozen=True, slots=True)
class EvaluationCohort:
    """What is to be judged: these images of a source, the split they come from, and where the training pixels lie.

    `own` is True when the split is the one the artifact was trained with.
    """

    index: Index
    records: tuple[ImageRecord, ...]
    part: str
    split: Split | None = None
    own: bool = False
    cache: Path | None = None

    @property
    def name(self) -> str:
        """What the data are called, also where nobody named them."""
        return self.index.title


def cohort_of_run(path: str | Path, part: str = "test") -> EvaluationCohort:
    """A part of the split a run was trained with. Raises UsageError when `path` is no run folder."""
    run = RunFolder(Path(path))
    data = run.load_config().data
    try:
        index = open_data(data)
    except DataError as error:
        moved = f"if they moved, tell it: cxreader train ... --out {run.path} --resume --set data.root=FOLDER"
        raise DataError(error.what, where=error.where, mend=f"{error.mend or 'check the images'}; {moved}") from None
    split = Split.load(run.split)
    cache = run.cache if data.cache is None else Path(data.cache)
    return EvaluationCohort(index, split.records(index, part), part, split, own=True, cache=cache)


def cohort_of_source(
    data: str,
    *,
    kind: str = "auto",
    tables: str | None = None,
    name: str | None = None,
    uncertain: Uncertain | None = None,
    split: str | None = None,
    part: str = "test",
) -> EvaluationCohort:
    """A labelled source, opened as `open_source` says, whole or one part of a split file."""
    index = open_source(data, kind=kind, tables=tables, name=name, uncertain=uncertain)  # type: ignore[arg-type] # checked there
    if split is None:
        return EvaluationCohort(index, index.records, "all")
    shared_out = Split.load(locate(split))
    return EvaluationCohort(index, shared_out.records(index, part), part, shared_out)


def require_some(records: Sequence[ImageRecord], excluded: Counter[str], cohort: EvaluationCohort) -> None:
    """Raises DataError, with the reason of each that was left out, when no image is left to judge."""
    if not records:
        reasons = "; ".join(f"{count}: {reason}" for reason, count in excluded.items() if count)
        raise DataError(f"no image is left to judge ({reasons})", where=cohort.index.root, mend="give other images")


def without_training_patients(
    artifact: Artifact, records: Iterable[ImageRecord]
) -> tuple[tuple[ImageRecord, ...], Counter[str]]:
    """The records of patients the artifact has never met, and how many images were left out for which part of its training.

    A patient of an unnamed source is looked for under every name the artifact knows, and one the artifact met in an
    unnamed source is recognised anywhere: rather an image too few than a patient met twice. So is one whose number was
    written as `12.0` when an artifact of an earlier version was trained, and one whose Patient ID a DICOM header told.
    Raises DataError where a patient is recognised but for leading zeros: nobody knows whether it is the same.
    """
    patients, met = artifact.patients, part_met(artifact)
    known = {mark for marks in patients.parts.values() for mark in marks}
    kept, excluded, twins = [], Counter[str](), 0
    for record in records:
        part = met(record)
        if part is None and record.patient is not None:
            others = other_spellings(record.patient)
            names = _sources(patients, record)
            twins += any(patient_hash(patients.salt, name, other) in known for name in names for other in others)
        if part is None:
            kept.append(record)
        else:
            excluded[f"the patient set this model ({part})"] += 1
    if twins:
        what = f"the patients of {format_count(twins, '[image|images]')} set this model but for leading zeros, as 0012 and 12"
        raise DataError(what, mend="write them as the training's table did, or name the sources of both")
    return tuple(kept), excluded


def part_met(artifact: Artifact) -> Callable[[ImageRecord], str | None]:
    """What tells in which part of its training the artifact met a record's patient, as `without_training_patients` looks."""
    patients = artifact.patients
    part_of = {mark: part for part, marks in patients.parts.items() for mark in marks}

    def part(record: ImageRecord) -> str | None:
        groups = (record.group,) if patients.known else (record.group, f"image:{record.image}")
        written = [own for group in groups for own in _written(group)]
        marks = (patient_hash(patients.salt, name, own) for name in _sources(patients, record) for own in written)
        return next((part_of[mark] for mark in marks if mark in part_of), None)

    return part


def _sources(patients: TrainingPatients, record: ImageRecord) -> set[str]:
    """The names under which the artifact may have met the record's source."""
    return {record.source, ""} if record.source else {"", *patients.sources}


def _written(group: str) -> tuple[str, ...]:
    """A patient as he may have been written when the model was trained."""
    return (group, f"{group}.0", patient_hash(DICOM_SALT, "", group)) if not group.startswith("image:") else (group,)

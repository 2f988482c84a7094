"""Several models judged as they read: one answer an image, the mean of theirs, a referral where they disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cxreader.assessment.artifact import prediction_table
from cxreader.assessment.background import TRAINED_ON, background_of, trained_on
from cxreader.assessment.cohort import EvaluationCohort, require_some, without_training_patients
from cxreader.assessment.images import digests_of
from cxreader.assessment.outputs import write_evaluation
from cxreader.assessment.pictures import Pictures
from cxreader.data.index import NO_PATIENTS
from cxreader.evaluation.decisions.refusals import Refusals, count_refusals
from cxreader.evaluation.evaluate import Evaluation, evaluate
from cxreader.evaluation.evidence import EvaluationOptions, refuse_undrawable
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.verdict import Background
from cxreader.inference.reader import Reader
from cxreader.progress import Bar
from cxreader.records import ImageRecord, PredictionTable, Reading

EACH_ALONE = (
    "Shortcuts, the thumbnail and heat maps were not looked at: they are judged of each model alone, with cxreader evaluate "
    "--model ONE."
)


def judge_several(
    reader: Reader,
    cohort: EvaluationCohort,
    out: Path,
    *,
    bar: Bar,
    options: EvaluationOptions | None = None,
    seed: int = 0,
) -> Evaluation:
    """Read the images with all models, leave out whoever set one of them, and write predictions, figures, JSON and report.

    The mean decides, at the mean of the thresholds, and each model stands beside it at its own. Raises as `artifact.judge`.
    """
    records, excluded = cohort.records, Counter[str]()
    for member in reader.members:
        records, left_out = without_training_patients(member.artifact, records)
        excluded += left_out
    options = options or EvaluationOptions()
    if records:
        refuse_undrawable(np.array([record.label for record in records]), options)
    asked, readings, pictures = _read(reader, records, bar)
    name = f"mean of {len(reader.members)} models"
    table, unread = prediction_table(asked, readings, name)
    for each in pictures:
        excluded += each.excluded
    excluded["the image cannot be read"] += len(unread)
    pairs = [pair for pair in zip(asked, readings, strict=True) if pair[1].value is not None]
    require_some([record for record, _ in pairs], excluded, cohort)
    answered = [reading for _, reading in pairs]
    with bar("intervals"):
        evaluation = evaluate(
            table,
            reader.operating_point,
            seed=seed,
            excluded={reason: count for reason, count in excluded.items() if count},
            warnings=_warnings(cohort, pictures),
            provenance=_provenance(reader, cohort),
            options=replace(
                options,
                points=(reader.operating_point,),
                name=name,
                others=_members(reader, table, answered),
                thresholds={member.id: member.operating_point.threshold for member in reader.members},
            ),
            refusals=_refusals([record for record, _ in pairs], answered, seed),
            background=_background(reader, cohort),
        )
    write_evaluation(evaluation, table, unread, out)
    return evaluation


def _read(
    reader: Reader, records: Sequence[ImageRecord], bar: Bar
) -> tuple[list[ImageRecord], list[Reading], list[Pictures]]:
    """The images that no model has met and that are no copies, with the answer to each, refused or not."""
    pictures = [Pictures.of(member.artifact, judge_met=False) for member in reader.members]
    asked: list[ImageRecord] = []
    readings: list[Reading] = []
    done = 0
    files = [record.path or record.image for record in records]
    with bar("reading") as progress:
        for batch in reader.prepared(files, digest=True):
            kept = [
                (record, one)
                for record, one in zip(records[done:], batch, strict=False)
                if one.intake is None
                or all(
                    each.judges(record, digests_of(one, member.artifact.spec))
                    for each, member in zip(pictures, reader.members, strict=True)
                )
            ]
            asked += [record for record, _ in kept]
            readings += reader.answer([one for _, one in kept], refuse=False)
            done += len(batch)
            if progress is not None:
                progress(done, len(records))
    return asked, readings, pictures


def _members(reader: Reader, table: PredictionTable, answered: Sequence[Reading]) -> dict[str, PredictionTable]:
    """What each model says by itself of the judged images, by its id."""
    return {
        member.id: replace(table, probability=np.array([reading.members[k].value for reading in answered]))
        for k, member in enumerate(reader.members)
    }


def _refusals(records: Sequence[ImageRecord], readings: Sequence[Reading], seed: int) -> Refusals:
    refused = np.array([reading.acceptance == "refused" for reading in readings])
    reasons = [reading.reasons if reading.acceptance == "refused" else () for reading in readings]
    return count_refusals(refused, reasons, Sample.of_records(records), seed=seed)


def _background(reader: Reader, cohort: EvaluationCohort) -> Background:
    """What stands behind each of the models, said once."""
    found = [background_of(member.artifact, cohort, None) for member in reader.members]
    obstacles = dict.fromkeys(line for each in found for line in each.obstacles)
    return Background(tuple(obstacles), cautions=tuple(dict.fromkeys(line for each in found for line in each.cautions)))


def _warnings(cohort: EvaluationCohort, pictures: Sequence[Pictures]) -> list[str]:
    patients = [] if cohort.index.n_patients else [NO_PATIENTS]
    return list(dict.fromkeys([*patients, *(line for each in pictures for line in each.warnings()), EACH_ALONE]))


def _provenance(reader: Reader, cohort: EvaluationCohort) -> dict[str, str | int | float | bool | None]:
    split = cohort.split
    return {
        "artifact": "+".join(member.id for member in reader.members),
        "model": ", ".join(member.artifact.model for member in reader.members),
        "data": cohort.name,
        "part": cohort.part,
        "split": None if split is None else split.digest,
        "split_kind": None if split is None else split.kind,
        TRAINED_ON: " | ".join(trained_on(member.artifact) for member in reader.members),
    }

"""Whom the model met: the patients who set it, and what a split by image leaks."""

from __future__ import annotations

from collections import Counter, defaultdict

from cxreader.assessment.cohort import EvaluationCohort, without_training_patients
from cxreader.data.index import Index
from cxreader.data.salt import PARTS
from cxreader.data.split import Split, group_of, leak
from cxreader.evaluation.shortcuts.records import Leakage
from cxreader.models.artifact import Artifact
from cxreader.records import ImageRecord


def met(artifact: Artifact, cohort: EvaluationCohort) -> tuple[tuple[ImageRecord, ...], Counter[str], Leakage]:
    """The records to judge, how many were left out and why, and the leak as the artifact's own hashes measure it."""
    kept, excluded = without_training_patients(artifact, cohort.records)
    strangers = {record.image for record in kept}
    known = [record for record in cohort.records if record.image not in strangers]
    leaky = cohort.own and cohort.split is not None and cohort.split.kind == "image-random"
    found = None if cohort.split is None else leak(cohort.split, cohort.index)
    leakage = Leakage(
        known=artifact.patients.known,
        asked=len(cohort.records),
        met_images=len(known),
        met_patients=len({group_of(record) for record in known}),
        left_out=not leaky,
        split=None if cohort.split is None else cohort.split.kind,
        split_patients=None if cohort.split is None else _in_several_parts(cohort.split, cohort.index),
        split_images=None if found is None else found.shared_images,
        test_images=None if found is None else found.test_images,
        nameless=sum(record.patient is None for record in cohort.records),
    )
    return (cohort.records, Counter(), leakage) if leaky else (kept, excluded, leakage)


def _in_several_parts(split: Split, index: Index) -> int:
    """Known patients who stand in more than one part."""
    parts = defaultdict(set)
    for part in PARTS:
        for record in split.records(index, part):
            if record.patient is not None:
                parts[group_of(record)].add(part)
    return sum(len(found) > 1 for found in parts.values())

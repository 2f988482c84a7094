"""Several models judged as they read: one answer an image, the mean of theirs, a referral where they disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.artifact import (
    contact_sheet,
    contradicted,
    many_refused,
    prediction_table,
    suspicion_warnings,
    thumbnail_learnt_elsewhere,
)
from cxreader.assessment.background import TRAINED_ON, background_of, trained_on
from cxreader.assessment.cohort import EvaluationCohort, require_some, without_training_patients
from cxreader.assessment.duration import Estimate
from cxreader.assessment.examples import choose_examples, example_panels
from cxreader.assessment.images import ReadImages, read_once
from cxreader.assessment.outputs import write_evaluation
from cxreader.assessment.pictures import Pictures
from cxreader.assessment.shortcuts.audit import audit_several
from cxreader.assessment.shortcuts.elsewhere import shared_baselines
from cxreader.data.index import NO_PATIENTS
from cxreader.errors import CxreaderError
from cxreader.evaluation.decisions.conformal import JointRule
from cxreader.evaluation.decisions.refusals import Refusals, count_refusals
from cxreader.evaluation.evaluate import Evaluation, evaluate
from cxreader.evaluation.evidence import EvaluationOptions, refuse_undrawable
from cxreader.evaluation.shortcuts.image_features import thumbnails
from cxreader.evaluation.shortcuts.records import ShortcutAudit
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.verdict import Background
from cxreader.imaging.preprocess import InputSpec
from cxreader.inference.reader import Reader
from cxreader.progress import Bar, Say, silent
from cxreader.records import PredictionTable, Reading
from cxreader.reporting.evaluation.figures.contact_sheet import SIDE

NOT_JUDGED = "Whether the heat maps lie where the findings are is judged of each model alone, with cxreader evaluate --model ONE."


def judge_several(
    reader: Reader,
    cohort: EvaluationCohort,
    out: Path,
    *,
    bar: Bar,
    options: EvaluationOptions | None = None,
    quick: bool = False,
    seed: int = 0,
    say: Say = silent,
) -> Evaluation:
    """Read the images with all models, leave out whoever set one of them, and write predictions, figures, JSON and report.

    The mean decides, at the mean of the thresholds, and each model stands beside it at its own. The audit for shortcuts asks the
    mean, the conformal rules answer together (`JointRule`), and examples and contact sheet have a heat map of each model.
    `quick`, and what is raised: as `artifact.judge`.
    """
    records, excluded = cohort.records, Counter[str]()
    for member in reader.members:
        records, left_out = without_training_patients(member.artifact, records)
        excluded += left_out
    options = options or EvaluationOptions()
    if records:
        refuse_undrawable(np.array([record.label for record in records]), options)
    pictures = [Pictures.of(member.artifact, judge_met=False) for member in reader.members]
    estimate, name = Estimate(records, say, quick), f"mean of {len(reader.members)} models"
    display = None if quick else InputSpec(SIDE, reader.specs[0].fit)  # so that maps of the network's square fit
    with read_once(reader, records, bar=bar, display=display, pictures=pictures, estimate=estimate) as images:
        table, unread = prediction_table(images.asked, images.readings, name)
        for each in pictures:
            excluded += each.excluded
        excluded["the image cannot be read"] += len(unread)
        require_some(images.records, excluded, cohort)
        answered = [reading for reading in images.readings if reading.value is not None]
        audit = None if quick else audit_several(reader, cohort, images, excluded, bar=bar, seed=seed)
        refusals = _refusals(images, seed)
        shared = shared_baselines(reader)
        with bar("intervals"):
            evaluation = evaluate(
                table,
                reader.operating_point,
                seed=seed,
                baselines=thumbnail_learnt_elsewhere(shared, thumbnails(images.pixels)) if shared else {},
                excluded={reason: count for reason, count in excluded.items() if count},
                warnings=[*_warnings(cohort, pictures), *suspicion_warnings(audit), *many_refused(refusals)],
                provenance=_provenance(reader, cohort),
                options=replace(
                    options,
                    points=(reader.operating_point,),
                    conformal=_joint(reader, answered),
                    name=name,
                    others=_members(reader, table, answered),
                    thresholds={member.id: member.operating_point.threshold for member in reader.members},
                ),
                refusals=refusals,
                background=_background(reader, cohort, audit),
            )
        rows = [] if quick else choose_examples(table, reader.operating_point)
        shown = {*table.image[rows].tolist(), *images.contradicted.keys() & contradicted(evaluation)}
        maps = _maps(reader, images, shown, bar)
        write_evaluation(
            evaluation,
            table,
            unread,
            out,
            shortcuts=audit,
            further=contact_sheet(evaluation, images, maps),
            examples=example_panels(
                table, rows, images, maps, threshold=reader.operating_point.threshold, spec=reader.specs[0]
            ),
        )
    return evaluation


def _joint(reader: Reader, answered: Sequence[Reading]) -> JointRule | None:
    """What the models' conformal rules say together of each answered image; None unless all of them have one."""
    rules = [member.conformal for member in reader.members]
    bounds = [rule.alpha for rule in rules if rule is not None]
    if len(bounds) < len(rules):
        return None
    said = [[str(reading.members[k].conformal) for reading in answered] for k in range(len(rules))]
    return JointRule(np.array(said, np.str_), min(bounds))


def _maps(
    reader: Reader, images: ReadImages, wanted: Collection[str], bar: Bar
) -> dict[str, list[NDArray[np.float32]]]:
    """Each model's raw heat map of some images, in the models' order; none where one has no maps or is shown other pixels."""
    some = [record for record in images.records if record.image in wanted]
    if not some or len(reader.specs) > 1:
        return {}
    try:
        drawing = reader.with_maps()
    except CxreaderError:
        return {}
    with bar("heat maps"):
        pixels = images.of(some)
        each = [own.backend.run(own.artifact.spec.normalise(pixels), maps=True).maps for own in drawing.members]
    maps = [own for own in each if own is not None]
    if len(maps) < len(each):
        return {}
    return {record.image: [own[k] for own in maps] for k, record in enumerate(some)}


def _members(reader: Reader, table: PredictionTable, answered: Sequence[Reading]) -> dict[str, PredictionTable]:
    """What each model says by itself of the judged images, by its id."""
    return {
        member.id: replace(table, probability=np.array([reading.members[k].value for reading in answered]))
        for k, member in enumerate(reader.members)
    }


def _refusals(images: ReadImages, seed: int) -> Refusals:
    readings = [reading for reading in images.readings if reading.acceptance is not None]
    refused = np.array([reading.acceptance == "refused" for reading in readings])
    reasons = [reading.reasons if reading.acceptance == "refused" else () for reading in readings]
    return count_refusals(refused, reasons, Sample.of_records(images.records), seed=seed)


def _background(reader: Reader, cohort: EvaluationCohort, audit: ShortcutAudit | None) -> Background:
    """What stands behind each of the models, said once."""
    found = [background_of(member.artifact, cohort, audit) for member in reader.members]
    obstacles = dict.fromkeys(line for each in found for line in each.obstacles)
    cautions = dict.fromkeys(line for each in found for line in each.cautions)
    return replace(found[0], obstacles=tuple(obstacles), cautions=tuple(cautions))


def _warnings(cohort: EvaluationCohort, pictures: Sequence[Pictures]) -> list[str]:
    patients = [] if cohort.index.n_patients else [NO_PATIENTS]
    return list(dict.fromkeys([*patients, *(line for each in pictures for line in each.warnings()), NOT_JUDGED]))


def _provenance(reader: Reader, cohort: EvaluationCohort) -> dict[str, str | int | float | bool | None]:
    split = cohort.split
    return {
        "artifact": "+".join(member.id for member in reader.members),
        "model": ", ".join(member.artifact.model for member in reader.members),
        "data": cohort.name,
        "part": cohort.part,
        "split": None if split is None else split.digest,
        "split_kind": None if split is None else split.kind,
        TRAINED_ON: " | ".join(dict.fromkeys(trained_on(member.artifact) for member in reader.members)),
    }

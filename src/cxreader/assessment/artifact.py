"""An artifact judged on a labelled source, without the patients that set it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.background import (
    ON_PHANTOMS,
    TOO_FEW_PATIENTS,
    TRAINED_ON,
    UNKNOWN_PATIENTS,
    background_of,
    split_by_image,
    suspicion,
    trained_on,
)
from cxreader.assessment.cohort import EvaluationCohort, require_some, without_training_patients
from cxreader.assessment.duration import Estimate
from cxreader.assessment.examples import choose_boxed, choose_examples, example_panels
from cxreader.assessment.explanations import ExplanationEvaluation, evaluate_explanations
from cxreader.assessment.images import ReadImages, read_once
from cxreader.assessment.outputs import write_evaluation
from cxreader.assessment.pictures import Pictures
from cxreader.assessment.preparation import preparation_warnings
from cxreader.assessment.shortcuts.audit import audit_shortcuts
from cxreader.assessment.shortcuts.elsewhere import baselines_of_training
from cxreader.assessment.shortcuts.views import features_of
from cxreader.assessment.summary import EvaluationSummary, is_own_test, store_summary
from cxreader.data.index import NO_PATIENTS
from cxreader.evaluation.calibration.support import CalibrationSupport
from cxreader.evaluation.decisions.refusals import MANY_REFUSED, Refusals, count_refusals
from cxreader.evaluation.evaluate import Evaluation, evaluate
from cxreader.evaluation.evidence import EvaluationOptions, refuse_undrawable, refuse_unread
from cxreader.evaluation.shortcuts.image_features import thumbnails
from cxreader.evaluation.shortcuts.learnt_elsewhere import StoredBaseline
from cxreader.evaluation.shortcuts.records import ELSEWHERE, NOT_FOUND, TOO_FEW, ShortcutAudit, learnt_title
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.verdict import THUMBNAIL
from cxreader.imaging.preprocess import InputSpec
from cxreader.inference.reader import Reader
from cxreader.models.artifact import Artifact
from cxreader.models.population import PHANTOMS
from cxreader.progress import Bar, Say, silent
from cxreader.records import ImageRecord, OperatingPoint, PredictionTable, Reading, patient_names
from cxreader.reporting.evaluation.figures.contact_sheet import SIDE, draw_contact_sheet
from cxreader.reporting.evaluation.model_facts import facts_of
from cxreader.reporting.evaluation.tables.refusals import in_percent, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def judge(
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
    """Read the images, leave out the patients who set the model, and write predictions, figures, JSON and report to `out`.

    The artifact itself keeps a summary where the images are the test part of its own run, judged at its first operating point.

    A split by image is judged as it is, leak and all, since showing that is what it is for; every report then says how
    large it is. `options` says what the user wants to know besides; the artifact's own operating points and conformal rule
    are judged in any case. `quick` leaves out what looks at the images once more: baselines that see no disease, heat
    maps against boxes, the randomisation test.
    Raises DataError when nothing is left to judge and, before an image is read, for a worklist that lacks a class.
    """
    artifact = reader.artifact
    records, excluded = cohort.records, Counter[str]()
    leaky = cohort.own and cohort.split is not None and cohort.split.kind == "image-random"
    if not leaky:
        records, excluded = without_training_patients(artifact, records)
    options = options or EvaluationOptions()
    if records:
        refuse_undrawable(np.array([record.label for record in records]), options)
        refuse_unread([record.image for record in records], options)
    pictures = Pictures.of(artifact, judge_met=leaky)
    display = None if quick else InputSpec(SIDE, artifact.spec.fit)  # so that maps of the network's square fit
    estimate = Estimate(records, say, quick)
    with read_once(reader, records, bar=bar, display=display, pictures=[pictures], estimate=estimate) as images:
        table, unread = prediction_table(images.asked, images.readings, artifact.id)
        excluded += pictures.excluded
        excluded["the image cannot be read"] += len(unread)
        require_some(images.records, excluded, cohort)
        refusals = _refusals(reader, images, seed)
        stored = baselines_of_training(artifact, cohort, bar)
        features = None if quick else features_of(images.pixels, np.arange(len(images.pixels)), bar)
        small = thumbnails(images.pixels) if features is None else features.thumbnail
        baselines = thumbnail_learnt_elsewhere(stored, small)
        preparation = [] if quick else preparation_warnings(artifact, cohort, images, small, bar, seed=seed)
        shortcuts = (
            None
            if quick
            else audit_shortcuts(reader, cohort, images=images, features=features, elsewhere=stored, bar=bar, seed=seed)
        )
        with bar("intervals"):
            evaluation = evaluate(
                table,
                reader.operating_point,
                seed=seed,
                baselines=baselines,
                excluded={reason: count for reason, count in excluded.items() if count},
                warnings=[
                    *_support(reader),
                    *_warnings(artifact, cohort),
                    *pictures.warnings(),
                    *suspicion_warnings(shortcuts),
                    *preparation,
                    *many_refused(refusals),
                ],
                provenance=_provenance(artifact, cohort),
                options=_of_artifact(reader, options),
                refusals=refusals,
                background=background_of(artifact, cohort, shortcuts),
            )
        rows = choose_examples(table, reader.operating_point)
        rows += choose_boxed(table, images.records, rows)
        shown = {*table.image[rows].tolist(), *images.contradicted.keys() & contradicted(evaluation)}
        looking = (
            ExplanationEvaluation(None, None)
            if quick
            else evaluate_explanations(reader, images, bar=bar, seed=seed, shown=shown)
        )
        drawn = {name: [own] for name, own in looking.maps.items()}
        write_evaluation(
            evaluation,
            table,
            unread,
            out,
            shortcuts=shortcuts,
            localisation=looking.localisation,
            sanity=looking.sanity,
            regions=looking.regions,
            further=contact_sheet(evaluation, images, drawn),
            examples=example_panels(
                *(table, rows, images, drawn),
                threshold=reader.operating_point.threshold,
                spec=artifact.spec,
                regions=looking.region_maps,
            ),
            facts=facts_of(artifact),
        )
    if is_own_test(reader, cohort):
        store_summary(reader, EvaluationSummary.of(evaluation, looking.localisation, looking.regions), say)
    return evaluation


def _of_artifact(reader: Reader, options: EvaluationOptions) -> EvaluationOptions:
    """The options, with the artifact's operating points, its conformal rule and the prevalence it was calibrated at."""
    n_positive, n_negative = reader.calibrator.n_positive, reader.calibrator.n_negative
    return replace(
        options,
        points=_points(reader),
        conformal=reader.conformal,
        calibrated_at=n_positive / (n_positive + n_negative) if reader.only.support.calibrated else None,
    )


def _refusals(reader: Reader, images: ReadImages, seed: int) -> Refusals:
    """How many of the images that can be read the reader would refuse; they are judged all the same."""
    readings = [reading for reading in images.readings if reading.acceptance is not None]
    refused = np.array([reading.acceptance == "refused" for reading in readings])
    rule = reader.only.ood_detector
    return count_refusals(
        refused,
        [reading.reasons if reading.acceptance == "refused" else () for reading in readings],
        Sample.of_records(images.records),
        stated=None if rule is None else rule.false_refusals,
        seed=seed,
    )


def many_refused(refusals: Refusals) -> list[str]:
    """The warning where the whole interval of the share refused lies above `MANY_REFUSED`."""
    share = refusals.shares["all"]
    if not share.low > MANY_REFUSED:
        return []
    why = "; ".join(f"{reason} ({count:,})" for reason, count in refusals.reasons.items())
    return [
        f"{percent(share)} of these images would be refused ({in_percent(share)}), though they are judged here: {why}"
    ]


def _support(reader: Reader) -> list[str]:
    """How few images the probabilities rest on, where they are few; without enough, that scores are judged."""
    support, point = reader.only.support, reader.operating_point
    if support.note is None:
        return []
    if support.calibrated and CalibrationSupport(point.n_positive, point.n_negative) == support:
        return [f"what decides {support.threshold_note}"]  # as the verdict says it
    return [support.note + ("" if support.calibrated else ". What is called probability here is that score.")]


def suspicion_warnings(shortcuts: ShortcutAudit | None) -> list[str]:
    """What nobody may overlook who reads the figures."""
    if shortcuts is None or shortcuts.verdict == NOT_FOUND:
        return []
    if shortcuts.verdict == TOO_FEW:
        return [TOO_FEW_PATIENTS]
    return [f"a shortcut is suspected: {suspicion(shortcuts)}"]


def contradicted(evaluation: Evaluation) -> set[str]:
    """The images whose label the model contradicts most surely, by name."""
    return set() if evaluation.evidence is None else {one.image for one in evaluation.evidence.contradictions}


def contact_sheet(
    evaluation: Evaluation, images: ReadImages, maps: Mapping[str, Sequence[NDArray[np.float32]]]
) -> dict[str, Figure]:
    """The figure of the images whose label the model contradicts most surely; none when it contradicts none, or none was kept."""
    found = () if evaluation.evidence is None else evaluation.evidence.contradictions
    if not found or not images.contradicted:
        return {}
    return {"contact_sheet": draw_contact_sheet(found, images.contradicted, maps)}


def _points(reader: Reader) -> tuple[OperatingPoint, ...]:
    """The artifact's operating points, the one that decides first."""
    first = reader.operating_point
    return (first, *(point for point in reader.only.answers.operating_points if point.name != first.name))


def prediction_table(
    records: Sequence[ImageRecord], readings: Sequence[Reading], model: str
) -> tuple[PredictionTable, dict[str, str]]:
    """Predictions (else scores) of the images that could be read, and the reason of each that could not."""
    pairs = list(zip(records, readings, strict=True))
    unread = {record.image: "; ".join(reading.reasons) for record, reading in pairs if reading.value is None}
    read = [(record, reading) for record, reading in pairs if reading.value is not None]
    known = any(record.patient is not None for record, _ in read)

    def text(values: Iterable[object]) -> NDArray[np.str_]:
        return np.array(["" if value is None else str(value) for value in values], dtype=np.str_)

    def number(values: Iterable[float | None]) -> NDArray[np.float64]:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    columns: dict[str, NDArray[np.generic]] = {
        "decision": text(reading.decision for _, reading in read),
        "acceptance": text(reading.acceptance for _, reading in read),
        "sex": text(record.sex for record, _ in read),
        "age": number(record.age if record.age_plausible else None for record, _ in read),
        "view": text(record.view for record, _ in read),
        "follow_up": number(record.follow_up for record, _ in read),
        "source": text(record.source for record, _ in read),
        "findings": text("|".join(record.findings) for record, _ in read),
        "model": text(model for _ in read),
    }
    if any(reading.sop_instance_uid for _, reading in read):
        columns["sop_instance_uid"] = text(reading.sop_instance_uid for _, reading in read)
    table = PredictionTable(
        image=text(record.image for record, _ in read),
        label=np.array([record.label for record, _ in read], np.int8),
        probability=number(reading.value for _, reading in read),
        patient=text(patient_names([record for record, _ in read])) if known else None,
        columns=columns,
    )
    return table, unread


def thumbnail_learnt_elsewhere(
    stored: Sequence[StoredBaseline], small: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """By its title, what a thumbnail learnt on the training images says of the judged ones, `small` (n, 256); else nothing."""
    own = next((one for one in stored if one.name == THUMBNAIL), None)
    if own is None:
        return {}
    return {learnt_title(THUMBNAIL, ELSEWHERE): own.probability(small)}


def _warnings(artifact: Artifact, cohort: EvaluationCohort) -> list[str]:
    found = []
    if not cohort.index.n_patients:  # where some are known, the evaluation counts the others
        found.append(NO_PATIENTS)
    if not artifact.patients.known:
        found.append(UNKNOWN_PATIENTS)
    if cohort.split is not None and cohort.split.kind == "image-random":
        found.append(split_by_image(cohort.split, cohort.index))
    if artifact.transfer.startswith("no transfer") and not _from_scratch_by_choice(artifact):
        found.append(artifact.transfer)
    if cohort.index.name.startswith(PHANTOMS):
        found.append(ON_PHANTOMS)
    return found


def _from_scratch_by_choice(artifact: Artifact) -> bool:
    """True where the configuration asked for no pretrained weights."""
    config = artifact.provenance.get("config")
    return isinstance(config, Mapping) and config.get("model", {}).get("weights") == "none"


def _provenance(artifact: Artifact, cohort: EvaluationCohort) -> dict[str, str | int | float | bool | None]:
    split = cohort.split
    return {
        "artifact": artifact.id,
        "model": artifact.model,
        "weights": artifact.transfer,
        "data": cohort.name,
        "part": cohort.part,
        "split": None if split is None else split.digest,
        "split_kind": None if split is None else split.kind,
        TRAINED_ON: trained_on(artifact),
    }

"""What a department asks beyond the figures: how sure, at which threshold, for whom, how honest, and what it would change.

Everything here comes from a table of predictions alone: no image, no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import UsageError
from cxreader.evaluation.calibration.prior_shift import PriorShift, estimate_prevalence, shift_prevalence
from cxreader.evaluation.calibration.report import CalibrationReport, calibration_report
from cxreader.evaluation.comparison.paired import PairedComparison, align, compare_models
from cxreader.evaluation.comparison.second_reading import Contradiction, LabelComparison, compare_labels, contradicted
from cxreader.evaluation.decisions.at_threshold import AtThreshold, at_thresholds
from cxreader.evaluation.decisions.conformal import ConformalResult, ConformalRule, JointRule, judge_conformal
from cxreader.evaluation.decisions.decision_curve import DecisionCurve, decision_curve
from cxreader.evaluation.readers.label_quality import CorrectedAuc, LabelQuality, correct_auc
from cxreader.evaluation.readers.readings import Readings
from cxreader.evaluation.readers.study import ReaderStudy, study_readers
from cxreader.evaluation.readers.truths import truths_of
from cxreader.evaluation.statistics.bca import bootstrap_bca
from cxreader.evaluation.statistics.delong import auc_delong
from cxreader.evaluation.statistics.exact import bounded_metrics
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Resampled, Sample
from cxreader.evaluation.statistics.matched_pairs import MatchedPairs, match_pairs
from cxreader.evaluation.statistics.metrics import METRIC_NAMES, all_metrics, undefined_reasons
from cxreader.evaluation.subgroups.performance import Subgroups, subgroups
from cxreader.evaluation.worklist.policies import POLICIES, WorklistPolicy
from cxreader.evaluation.worklist.reading_room import ReadingRoom
from cxreader.evaluation.worklist.triage import Triage, require_drawable, simulate_triage
from cxreader.records import OperatingPoint, PredictionTable


@dataclass(frozen=True, eq=False)
class EvaluationOptions:
    """What is asked beyond the metrics. Raises UsageError for a prevalence that does not lie between 0 and 1.

    `points`: operating points to judge, the first decides; empty for the one the evaluation is made at. `prevalence`:
    share of abnormal images, in (0, 1), where the model would work; `calibrated_at`: that of the part that calibrated its
    probabilities. Where both are known, probabilities are shifted before net benefit is computed. `conformal`: the rule
    fitted on `calibrate`. `room`: the reading room whose worklist is simulated; `max_wait`: minutes after which an image
    goes before all others. `second`: a second reading, image -> 0 or 1. `others`: further models on the same images by
    name, `thresholds`: theirs where they were fitted, `name`: what this model is called beside them. `readings`: what
    radiologists said of the images, judged by the readers named `panel` as `study_readers` has it, else by the table's labels.
    `label_quality`: how good the labels are, to correct the AUC for it.
    """

    points: tuple[OperatingPoint, ...] = ()
    prevalence: float | None = None
    conformal: ConformalRule | JointRule | None = None
    room: ReadingRoom | None = None
    second: Mapping[str, int] | None = None
    others: Mapping[str, PredictionTable] = field(default_factory=dict)
    name: str = "this model"
    calibrated_at: float | None = None
    max_wait: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    readings: Readings | None = None
    panel: tuple[str, ...] | None = None
    label_quality: LabelQuality | None = None

    def __post_init__(self) -> None:
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            what = f"the prevalence {self.prevalence:g} lies not between 0 and 1"
            raise UsageError(what, mend="give a share such as 0.1")


@dataclass(frozen=True, eq=False)
class Evidence(Plain):
    """What follows from a table of predictions beyond its metrics; every bootstrap interval is by patient.

    `auc_delong`: the AUC with DeLong's interval, clustered by patient (Obuchowski 1997). `bca`: the metrics of
    METRIC_NAMES at the first operating point, with BCa intervals (Efron 1987). `points`: every operating point on test.
    `contradictions`: the images whose label the model contradicts most surely. `conformal`, `triage`, `labels`, `models`,
    `prior`, `readers` and `corrected` are None where `EvaluationOptions` did not ask for them; `matched` is where the table tells
    neither age nor sex nor view.
    """

    auc_delong: Estimate
    bca: dict[str, Estimate]
    points: tuple[AtThreshold, ...]
    decision_curve: DecisionCurve
    calibration: CalibrationReport
    subgroups: Subgroups
    contradictions: tuple[Contradiction, ...] = field(default=())
    conformal: ConformalResult | None = None
    triage: Triage | None = None
    labels: LabelComparison | None = None
    models: PairedComparison | None = None
    prior: PriorShift | None = None
    readers: ReaderStudy | None = None
    corrected: CorrectedAuc | None = None
    matched: MatchedPairs | None = None


def refuse_undrawable(label: NDArray[np.integer], options: EvaluationOptions) -> None:
    """Raises DataError for a worklist that images of labels (n,) cannot fill: at a prevalence when a class is missing.

    Labels are known before an image is read: ask first.
    """
    if options.room is not None:
        require_drawable(label, options.prevalence)


def refuse_unread(images: Sequence[str], options: EvaluationOptions) -> None:
    """Raises before an image is read: as `Readings.aligned` where none can be joined, as `truths_of` for a panel that is none."""
    if options.readings is not None:
        readings = options.readings.aligned(images)
        if options.panel:
            truths_of(readings, options.panel, None)


def gather(
    table: PredictionTable,
    options: EvaluationOptions,
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    metrics: Resampled | None = None,
) -> Evidence:
    """Answer all that is asked of these predictions; the intervals of one seed share their resamples of patients.

    `options.points` holds one operating point or more. Probabilities are judged as they stand, but for the decision
    curve at another prevalence (see `EvaluationOptions`). `metrics`: what `all_metrics` at the first point gave on the
    table and on these resamples, where it was asked before. Raises TableError for points that share a name and for
    models of other images; DataError for a second reading of other images and, before any interval, for what
    `refuse_undrawable` refuses.
    """
    refuse_undrawable(table.label, options)
    sample, first = Sample.of(table), options.points[0]
    same: dict[str, Any] = {"seed": seed, "n_resamples": n_resamples}
    statistic = all_metrics(sample.label, table.probability, first.threshold)
    bca = bootstrap_bca(statistic, sample, reasons=undefined_reasons(sample.label), drawn=metrics, **same)
    return Evidence(
        auc_delong=auc_delong(sample, table.probability),
        bca=bounded_metrics({n: bca[n] for n in METRIC_NAMES}, sample, table.probability >= first.threshold),
        points=at_thresholds(table, options.points, prevalence=options.prevalence, **same),
        decision_curve=decision_curve(
            sample, _deployed(table, options), prevalence=options.prevalence, seed=seed, n_resamples=n_resamples
        ),
        calibration=calibration_report(sample, table.probability, **same),
        subgroups=subgroups(table, first, **same),
        contradictions=contradicted(table, first, second=options.second),
        conformal=None
        if options.conformal is None
        else judge_conformal(options.conformal, sample, table.probability, prevalence=options.prevalence, **same),
        triage=None
        if options.room is None
        else simulate_triage(
            table, first, options.room, policies=_policies(options), prevalence=options.prevalence, seed=seed
        ),
        labels=None if options.second is None else compare_labels(table, options.second, first, **same),
        models=_side_by_side(table, options, **same) if options.others else None,
        prior=_prior(table, sample, options, **same),
        readers=_readers(table, sample, options, **same),
        corrected=None
        if options.label_quality is None
        else correct_auc(sample, table.probability, options.label_quality, **same),
        matched=match_pairs(sample, table.probability, table.columns, **same),
    )


def _readers(
    table: PredictionTable, sample: Sample, options: EvaluationOptions, *, seed: int, n_resamples: int
) -> ReaderStudy | None:
    if options.readings is None:
        return None
    return study_readers(
        options.readings.aligned(table.image.tolist()),
        groups=sample.groups,
        patients_known=sample.patients_known,
        panel=options.panel,
        label=np.asarray(table.label, dtype=np.int8),
        probability=table.probability,
        threshold=options.points[0].threshold,
        seed=seed,
        n_resamples=n_resamples,
    )


def _policies(options: EvaluationOptions) -> tuple[WorklistPolicy, ...]:
    waited = () if options.max_wait is None else (WorklistPolicy("probability", options.max_wait),)
    return (*POLICIES, *waited)


def _prior(
    table: PredictionTable, sample: Sample, options: EvaluationOptions, *, seed: int, n_resamples: int
) -> PriorShift | None:
    """The share of abnormal images as the probabilities tell it, where it is known at which they were calibrated."""
    fitted = options.calibrated_at
    if fitted is None:
        return None
    estimated = estimate_prevalence(
        table.probability,
        sample.groups,
        fitted,
        patients_known=sample.patients_known,
        n_resamples=n_resamples,
        seed=seed,
    )
    return PriorShift(fitted, estimated)


def _deployed(table: PredictionTable, options: EvaluationOptions) -> NDArray[np.floating]:
    """The probabilities (n,) as they would be shown at the stated prevalence."""
    if options.prevalence is None or options.calibrated_at is None:
        return table.probability
    return shift_prevalence(table.probability, options.calibrated_at, options.prevalence)


def _side_by_side(
    table: PredictionTable, options: EvaluationOptions, *, seed: int, n_resamples: int
) -> PairedComparison:
    """The judged model and the others on the same images, each at its own threshold, or at this model's if it has none."""
    sample, probabilities = align({options.name: table, **options.others})
    thresholds = dict.fromkeys(probabilities, options.points[0].threshold) | dict(options.thresholds)
    return compare_models(sample, probabilities, thresholds, seed=seed, n_resamples=n_resamples)

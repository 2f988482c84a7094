"""What the page of an evaluation shows below its verdict: the answers, and a section of tables for each question."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.subgroups.groupings import DIMENSIONS
from cxreader.records import LABEL_NAMES
from cxreader.reporting.evaluation.answers import answers, honesty
from cxreader.reporting.evaluation.image_evidence import ImageEvidence
from cxreader.reporting.evaluation.readers import readers_tables, truths_apart
from cxreader.reporting.evaluation.tables.adjusted_auc import corrected_table, matched_table
from cxreader.reporting.evaluation.tables.comparison_tables import (
    baselines_table,
    confounders_table,
    labels_tables,
    localisation_table,
    models_table,
    pairs_table,
    sanity_table,
    triage_table,
)
from cxreader.reporting.evaluation.tables.performance_tables import (
    bins_table,
    calibration_table,
    conformal_table,
    subgroup_table,
    sure_table,
)
from cxreader.reporting.evaluation.tables.points_table import points_table
from cxreader.reporting.evaluation.tables.refusals import answered_table, answered_words, refusal_words, refusals_table
from cxreader.reporting.tables import DIMENSION_TITLES, Table, format_estimate, format_share

if TYPE_CHECKING:
    from cxreader.evaluation.comparison.second_reading import Contradiction
    from cxreader.evaluation.decisions.conformal import ConformalResult
    from cxreader.evaluation.decisions.decision_curve import DecisionCurve
    from cxreader.evaluation.evidence import Evidence
    from cxreader.records import OperatingPoint


def sections(evaluation: Evaluation, image_evidence: ImageEvidence) -> dict[str, Any]:
    """Everything the template names besides verdict and figures; None or empty where there is nothing to show."""
    found = answers(evaluation, image_evidence)
    return {
        "answers": found,
        "answer": {answer.anchor: answer for answer in found},
        "sure": sure_table(evaluation),
        "baselines": baselines_table(evaluation) if evaluation.baselines else None,
        "facts": _facts(evaluation),
        "point": _point_facts(evaluation.operating_point),
        "refusals": None if evaluation.refusals is None else refusals_table(evaluation.refusals),
        "refusal_words": "" if evaluation.refusals is None else refusal_words(evaluation.refusals),
        "answered": answered_table(evaluation),
        "answered_words": "" if evaluation.answered is None else answered_words(evaluation.answered),
        **_of_evidence(evaluation, evaluation.evidence),
        **_of_images(image_evidence),
    }


def tables_of(evaluation: Evaluation, image_evidence: ImageEvidence) -> dict[str, Table]:
    """Every table of the page by the name of its section, for a paper."""
    found: dict[str, Table] = {}
    for name, value in sections(evaluation, image_evidence).items():
        several = value if isinstance(value, dict) else {"": value}
        for title, table in several.items():
            if isinstance(table, Table):
                slug = re.sub(r"[^a-z0-9]+", "_", f"{name} {title}".lower()).strip("_")
                found[slug] = table
    return found


def _of_evidence(evaluation: Evaluation, evidence: Evidence | None) -> dict[str, Any]:
    if evidence is None:
        first = ("points", "decision", "conformal", "conformal_words", "calibration", "honesty", "bins", "subgroups")
        last = ("notes", "models", "pairs", "triage", "labels", "contradictions", "note_of_triage")
        return dict.fromkeys((*first, *last, "readers", "corrected", "matched"))
    groups = evidence.subgroups
    return {
        "points": points_table(evaluation, evidence) if evidence.points else None,
        "decision": decision_words(evidence.decision_curve),
        "conformal": None if evidence.conformal is None else conformal_table(evidence.conformal),
        "conformal_words": None if evidence.conformal is None else conformal_words(evidence.conformal),
        "calibration": calibration_table(evidence.calibration, evidence.prior),
        "honesty": honesty(evidence.calibration),
        "bins": bins_table(evidence.calibration),
        "subgroups": subgroup_table(groups) if groups.groups else None,
        "notes": {DIMENSION_TITLES[name]: groups.notes[name] for name in DIMENSIONS if name in groups.notes},
        "models": None if evidence.models is None else models_table(evidence.models),
        "pairs": None if evidence.models is None else pairs_table(evidence.models),
        "triage": None if evidence.triage is None else triage_table(evidence.triage),
        "note_of_triage": None if evidence.triage is None else evidence.triage.note,
        "labels": None if evidence.labels is None else labels_tables(evidence.labels),
        "contradictions": [_contradiction(image) for image in evidence.contradictions],
        "readers": None if evidence.readers is None else readers_tables(evidence.readers, truths_apart(evaluation)),
        "corrected": None if evidence.corrected is None else corrected_table(evidence.corrected),
        "matched": None if evidence.matched is None else matched_table(evidence.matched),
    }


def _of_images(image_evidence: ImageEvidence) -> dict[str, Any]:
    audit, located, sanity = image_evidence.shortcuts, image_evidence.localisation, image_evidence.sanity
    return {
        "audit": audit,
        "confounders": None if audit is None else confounders_table(audit),
        "localisation": None if located is None else localisation_table(located),
        "localisation_words": "" if located is None else located.statement(),
        "pointing_words": "" if located is None else located.statement("pointing"),
        "regions": {found.title: localisation_table(found) for found in image_evidence.regions},
        "region_words": [
            (found.title, found.slug, found.statement(), found.statement("pointing"))
            for found in image_evidence.regions
        ],
        "sanity": None if sanity is None else sanity_table(sanity),
        "sanity_words": "" if sanity is None else sanity.statement(),
    }


def decision_words(curve: DecisionCurve) -> str:
    """One or two sentences: at which thresholds the model is worth following, as far as the band shows it."""
    where = f"{format_share(curve.prevalence)} abnormal, {'as stated' if curve.deployed else 'as in this sample'}"
    on = f"{curve.n_positive:,} abnormal, {curve.n_negative:,} normal images; {curve.method}; "
    on += f"pointwise over {len(curve.threshold)} thresholds"
    if np.isnan(curve.net_benefit).all():
        return f"Undefined: {curve.reason}."
    if not curve.useful:
        return f"At no threshold is flagging by the model shown to beat both flagging all and flagging none ({where}; {on})."
    spans = ", ".join(f"{a:.2f} to {b:.2f}" for a, b in curve.useful)
    return f"Flagging by the model beats both flagging all and flagging none at thresholds {spans} ({where}; {on})."


def conformal_words(result: ConformalResult) -> str:
    """One or two sentences: how many images are referred, and how often the answers given are right."""
    m = result.measures
    deployed = ""
    if result.referred_deployed is not None and result.prevalence is not None:
        deployed = f" (were {format_share(result.prevalence)} abnormal: {format_estimate(result.referred_deployed)})"
    short = [
        f"{who} {format_estimate(m[f'coverage_{who}'])}"
        for who in ("abnormal", "normal")
        if m[f"coverage_{who}"].high < 1 - result.alpha
    ]
    missed = f" The bound is not kept on test: coverage of {' and '.join(short)}." if short else ""
    return (
        f"Answers normal, abnormal, or refers to a human, with at most {format_share(result.alpha)} errors in each class as "
        f"its bound. It refers {format_estimate(m['referred'])} of the images{deployed}; of the answers given, "
        f"{format_estimate(m['right_when_decided'])} are right.{missed}"
    )


def _contradiction(image: Contradiction) -> dict[str, str | None]:
    return {
        "image": image.image,
        "label": LABEL_NAMES[image.label],
        "probability": f"{image.probability:.3f}",
        "second": None if image.second is None else LABEL_NAMES[image.second],
    }


def _facts(evaluation: Evaluation) -> dict[str, Any]:
    counts = evaluation.counts
    return {
        "Images": f"{counts.images:,}",
        "Patients": None if counts.patients is None else f"{counts.patients:,}",
        "Abnormal images": f"{counts.abnormal:,}",
        "Normal images": f"{counts.normal:,}",
    }


def _point_facts(point: OperatingPoint) -> dict[str, Any]:
    fitted = f"{point.fitted_on} ({point.n_positive:,} abnormal, {point.n_negative:,} normal images)"
    return {
        "Operating point": point.name,
        "Threshold": f"{point.threshold:.4f}",
        "Rule": point.rule,
        "Fitted on": fitted if point.fitted_on == "calibrate" else "nothing",
    }

"""One evaluation with every question asked, whose names are hostile and whose patients must never be told."""

from __future__ import annotations

from functools import cache

import numpy as np
from tests.reporting.evaluation.figures.test_localisation_figures import _localised, _sanity
from tests.reporting.evaluation.test_page import HOSTILE
from tests.reporting.evaluation.test_shortcuts import _audit

from cxreader.evaluation.decisions.conformal import ConformalRule
from cxreader.evaluation.evaluate import Evaluation, evaluate
from cxreader.evaluation.evidence import EvaluationOptions, Evidence
from cxreader.evaluation.worklist.reading_room import ReadingRoom, ReadingTime, Shift
from cxreader.records import OperatingPoint, PredictionTable
from cxreader.reporting.evaluation.image_evidence import ImageEvidence

PATIENT = "PATIENT-"
HOSPITAL = f"|*north* $\\frac{HOSTILE}"
OTHER = f"other | {HOSTILE}"
FIRST = OperatingPoint("youden", 0.5, "largest sensitivity + specificity - 1", 40, 50)
SECOND = OperatingPoint("screening", 0.2, "sensitivity at least 0.95", 40, 50)


def table(n: int = 600, *, one_class: bool = False, patients: bool = True) -> PredictionTable:
    """AP images are read much worse than PA ones; the one hospital's name would break HTML, Markdown and mathtext."""
    random = np.random.default_rng(4)
    label = np.zeros(n, dtype=np.int8) if one_class else (random.random(n) < 0.5).astype(np.int8)
    view = np.where(random.random(n) < 0.3, "AP", "PA")
    signal = np.where(view == "AP", -0.2, 1.4) * (2 * label - 1) + random.normal(0, 1, n)
    findings = np.where(label == 1, random.choice(["Mass", "Nodule|Effusion"], n), "No Finding")
    source = np.where(np.arange(n) % 2 == 0, HOSPITAL, "south")
    source[:6] = "tiny"
    columns: dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]] = {
        "view": view,
        "source": source,
        "findings": findings,
        "age": random.integers(20, 90, n).astype(np.float64),
    }
    return PredictionTable(
        np.array([f"image {k} {HOSTILE}" for k in range(n)]),
        label,
        1 / (1 + np.exp(-2.5 * signal)),
        np.array([f"{PATIENT}{k // 2:04d}" for k in range(n)]) if patients else None,
        columns,
    )


@cache
def rich() -> Evaluation:
    """Everything asked."""
    judged = table()
    other = PredictionTable(
        judged.image, judged.label, np.random.default_rng(5).random(len(judged)), judged.patient, judged.columns
    )
    flip = np.random.default_rng(6).random(len(judged)) < 0.1
    second = {name: int(y ^ f) for name, y, f in zip(judged.image[:400].tolist(), judged.label, flip, strict=False)}
    return evaluate(
        judged,
        FIRST,
        n_resamples=80,
        baselines={"metadata": np.random.default_rng(7).random(len(judged))},
        excluded={f"in training {HOSTILE}": 4},
        warnings=[f"leak {HOSTILE}"],
        provenance={"predictions": f"{HOSTILE}.csv", "model": "subject"},
        options=EvaluationOptions(
            points=(FIRST, SECOND),
            prevalence=0.1,
            conformal=ConformalRule(0.1, 0.3, 0.6, 40, 50),
            room=ReadingRoom(ReadingTime("exponential", 5.0), rate=100, shifts=(Shift(8, 18, 1),)),
            second=second,
            others={OTHER: other},
            name="subject",
        ),
    )


@cache
def bare(*, one_class: bool = False, options: bool = True) -> Evaluation:
    """Four columns and nothing else, or one class alone; without `options` no evidence at all."""
    whole = table(80, one_class=one_class)
    judged = PredictionTable(whole.image, whole.label, whole.probability, whole.patient)
    return evaluate(judged, FIRST, n_resamples=60, options=EvaluationOptions(points=(FIRST,)) if options else None)


def evidence_of(evaluation: Evaluation) -> Evidence:
    """What was asked besides."""
    assert evaluation.evidence is not None
    return evaluation.evidence


@cache
def image_evidence() -> ImageEvidence:
    """All that looks at images."""
    return ImageEvidence(_audit(), _localised(), _sanity())

"""A study of three networks on sixty images, made up: one that learnt nothing, two that did."""

from __future__ import annotations

import numpy as np

from cxreader.evaluation.comparison.networks import NetworkRuns, compare
from cxreader.evaluation.shortcuts.thumbnail import compare_with_thumbnail
from cxreader.evaluation.statistics.intervals import Estimate, Sample
from cxreader.reporting.study.published import CUSTOM_CNN, RESNET18
from cxreader.reporting.study.records import (
    Cohort,
    CohortPart,
    Cost,
    Epoch,
    Example,
    Grid,
    Look,
    PhaseCurve,
    StudyPanel,
    StudyReport,
    StudyRow,
    Training,
    Trial,
)

NAMES = ("Flat network", "ResNet18, two phases", "Third network")
HOSTILE = "<script>alert('x')</script>"


def training(seed: int, phases: int) -> Training:
    """Phases of four epochs, the third the best."""
    epochs = tuple(Epoch(0.69 - 0.01 * e, 0.69 - 0.005 * e, 0.5 + 0.02 * e) for e in range(4))
    curves = tuple(PhaseCurve(name, epochs, 3) for name in ("head", "fine-tune")[:phases])
    return Training(seed, curves, 0.54 + 0.01 * seed, 75.0)


def study_report(one_class: bool = False, networks: int = 3, hostile: bool = False) -> StudyReport:
    """The study; `hostile` puts markup wherever words go."""
    n, word = 60, HOSTILE if hostile else "plain"
    label = np.zeros(n, dtype=int) if one_class else np.arange(n) % 2
    noise = np.random.default_rng(0).normal(size=(3, 2, n))
    probability = 1 / (1 + np.exp(-(np.array([0.0, 1.0, 0.9])[:, None, None] * (2 * (np.arange(n) % 2) - 1) + noise)))
    probability[0] = 0.4
    runs = [NetworkRuns(name, (0, 1), p) for name, p in zip(NAMES, probability, strict=True)][:networks]
    published = (CUSTOM_CNN, RESNET18, None)
    rows = tuple(
        StudyRow(
            name, word, word, word, (training(0, 1 + (i > 0)), training(1, 1 + (i > 0))), 44, _cost(i), published[i]
        )
        for i, name in enumerate(NAMES[:networks])
    )
    pixels, colour = np.zeros((8, 8), dtype=np.uint8), np.zeros((8, 8, 3), dtype=np.uint8)
    looks = tuple(Look(name, 0.25 * i, "abnormal" if i > 1 else "normal", colour) for i, name in enumerate(NAMES) if i)
    part = CohortPart("test", n, 30, 30, 30)
    return StudyReport(
        title=f"A study {word}",
        cohort=Cohort(
            (part,),
            f"No patient stands in two parts {word}",
            {word: (7,)},
            {"PA": (60,)},
            (word,),
            (Example(pixels, word),),
        ),
        rows=rows,
        comparison=compare(Sample(label, np.arange(n) // 2), runs, n_resamples=80),
        panels={"all right": (), "wrong": (StudyPanel(word, "abnormal", pixels, looks, word, word),)},
        warnings=(f"Made up {word}",),
        provenance={"cxreader": "0.1.0", "date": "2026-01-01T00:00:00Z", "source": word, "none": None},
        command=f"cxreader study run {word}",
        thumbnail=compare_with_thumbnail(
            Sample(label, np.arange(n) // 2), probability[1][0], runs, here=probability[1].mean(axis=0), n_resamples=80
        ),
        grid=Grid(
            (
                Trial(2, {"lr": 3e-4, "dropout": 0.3}, 0.61, 5, 61.0),
                Trial(1, {"lr": 1e-3, "dropout": 0.3}, 0.62, 6, 9.0),
            ),
            44,
            Estimate(0.012, 0.001, 0.03, 22, 22, 20, "bootstrap by patient"),
        ),
    )


def _cost(i: int) -> Cost:
    return Cost(11_000_000, 8_000_000, None if i == 0 else 3.6e9, None if i == 0 else 41.2)

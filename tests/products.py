"""Predictions of somebody's product: a few patients, two images each, as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

HEADER = ("image", "patient", "label", "probability")
Row = tuple[object, ...]


def rows(first: int = 0, patients: int = 40, shift: float = 0.0) -> list[Row]:
    """Two images a patient, every other patient abnormal; the same patients have the same images whatever `shift`."""
    found: list[Row] = []
    for patient in range(first, first + patients):
        generator, label = np.random.default_rng(patient), patient % 2
        for visit in range(2):
            score = generator.normal(2 * label - 1) + shift * generator.normal()
            probability = round(float(1 / (1 + np.exp(-score))), 6)
            found.append((f"{patient}-{visit}.png", f"P{patient}", ("normal", "abnormal")[label], probability))
    return found


def write(path: Path, body: Iterable[Sequence[object]], header: Sequence[str] = HEADER) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *body])
    return str(path)

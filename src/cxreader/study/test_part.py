"""The test part as a trained network reads it: once, from the pixel cache, and kept."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cxreader.evaluation.calibration import apply_temperature
from cxreader.evaluation.predictions import read_predictions, write_predictions
from cxreader.inference.reader import Reader
from cxreader.models.artifact import load_artifact
from cxreader.records import PredictionTable
from cxreader.runs import RunFolder, write_json
from cxreader.training.cohort import Cohort

TEST, READINGS = "test.csv", "test_part.json"
_BATCH = 64


def read_test(run: RunFolder, cohort: Cohort) -> tuple[PredictionTable, float]:
    """The run's answers on the test part, and its threshold; read once from the pixel cache, then kept in `test.csv`."""
    path = run.path / TEST
    if not path.exists():
        reader, part = Reader.load(run.path), cohort.parts["test"]
        batches = np.array_split(part.rows, math.ceil(len(part) / _BATCH))
        normalise = reader.artifact.spec.normalise
        logits = np.concatenate([reader.backend.logits(normalise(part.pixels[rows])) for rows in batches])
        probability = apply_temperature(logits, reader.artifact.calibration.temperature)
        images = [image for image in cohort.split.parts["test"] if image in cohort.cache]
        records = [cohort.index.by_image[image] for image in images]
        known = any(record.patient is not None for record in records)
        patient = np.array([record.group for record in records], np.str_) if known else None
        labels = part.labels.astype(np.int8)
        write_predictions(path, PredictionTable(np.array(images, np.str_), labels, probability, patient))
    return read_predictions(path), load_artifact(run.artifact).operating_point().threshold


def record_reading(folder: Path, artifacts: Mapping[str, str]) -> int:
    """Note that these artifacts (name: id) are about to read the test part; answers how often others had done so before.

    Kept in `test_part.json`. Reading it again by the same artifacts is no new reading: nothing was chosen in between.
    """
    path = folder / READINGS
    readings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    if not readings or readings[-1]["artifacts"] != dict(artifacts):
        readings.append({"date": datetime.now(UTC).isoformat(timespec="seconds"), "artifacts": dict(artifacts)})
        write_json(path, readings)
    return len(readings) - 1

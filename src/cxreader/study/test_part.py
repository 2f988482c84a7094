"""The test part as a trained network reads it: once, from the pixel cache, and kept."""

from __future__ import annotations

import math

import numpy as np

from cxreader.evaluation.calibration import apply_temperature
from cxreader.evaluation.predictions import read_predictions, write_predictions
from cxreader.inference.reader import Reader
from cxreader.models.artifact import load_artifact
from cxreader.records import PredictionTable
from cxreader.runs import RunFolder
from cxreader.training.cohort import Cohort

TEST = "test.csv"
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

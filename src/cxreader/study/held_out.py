"""Predictions on the held-out test part: computed once by each trained network, from the pixel cache, and kept."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cxreader.data.dataset import CachedImages
from cxreader.evaluation.calibration.bounded import KEPT_FOR_ORDER
from cxreader.evaluation.calibration.temperature import margin
from cxreader.evaluation.predictions import read_predictions, write_predictions
from cxreader.inference.answers import Answers
from cxreader.inference.reader import Reader
from cxreader.models.artifact import load_artifact
from cxreader.records import ImageRecord, PredictionTable, patient_names
from cxreader.runs import RunFolder, write_json
from cxreader.training.cohort import Cohort

TEST, TEST_OF, READINGS = "test.csv", "test_of.json", "test_part.json"
_BATCH = 64


def read_test(run: RunFolder, cohort: Cohort) -> tuple[PredictionTable, float]:
    """The run's predictions for the readable images of the test part, in the split's order, and the threshold that decides.

    Computed once from the pixel cache, then kept in `test.csv` beside the hash of all they depend on: with other pixels,
    labels or images, or another artifact, they are computed anew.
    """
    artifact, part = load_artifact(run.artifact), cohort.parts["test"]
    images = list(cohort.images["test"])
    rules = [artifact.calibration, artifact.venn_abers, KEPT_FOR_ORDER]
    basis = json.dumps([artifact.weights_sha256, rules, part.digest, part.labels.tolist(), images])
    digest = hashlib.blake2b(basis.encode(), digest_size=16).hexdigest()
    path, sidecar = run.path / TEST, run.path / TEST_OF
    if not path.exists() or not sidecar.exists() or json.loads(sidecar.read_text(encoding="utf-8"))["of"] != digest:
        _predict(run, part, [cohort.index.by_image[image] for image in images], path)
        write_json(sidecar, {"of": digest})
    return read_predictions(path), Answers.of(artifact).operating_points[0].threshold


def _predict(run: RunFolder, part: CachedImages, records: Sequence[ImageRecord], path: Path) -> None:
    reader = Reader.load(run.path)
    batches = np.array_split(part.rows, math.ceil(len(part) / _BATCH))
    normalise = reader.artifact.spec.normalise
    logits = np.concatenate([reader.backend.logits(normalise(part.pixels[rows])) for rows in batches])
    probability = reader.only.answers.calibrator.apply(margin(logits))
    known = any(record.patient is not None for record in records)
    patient = np.array(patient_names(records), np.str_) if known else None
    images = np.array([record.image for record in records], np.str_)
    write_predictions(path, PredictionTable(images, part.labels.astype(np.int8), probability, patient))


def record_reading(folder: Path, artifacts: Mapping[str, str]) -> int:
    """Note in `test_part.json` that these artifacts (name: id) are about to read the test part.

    Returns how many other sets of artifacts of this folder had read it before: after the first, a choice may rest on what it
    said. The same artifacts (whatever their names) as last time are no new reading: nothing was chosen in between.
    """
    path = folder / READINGS
    readings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    if not readings or sorted(readings[-1]["artifacts"].values()) != sorted(artifacts.values()):
        readings.append({"date": datetime.now(UTC).isoformat(timespec="seconds"), "artifacts": dict(artifacts)})
        write_json(path, readings)
    return len(readings) - 1

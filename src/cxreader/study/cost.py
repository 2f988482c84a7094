"""The cost of a trained network: parameters, floating-point operations an image, and images a second on this machine."""

from __future__ import annotations

import json
import os
import platform
import time

from cxreader import torch_setup  # noqa: F401 - before torch

# isort: split
import torch
from torch.utils.flop_counter import FlopCounterMode

from cxreader.inference.reader import Reader
from cxreader.models.artifact import load_artifact
from cxreader.models.registry import create_model
from cxreader.reporting.study.records import Cost
from cxreader.runs import RunFolder, write_json
from cxreader.training.cohort import Cohort

COST = "cost.json"
_BATCH, _SECONDS = 32, 1.0


def measured_cost(run: RunFolder, cohort: Cohort) -> Cost:
    """The cost of the network of a finished run: measured once, then kept in its `cost.json`, so that a resumed study agrees.

    `cohort` gives the images (of tune) for the timing; decoding and heat maps are not in it.
    """
    path = run.path / COST
    if not path.exists():
        write_json(path, _measure(run, cohort))
    return Cost(**json.loads(path.read_text(encoding="utf-8")))


def _measure(run: RunFolder, cohort: Cohort) -> dict[str, float | int | str]:
    artifact, config = load_artifact(run.artifact), run.load_config()
    model = create_model(artifact.model, dropout=artifact.dropout, size=artifact.spec.size).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, artifact.spec.size, artifact.spec.size))
    last = artifact.provenance["phases"][-1]["name"]
    model.learn(getattr(config.training, last).learn)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "learning_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "flops": float(counter.get_total_flops()),
        "images_per_second": _speed(Reader.load(run.path), cohort),
        "note": f"{platform.machine()}, {os.cpu_count()} cores, batches of {_BATCH} decoded images, without heat maps",
    }


def _speed(reader: Reader, cohort: Cohort) -> float:
    part = cohort.parts["tune"]
    pixels = part.pixels[part.rows[: min(_BATCH, len(part))]]
    batch = reader.artifact.spec.normalise(pixels)
    reader.backend.logits(batch)
    started, read = time.perf_counter(), 0
    while (spent := time.perf_counter() - started) < _SECONDS:
        reader.backend.logits(batch)
        read += len(batch)
    return round(read / spent, 1)

"""Images that are sent, the tiny network that reads them, and a worker that reads until nothing waits."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.artifacts import hand_made
from tests.dicom_files import dataset, encoded, picture

from cxreader.inference.reader import Reader
from cxreader.serving.service import TriageService
from cxreader.serving.store import models
from cxreader.serving.store.tables.readings import Job
from cxreader.serving.worker.leases import Leases
from cxreader.serving.worker.models import RUNTIME
from cxreader.serving.worker.pipeline import Pipeline
from cxreader.serving.worker.run import Worker, leases_of

SIZE = 64


def make_artifact(folder: Path, seed: int) -> Path:
    """An exported artifact of a ResNet18 of 64 px with random weights."""
    import torch

    from cxreader.inference.export import export_onnx
    from cxreader.models.registry import create_model

    torch.manual_seed(seed)
    model = create_model("resnet18", size=SIZE)
    with torch.no_grad():
        model.train()(torch.randn(16, 3, SIZE, SIZE))
    hand_made(folder, "resnet18", model.state_dict(), SIZE)
    export_onnx(folder)
    return folder


def dicom(seed: int = 0, **more: Any) -> bytes:
    """A DX image; another one for another seed, each of its own patient and study unless `more` says otherwise."""
    own = {"StudyInstanceUID": f"1.2.3.{seed}", "SeriesInstanceUID": f"1.2.3.{seed}.1", "PatientID": f"P{seed}"}
    return encoded(dataset(picture(seed=seed), **(own | more)))


def png(seed: int = 0, side: int = 80) -> bytes:
    """A grey picture that looks like none other."""
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (12, 10)).astype(np.uint8))
    buffer = io.BytesIO()
    coarse.resize((side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def leases(service: TriageService, holder: str = "a worker") -> Leases:
    """The service's queue as a worker sees it."""
    return leases_of(service.settings, service.database, holder)


@cache
def reader_of(models: tuple[Path, ...]) -> Reader:
    """The reader of these models, loaded once for all tests of a process."""
    return Reader.load(models, backend=RUNTIME)


def read_all(service: TriageService) -> None:
    """A worker reads until nothing waits."""

    def nothing_waits() -> bool:
        with service.database.reading() as session:
            of = models.active(session)
            now = service.database.now(session)
            waiting = session.query(Job).filter(Job.state.in_(("waiting", "leased")), Job.available_at <= now)
            return of is None or not waiting.count()

    with Pipeline(reader_of(service.settings.models), service.objects) as pipeline:
        Worker(leases(service), pipeline, service.settings.worker).work(nothing_waits)

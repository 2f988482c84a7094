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

from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import read
from cxreader.inference.reader import Reader
from cxreader.serving.service import TriageService
from cxreader.serving.store.reading import models
from cxreader.serving.store.tables.readings import Job
from cxreader.serving.worker.leases import Leases
from cxreader.serving.worker.models import RUNTIME
from cxreader.serving.worker.pipeline import Pipeline
from cxreader.serving.worker.run import Worker

SIZE = 64


def make_artifact(folder: Path, seed: int, *, exported: bool = True) -> Path:
    """An artifact of a ResNet18 of 64 px with random weights, which calls half of these images abnormal."""
    import torch

    from cxreader.inference.runtimes.export import export_onnx
    from cxreader.models.registry import create_model

    torch.manual_seed(seed)
    model = create_model("resnet18", size=SIZE)
    with torch.no_grad():
        model.train()(torch.randn(16, 3, SIZE, SIZE))
    model.eval()
    spec = InputSpec(SIZE)
    samples = [spec.pixels(read(data)) for n in range(6) for data in (dicom(n), png(n))]
    with torch.no_grad():
        logits = model(torch.from_numpy(spec.normalise(np.stack(samples))))
        margin = logits[:, 1] - logits[:, 0]
        spread = 2 / float(margin.std())
        state = {
            name: value * spread if len(value.shape) and value.shape[0] == 2 else value
            for name, value in model.state_dict().items()
        }
        (bias,) = (name for name, value in state.items() if value.shape == (2,))
        state[bias] = state[bias] - torch.tensor([0.0, float(margin.quantile(0.5)) * spread])
    hand_made(folder, "resnet18", state, SIZE)
    if exported:
        export_onnx(folder)
    return folder


def dicom(seed: int = 0, **more: Any) -> bytes:
    """A DX image; another one for another seed, each of its own patient and study unless `more` says otherwise."""
    own = {"StudyInstanceUID": f"1.2.3.{seed}", "SeriesInstanceUID": f"1.2.3.{seed}.1", "PatientID": f"P{seed}"}
    coarse = Image.fromarray(np.random.default_rng(seed).random((6, 8)).astype(np.float32)).resize(
        picture().shape[::-1]
    )
    values = (picture(seed=seed) * (0.4 + 0.6 * np.asarray(coarse).clip(0, 1))).astype(np.int64)
    return encoded(dataset(values, **(own | more)))


def png(seed: int = 0, side: int = 80) -> bytes:
    """A grey picture that looks like none other."""
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (12, 10)).astype(np.uint8))
    buffer = io.BytesIO()
    coarse.resize((side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def leases(service: TriageService, holder: str = "a worker") -> Leases:
    """The service's queue as a worker sees it."""
    return Leases(service.database, service.settings, holder)


def active_digest(service: TriageService) -> str:
    """Of the active models."""
    with service.database.reading() as session:
        found = models.active(session)
        assert found is not None
        return found.digest


@cache
def reader_of(models: tuple[Path, ...]) -> Reader:
    """The reader of these models, loaded once for all tests of a process."""
    return Reader.load(models, backend=RUNTIME)


def read_all(service: TriageService) -> None:
    """A worker reads until nothing waits."""

    def nothing_waits() -> bool:
        with service.database.reading() as session:
            now = service.database.now(session)
            waiting = session.query(Job).filter(Job.state.in_(("waiting", "leased")), Job.available_at <= now)
            return not waiting.count()

    with Pipeline(reader_of(service.settings.models), service.objects) as pipeline:
        Worker(leases(service), pipeline, active_digest(service), service.settings.worker).work(nothing_waits)

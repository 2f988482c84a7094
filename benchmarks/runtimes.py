"""Reading without torch: ONNX Runtime beside torch as one writes it, files beside ready tensors, and a cold start."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apart import answer, apart, sides_in_turns
from images import find_images
from measure import Row, Spread, ratios, take_turns

GOALS = {"resnet18": (1.4, 1.4), "efficientnet_b0": (2.5, 4.0), "densenet121": (1.8, 1.8)}
"""By network, for a single image and for a batch."""
NAMES = {"resnet18": "ResNet18", "efficientnet_b0": "EfficientNet-B0", "densenet121": "DenseNet121"}
BATCHES = (1, 16)
READING_GOAL, START_GOAL = 0.8, 2.0
READ = "resnet18"

# What a side imports, it imports itself: ours must not load torch, and the peer's threads must wait as torch lets them.


def measure_runtimes(scratch: Path, *, quick: bool) -> list[Row]:
    """Each side in a process of its own, in turns."""
    size, seconds, repetitions = (64, 0.2, 1) if quick else (224, 4.0, 5)
    folders = apart("runtimes.py", side="export", scratch=str(scratch), size=size)
    rows = []
    for network, goals in GOALS.items():
        given = {"folder": folders[network], "network": network, "size": size, "seconds": seconds}
        found = sides_in_turns("runtimes.py", ("onnx", "torch"), repetitions, **given)
        for n, (batch, goal) in enumerate(zip(BATCHES, goals, strict=True)):
            ours, peer = ([one["seconds"][n] for one in found[side]] for side in ("onnx", "torch"))
            times = ratios(peer, ours)
            rows.append(
                Row(
                    f"logits and features of {NAMES[network]}, {batch} image{'s' * (batch > 1)} of {size} px a call, "
                    f"{found['torch'][0]['threads']} threads, a process for each side",
                    f"ONNX Runtime: {_rate(batch, ours)}",
                    f"timm in torch, eager (NCHW, eval, inference_mode), logits alone: {_rate(batch, peer)}",
                    times,
                    f"at least {goal:g}",
                    times.median >= goal,
                )
            )
    return [*rows, *_reading(Path(folders[READ]), scratch, quick=quick)]


def _reading(folder: Path, scratch: Path, *, quick: bool) -> list[Row]:
    """From files to readings with heat maps, and how long the first one takes."""
    count, repetitions = (16, 1) if quick else (160, 5)
    found = find_images(count, scratch)
    files = _dicom_files(sorted(set(found.paths())), scratch / "dicom", count)
    reading = apart("runtimes.py", side="reading", folder=str(folder), files=files, repetitions=repetitions)
    share = ratios(reading["tensors"], reading["files"])
    command = [str(Path(sys.executable).with_name("cxreader")), "-q", "read", files[0], "--model", str(folder)]
    starts = take_turns(
        {
            "read": lambda: subprocess.run(command, check=True, capture_output=True),
            "python": lambda: subprocess.run([sys.executable, "-c", "pass"], check=True, capture_output=True),
        },
        1 if quick else 9,
    )
    first = Spread.of(starts["read"])
    return [
        Row(
            f"from files to readings with heat maps and acceptance, {NAMES[READ]}: {count} uncompressed DICOM files made of "
            f"{found.what}, `Reader.read_many`",
            _rate(count, reading["files"]),
            f"the same runtime on ready tensors, heat maps included: {_rate(count, reading['tensors'])}",
            share,
            f"at least {READING_GOAL:g}",
            share.median >= READING_GOAL,
        ),
        Row(
            f"`cxreader read` of one DICOM file of 1024 px, {NAMES[READ]} by ONNX Runtime, a whole process",
            first.text(2, "s"),
            f"Python that does nothing: {Spread.of(starts['python']).text(2, 's')}",
            goal=f"under {START_GOAL:g} s",
            met=first.median < START_GOAL,
        ),
    ]


def _rate(images: int, seconds: list[float]) -> str:
    return Spread.of(images / s for s in seconds).text(1, "images/s")


def _dicom_files(pictures: list[str], folder: Path, count: int) -> list[str]:
    """`count` names of files: each picture as 12 bits in 16, MONOCHROME2, not compressed; repeated when there are fewer."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    made = []
    for n, picture in enumerate(pictures):
        pixels = np.asarray(Image.open(picture).convert("L")).astype(np.uint16) << 4
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID = DigitalXRayImageStorageForPresentation, generate_uid()
        one.Modality, one.BodyPartExamined, one.ViewPosition = "DX", "CHEST", "PA"
        one.PresentationIntentType = "FOR PRESENTATION"
        one.PhotometricInterpretation, one.SamplesPerPixel, one.PixelRepresentation = "MONOCHROME2", 1, 0
        one.Rows, one.Columns = pixels.shape
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 12, 11
        one.PixelData = pixels.tobytes()
        one.save_as(folder / f"{n}.dcm", enforce_file_format=True)
        made.append(str(folder / f"{n}.dcm"))
    return [made[n % len(made)] for n in range(count)]


def _side(side: str, **given: Any) -> Any:
    sides: dict[str, Callable[..., Any]] = {"export": _export, "onnx": _onnx, "torch": _torch, "reading": _read}
    return sides[side](**given)


def _export(scratch: str, size: int) -> dict[str, str]:
    """Artifacts with random weights, exported: how fast a network is does not depend on what it has learnt."""
    from cxreader import torch_setup  # noqa: F401 - before timm

    # isort: split
    import torch
    from safetensors.torch import save

    from cxreader.imaging.preprocess import InputSpec
    from cxreader.inference.export import export_onnx
    from cxreader.models.artifact import Artifact, TrainingPatients, save_artifact, sha256
    from cxreader.models.registry import create_model
    from cxreader.records import OperatingPoint

    folders = {}
    for network in GOALS:
        torch.manual_seed(0)
        model = create_model(network, size=size)
        with torch.no_grad():
            model.train()(torch.randn(8, 3, size, size))  # statistics other than 0 and 1
        weights = bytes(save(model.state_dict()))
        artifact = Artifact(
            model=network,
            dropout=0.2,
            spec=InputSpec(size),
            calibration={"temperature": 1.0, "n_positive": 30, "n_negative": 30, "method": "temperature"},
            operating_points=(OperatingPoint.given(0.5),),
            transfer="none: random weights",
            patients=TrainingPatients("salt", {"train": (), "tune": (), "calibrate": ()}, ()),
            weights_sha256=sha256(weights),
        )
        folder = save_artifact(artifact, weights, Path(scratch) / network)
        export_onnx(folder)
        folders[network] = str(folder)
    return folders


def _onnx(folder: str, network: str, size: int, seconds: float) -> dict[str, Any]:  # noqa: ARG001
    from cxreader.inference.backend import load_backend
    from cxreader.models.artifact import load_artifact

    backend = load_backend("onnx", load_artifact(folder), Path(folder))
    batches = [_batch(count, size) for count in BATCHES]
    return {"seconds": [_seconds(partial(backend.run, x), seconds) for x in batches]}


def _torch(folder: str, network: str, size: int, seconds: float) -> dict[str, Any]:  # noqa: ARG001
    import torch

    # isort: split
    from cxreader import torch_setup  # noqa: F401 - behind torch, for timm's torchvision alone

    # isort: split
    import timm

    model = timm.create_model(network, num_classes=2).eval()

    def run(x: torch.Tensor) -> object:
        with torch.inference_mode():
            return model(x).numpy()

    batches = [torch.from_numpy(_batch(count, size)) for count in BATCHES]
    return {"seconds": [_seconds(partial(run, x), seconds) for x in batches], "threads": torch.get_num_threads()}


def _batch(count: int, size: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((count, 3, size, size)).astype(np.float32)


def _seconds(call: Callable[[], object], seconds: float) -> float:
    """The median call of as many as fit into `seconds`, at least three, behind three that warm up."""
    for _ in range(3):
        call()
    found: list[float] = []
    while len(found) < 3 or sum(found) < seconds:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return float(np.median(found))


def _read(folder: str, files: list[str], repetitions: int) -> dict[str, Any]:
    """Seconds for all files: through the Reader, and of the network alone on as many ready tensors. No torch is loaded."""
    from cxreader import Reader
    from cxreader.inference.reader import BATCH
    from cxreader.models.artifact import load_artifact, save_manifest
    from cxreader.models.known_images import fit_known_images

    reader = Reader.load(folder, backend="onnx")
    spec = reader.artifact.spec
    pixels = np.concatenate([next(iter(reader.prepare(file).pixels.values()))[None] for file in files])
    tensors = [spec.normalise(pixels[start : start + BATCH]) for start in range(0, len(files), BATCH)]
    seen = (pixels, np.concatenate([reader.backend.run(x).features for x in tensors]))
    many = -(-200 // len(files))  # a rule needs a hundred images or more, whichever they are
    learnt = tuple(np.concatenate([part] * many) for part in seen)
    rule = fit_known_images((learnt[0], learnt[1]), (learnt[0], learnt[1]), 0.02, seed=0)
    assert rule is not None
    save_manifest(replace(load_artifact(folder), acceptance=rule.to_dict()), Path(folder))
    reader = Reader.load(folder, backend="onnx")
    tasks = {
        "files": lambda: list(reader.read_many(files, heat_map=True, refuse=False)),
        "tensors": lambda: [reader.backend.run(x, maps=True) for x in tensors],
    }
    assert all(reading.heat_map is not None for reading in reader.read_many(files, heat_map=True, refuse=False))
    assert "torch" not in sys.modules
    return dict(take_turns(tasks, repetitions))


if __name__ == "__main__":
    answer(_side)

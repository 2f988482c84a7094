"""A small training for one device or several, and what its processes are told to do."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch

from cxreader.data.augment import Augmentation
from cxreader.data.dataset import Batch, BatchShare, CachedImages
from cxreader.errors import DataError
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.registry import create_model
from cxreader.models.stages import StagedModel
from cxreader.training.fit import Settings, fit_phase
from cxreader.training.module import Recipe
from cxreader.training.phases import Phase, PhaseResult

SPEC = InputSpec(32)
SETTINGS = Settings(batch_size=8, monitor="loss", accelerator="cpu", show_progress=False)
RECIPE = Recipe(3, SPEC, Augmentation(), label_smoothing=0.05, batch_statistics=False)
EPOCHS, STEPS = 4, 5
Parts = Mapping[str, CachedImages]


def make_parts(file: Path) -> Parts:
    """33 and 65 images of a memory map: the last batch of both parts is one image, of which the second process has none."""
    random = np.random.default_rng(0)
    labels, rows = random.integers(0, 2, 98), random.permutation(98)
    pixels = random.integers(0, 200, (98, 32, 32), np.uint8)
    pixels[labels == 1, 8:20, 8:20] += 50
    file.write_bytes(pixels.tobytes())
    mapped = np.memmap(file, np.uint8, "r", shape=pixels.shape)
    taught = np.stack([0.8 * labels + 0.1, random.uniform(0.2, 3, 98)], axis=1).astype(np.float32)
    first, second = rows[:33], rows[33:]
    return {
        "train": CachedImages(mapped, first, labels[first], taught[first]),
        "tune": CachedImages(mapped, second, labels[second]),
    }


class Acting(CachedImages):
    """Images whose process leaves its number in `folder` and, at the batch `last`, is killed: the first that comes so far."""

    def __init__(self, images: CachedImages, folder: Path, last: int = -1) -> None:
        super().__init__(images.pixels, images.rows, images.labels, images.supervision)
        self.folder, self.last = folder, last

    def __getitem__(self, positions: Sequence[int]) -> Batch:
        (self.folder / f"{os.getpid()}.pid").touch()
        self.last -= 1
        if self.last == 0:
            with suppress(FileExistsError):
                (self.folder / "killed").open("x").close()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(positions)


def network() -> StagedModel:
    torch.manual_seed(1)
    return create_model("chestxray_cnn", dropout=0.3, size=32)


def train_into(folder: Path, parts: Parts, devices: int = 1, epochs: int = EPOCHS, **more: Any) -> PhaseResult:
    phase = Phase("full", "all", 1e-4, epochs, patience=epochs)
    return fit_phase(network(), phase, RECIPE, parts, folder, replace(SETTINGS, devices=devices), **more)


def look(images: CachedImages, folder: Path, share: BatchShare) -> None:
    number = torch.ones(1) * share.rank
    torch.distributed.all_reduce(number)
    mapped = isinstance(images.pixels, np.memmap) and images.pixels.filename
    found = {
        "share": [share.rank, share.ranks],
        "sum": number.item(),
        "threads": torch.get_num_threads(),
        "mapped": str(mapped),
        "pixels": int(images.pixels.sum()),
        "deaf": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
    }
    (folder / f"{share.rank}.json").write_text(json.dumps(found))


def fail(kind: str, share: BatchShare) -> None:
    if share.rank == 1:
        raise DataError("image 7 is torn", where="here", mend="mend it") if kind == "tree" else ValueError("a bug")
    torch.distributed.barrier()

"""Full fine-tuning on a GPU: images a second against a plain loop, and how long the GPU waits for data."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from apart import answer, sides_in_turns
from measure import Row, Spread, ratios

NETWORKS, BATCH, RATE, GOAL = ("resnet18", "densenet121", "efficientnet_b0"), 64, 1e-4, 0.05
MEASURED = 3
"""Epochs measured, behind one that is not."""


def measure_gpu(*, quick: bool) -> list[Row]:
    """A row a network, each side in a process of its own; where there is no GPU, one row that says so."""
    import torch

    if not torch.cuda.is_available():
        what = "full fine-tuning on a GPU: images a second, and the share of the time that it waits for data"
        return [Row(what, "no GPU at hand: not measured")]
    return [_row(name, *((128, 64) if quick else (6400, 224))) for name in NETWORKS]


def _row(name: str, images: int, size: int) -> Row:
    import torch

    found = sides_in_turns("gpu.py", ("ours", "plain"), 1, name=name, images=images, size=size)
    ours, plain = found["ours"][0], found["plain"][0]
    waits = Spread.of(100 * w for w in ours["waits"])
    what = f"full fine-tuning of {name} on {torch.cuda.get_device_name()}"
    return Row(
        f"{what}, {images:,} images at {size} px an epoch in batches of {BATCH}, augmented",
        f"{Spread.of(ours['rates']).text(0)} images/s; waits for data {waits.text(1)} % of the time (bf16, channels-last, "
        "uint8 uploaded and augmented on the GPU)",
        f"timm and Adam in a plain loop (float32, NCHW, torchvision's transforms in {plain['workers']} workers): "
        f"{Spread.of(plain['rates']).text(0)} images/s, waits {Spread.of(100 * w for w in plain['waits']).text(1)} %",
        ratios([1 / r for r in plain["rates"]], [1 / r for r in ours["rates"]]),
        f"waits under {GOAL:.0%}",
        waits.median < 100 * GOAL,
    )


class _Waits:
    """Seconds that the training loop stood still for its next batch, training and tune.

    The GPU may still have been busy meanwhile: it waited so long at most.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count in every DataLoader."""
        from torch.utils.data.dataloader import _BaseDataLoaderIter

        fetch = _BaseDataLoaderIter.__next__

        def timed(batches: Any) -> Any:
            start = time.perf_counter()
            try:
                return fetch(batches)
            finally:
                self.seconds += time.perf_counter() - start

        with patch.object(_BaseDataLoaderIter, "__next__", timed):
            yield


def _side(side: str, name: str, images: int, size: int) -> dict[str, Any]:
    return (_ours if side == "ours" else _plain)(name, images, size)


def _ours(name: str, images: int, size: int) -> dict[str, Any]:
    """Through `fit_phase` as `cxreader train` runs it; an epoch has one batch of tune images too."""
    from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
    from cxreader.machine import keep_pages

    # isort: split
    from cxreader.data.augment import Augmentation
    from cxreader.imaging.preprocess import InputSpec
    from cxreader.models.registry import create_model
    from cxreader.training.fit import Settings, fit_phase
    from cxreader.training.module import Recipe
    from cxreader.training.phases import Phase
    from noise import noise

    keep_pages()  # as `train` does
    epochs: list[float] = []
    waited: list[float] = []
    waits = _Waits()

    def watch(_: str, epoch: Mapping[str, Any]) -> None:
        epochs.append(epoch["seconds"])
        waited.append(waits.seconds)

    phase = Phase("full", "all", RATE, epochs=1 + MEASURED, patience=1 + MEASURED)
    settings = Settings(BATCH, monitor="loss", show_progress=False)
    recipe = Recipe(0, InputSpec(size), Augmentation())
    with TemporaryDirectory(prefix="cxreader-bench-") as folder, waits.counted():
        parts = noise(Path(folder), images, BATCH, size)
        fit_phase(create_model(name, size=size), phase, recipe, parts, Path(folder) / "run", settings, watch=watch)
    return _answer(images, epochs, waited)


def _plain(name: str, images: int, size: int) -> dict[str, Any]:
    """The same pixels, decoded in memory; every core augments."""
    import torch

    # isort: split
    from cxreader import torch_setup  # noqa: F401 - behind torch, for timm's torchvision alone

    # isort: split
    import numpy as np
    import timm
    from PIL import Image
    from torch.nn import functional
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    from cxreader.imaging.preprocess import InputSpec
    from cxreader.machine import cores

    spec = InputSpec(size)
    augmented = transforms.Compose(
        [
            transforms.RandomAffine(7, translate=(0.05, 0.05), scale=(0.95, 1.05)),
            transforms.ColorJitter(brightness=0.1, contrast=0.1),
            transforms.ToTensor(),
            transforms.Normalize(spec.mean, spec.std),
        ]
    )
    pixels = np.random.default_rng(0).integers(0, 256, (images, size, size), np.uint8)

    class Augmented(Dataset[Any]):
        def __len__(self) -> int:
            return len(pixels)

        def __getitem__(self, position: int) -> Any:
            return augmented(Image.fromarray(pixels[position]).convert("RGB")), position % 2

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = timm.create_model(name, num_classes=2).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    batches = DataLoader(
        Augmented(), BATCH, shuffle=True, num_workers=cores(), pin_memory=True, persistent_workers=True
    )
    epochs, waited, waits = [], [], _Waits()
    with waits.counted():
        for _ in range(1 + MEASURED):
            start = time.perf_counter()
            for x, label in batches:
                optimizer.zero_grad()
                functional.cross_entropy(model(x.to(device)), label.to(device)).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            epochs.append(time.perf_counter() - start)
            waited.append(waits.seconds)
    return {**_answer(images, epochs, waited), "workers": cores()}


def _answer(images: int, epochs: list[float], waited: list[float]) -> dict[str, Any]:
    """Rate and waiting share of each epoch but the first; `waited` is summed over all up to each."""
    shares = [(waited[n] - waited[n - 1]) / epochs[n] for n in range(1, len(epochs))]
    return {"rates": [images / seconds for seconds in epochs[1:]], "waits": shares}


if __name__ == "__main__":
    answer(_side)

"""One epoch of batches, no network: from the pixel cache, and by decoding every PNG again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cxreader.data.dataset import CachedImages, EpochOrder, loader
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.imaging.preprocess import InputSpec
from cxreader.machine import cores
from images import Images
from measure import Row, rates, ratios, take_turns

SIZE, BATCH, GOAL = 224, 32, 15.0


class Decoded(Dataset[Tensor]):
    """What most training scripts do: open, grey, resize, an image at a time. uint8 (SIZE, SIZE)."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> Tensor:
        with Image.open(self.paths[position]) as image:
            small = image.convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(small))


def measure_batches(images: Images, scratch: Path, repetitions: int) -> list[Row]:
    """Every way delivers the same shuffled number of batches uint8 (BATCH, SIZE, SIZE); the files lie in memory."""
    count, workers = len(images.records), cores()
    cache = build_cache(images.records, InputSpec(SIZE), scratch / "batches")
    labels = np.array([record.label for record in images.records])
    cached = CachedImages(cache.pixels, cache.rows(record.image for record in images.records), labels)
    order = EpochOrder(count, BATCH, seed=0, shuffle=True)
    decoded = Decoded(images.paths())
    alone = DataLoader(decoded, batch_size=BATCH, shuffle=True)
    shared = DataLoader(
        decoded,
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )
    epochs = {
        "cache": lambda: sum(len(pixels) for pixels, _ in loader(cached, order)),
        "pillow": lambda: sum(len(pixels) for pixels in alone),
        "workers": lambda: sum(len(pixels) for pixels in shared),
    }
    seconds = take_turns(epochs, repetitions)
    ours = f"{rates(count, seconds['cache']).text(0)} images/s, one process"
    what = f"one epoch of batches, no network: {count} images at {SIZE} px in batches of {BATCH} ({images.what})"
    times = ratios(seconds["pillow"], seconds["cache"])
    more = ratios(seconds["workers"], seconds["cache"])
    return [
        Row(
            what,
            ours,
            f"Pillow, one process: {rates(count, seconds['pillow']).text(0)} images/s",
            times,
            f"at least {GOAL:g}",
            times.median >= GOAL,
        ),
        Row("the same", ours, f"Pillow, {workers} workers: {rates(count, seconds['workers']).text(0)} images/s", more),
    ]

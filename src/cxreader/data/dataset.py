"""Batches of cached pixels, in an order that depends on the seed, the phase and the epoch alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cxreader.imaging.preprocess import InputSpec

Batch = tuple[Tensor, ...]
"""Pixels or stage outputs, labels int64 (b,), and where labels are of different worth `supervision` float32 (b, 2)."""


def derive_seed(*words: int | str) -> int:
    """A 63-bit seed of its own for every combination, such as (seed, phase, epoch, step)."""
    digest = hashlib.blake2b(repr(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True, slots=True)
class BatchShare:
    """Which images of every batch are those of one process of `ranks` that train together: places rank, rank + ranks and so on.

    The batches stay those of one process, and with them everything that is drawn by batch or counted in steps.
    """

    rank: int = 0
    ranks: int = 1

    def places(self, count: int) -> list[int]:
        """Of a batch of `count` images those of this process; a stand-in, the first, where it has none."""
        return [0] if self.is_idle(count) else list(range(self.rank, count, self.ranks))

    def is_idle(self, count: int) -> bool:
        """Whether a batch of `count` images has none for this process: its stand-in counts for nothing."""
        return self.rank >= count


WHOLE = BatchShare()
"""Every image: what the one process of a training has."""


class CachedImages(Dataset[Batch]):
    """Pixels uint8 (N, H, W) of a cache, the `rows` that belong here, and their labels (n,).

    `supervision` (n, 2) float32: of each image the probability that it is abnormal, which is what a network learns in place
    of the label, and the weight of its loss, >= 0; None where every label is taken as it is.
    Asked with a list of positions it gives a whole batch at once: uint8 (b, H, W), int64 (b,), and supervision (b, 2).
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        rows: NDArray[np.integer],
        labels: NDArray[np.integer],
        supervision: NDArray[np.float32] | None = None,
    ) -> None:
        self.pixels, self.rows, self.labels, self.supervision = pixels, rows, labels, supervision

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: Sequence[int]) -> Batch:
        chosen = np.asarray(positions)
        pixels = np.ascontiguousarray(self.pixels[self.rows[chosen]])
        return (torch.from_numpy(pixels), *self.taught(positions))

    def taught(self, positions: Sequence[int]) -> Batch:
        """Labels and, where there is any, supervision of the images at these positions, without their pixels."""
        return _taught(np.asarray(positions), self.labels, self.supervision)

    def chosen(self, positions: Sequence[int]) -> CachedImages:
        """The images at these positions alone, to be read or for boxes: without supervision."""
        at = np.asarray(positions, np.intp)
        return CachedImages(self.pixels, self.rows[at], self.labels[at])

    @cached_property
    def digest(self) -> str:
        """Hash of the pixels in their order: other images, another order or a changed file give another one."""
        digest = hashlib.blake2b(f"{len(self)} {self.pixels.shape[1:]}".encode(), digest_size=16)
        for row in self.rows.tolist():
            digest.update(np.ascontiguousarray(self.pixels[row]).data)
        return digest.hexdigest()


class StageOutputs(Dataset[Batch]):
    """What a network's stage gave for images: `values` (views * n, H, W, C) of maps or (views * n, D) of vectors.

    `labels` (n,) and `supervision` (n, 2) as `CachedImages` has them. Position v * n + i is view v of image i. Gives
    (b, C, H, W), in memory channels last, or (b, D), in the stored precision.
    """

    def __init__(
        self,
        values: NDArray[np.floating],
        labels: NDArray[np.integer],
        supervision: NDArray[np.float32] | None = None,
    ) -> None:
        self.values, self.labels, self.supervision = values, labels, supervision

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, positions: Sequence[int]) -> Batch:
        chosen = np.asarray(positions)
        values = torch.from_numpy(self.values[chosen])
        maps = values.permute(0, 3, 1, 2) if values.ndim == 4 else values
        return (maps, *self.taught(positions))

    def taught(self, positions: Sequence[int]) -> Batch:
        """As `CachedImages.taught`."""
        return _taught(np.asarray(positions) % len(self.labels), self.labels, self.supervision)


class SharedImages(Dataset[Batch]):
    """Of each batch of `images` what one process of several needs: its share of the images, and what is taught of all of them."""

    def __init__(self, images: CachedImages | StageOutputs, share: BatchShare) -> None:
        self.images, self.share = images, share

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, positions: Sequence[int]) -> Batch:
        own = [positions[place] for place in self.share.places(len(positions))]
        return (self.images[own][0], *self.images.taught(positions))


def _taught(chosen: NDArray[np.integer], labels: NDArray[np.integer], supervision: NDArray[np.float32] | None) -> Batch:
    label = torch.from_numpy(labels[chosen].astype(np.int64))
    return (label,) if supervision is None else (label, torch.from_numpy(supervision[chosen]))


class EpochOrder(Sampler[list[int]]):
    """Lists of positions, a batch each. Shuffled by (seed, phase, epoch), or in order when `shuffle` is off.

    With several `views` of each of the `count` images, epoch e takes view e mod views, at the positions `StageOutputs` has
    for it. Lightning calls `set_epoch` before each epoch, after a resumption too.
    """

    def __init__(
        self, count: int, batch_size: int, *, seed: int = 0, phase: str = "", shuffle: bool = False, views: int = 1
    ) -> None:
        self.count, self.batch_size, self.seed, self.phase, self.shuffle = count, batch_size, seed, phase, shuffle
        self.views = views
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.count / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self.count)
        if self.shuffle:
            np.random.default_rng(derive_seed(self.seed, self.phase, self.epoch)).shuffle(order)
        order += self.epoch % self.views * self.count
        for start in range(0, self.count, self.batch_size):
            yield order[start : start + self.batch_size].tolist()


def loader(images: CachedImages | StageOutputs | SharedImages, order: EpochOrder, ahead: int = 0) -> DataLoader[Batch]:
    """Whole batches, in this process: on a CPU a memory map and one gather cost less than a worker would.

    `ahead` processes gather the next batches into pinned memory meanwhile, so that a GPU does not wait.
    """
    return DataLoader(
        images, sampler=order, batch_size=None, num_workers=ahead, pin_memory=ahead > 0, persistent_workers=ahead > 0
    )


def grey(pixels: Tensor) -> Tensor:
    """uint8 (N, H, W) to float32 (N, 1, H, W) in [0, 1]."""
    return pixels.unsqueeze(1).float() / 255


def normalise(batch: Tensor, spec: InputSpec) -> Tensor:
    """float32 (N, 1, H, W) in [0, 1] to (N, 3, H, W), channels last: `InputSpec.normalise` on tensors, the same to the bit."""
    mean = torch.tensor(spec.mean, device=batch.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=batch.device).view(1, 3, 1, 1)
    return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)

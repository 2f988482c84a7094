"""Random changes of a batch of radiographs, drawn from a seeded generator: the same seed gives the same batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

VERSION = 2
"""Part of every stored view's key: raise it when the same draws give other pixels. 2: what comes in from outside is the edge."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Largest change of each kind; every image draws its own, evenly between minus and plus that much.

    `rotation` in degrees; `shift` and `scale` as shares of the side; `brightness` and `contrast` as shares of the full range.
    `horizontal_flip` is off because the chest is not symmetric: the heart is on the left, and a mirrored radiograph shows
    dextrocardia (or a marker on the wrong side), which a reader must learn to see, not to ignore.
    """

    rotation: float = 7.0
    shift: float = 0.05
    scale: float = 0.05
    brightness: float = 0.1
    contrast: float = 0.1
    horizontal_flip: bool = False

    def __call__(self, batch: Tensor, seed: int) -> Tensor:
        """float32 (N, 1, H, W) in [0, 1] to the same, on the same device; what comes in from outside repeats the image's edge."""
        return self.changed(batch, self.draws(len(batch), seed))

    def changed(self, batch: Tensor, draw: Tensor) -> Tensor:
        """As `__call__`, by the draws (N, 7) of its images: some rows of a whole batch's change some of its images as there."""
        moved = functional.grid_sample(
            batch, self._grid(draw, batch), mode="bilinear", padding_mode="border", align_corners=False
        )
        brightness = (draw[:, 4] * self.brightness).view(-1, 1, 1, 1).to(batch.device)
        contrast = (1 + draw[:, 5] * self.contrast).view(-1, 1, 1, 1).to(batch.device)
        return ((moved - 0.5) * contrast + 0.5 + brightness).clamp_(0, 1)

    def move(self, masks: Tensor, seed: int) -> Tensor:
        """Masks (N, C, h, w) of any size to where `__call__` moves their images with the same seed; outside they are 0."""
        grid = self._grid(self.draws(len(masks), seed), masks)
        return functional.grid_sample(masks, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    @staticmethod
    def draws(count: int, seed: int) -> Tensor:
        """float32 (count, 7) in [-1, 1): what the images of a batch of so many are changed by."""
        return torch.rand(count, 7, generator=torch.Generator().manual_seed(seed)) * 2 - 1

    def _grid(self, draw: Tensor, batch: Tensor) -> Tensor:
        """Where each pixel is taken from: (N, H, W, 2), rotation and scale about the centre, then the shift."""
        angle = draw[:, 0] * math.radians(self.rotation)
        zoom = 1 / (1 + draw[:, 1] * self.scale)
        flip = torch.where(draw[:, 6] > 0, -1.0, 1.0) if self.horizontal_flip else torch.ones(len(draw))
        cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        across = torch.stack([cosine * flip, -sine, draw[:, 2] * 2 * self.shift], dim=1)
        down = torch.stack([sine * flip, cosine, draw[:, 3] * 2 * self.shift], dim=1)
        theta = torch.stack([across, down], dim=1).to(batch.device)
        return functional.affine_grid(theta, list(batch.shape), align_corners=False)

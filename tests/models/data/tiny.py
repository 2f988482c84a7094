"""The smallest network of five stages: that of the artifacts which earlier versions made, kept in this folder."""

from __future__ import annotations

from cxreader import torch_setup  # noqa: F401 - before torch

# isort: split
from torch import nn

from cxreader.models.stages import StagedModel


def tiny(*, dropout: float = 0.2, size: int = 48) -> StagedModel:
    """Two blocks of 4 and 8 channels; any `size`."""
    del size
    return StagedModel(
        [
            ("block1", nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))),
            ("last_block", nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))),
            ("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())),
            ("drop", nn.Dropout(dropout)),
            ("head", nn.Linear(8, 2)),
        ]
    )

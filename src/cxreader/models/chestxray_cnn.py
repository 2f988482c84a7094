"""The study's custom CNN: a baseline from scratch (section 1.1 of the study)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from cxreader.models.stages import StagedModel

HIDDEN = 128


def chestxray_cnn(*, dropout: float = 0.5, size: int = 224) -> StagedModel:
    """Three blocks Conv-BN-ReLU-MaxPool (32, 64, 128), flattened, 128 units, dropout, two classes.

    The flattened width follows the input: 128 * (size // 8)**2, which is 100,352 at 224.
    """
    side = size // 8
    pool = nn.Sequential(OrderedDict(flatten=nn.Flatten(), hidden=nn.Linear(128 * side * side, HIDDEN), relu=nn.ReLU()))
    return StagedModel(
        [
            ("block1", _block(3, 32)),
            ("block2", _block(32, 64)),
            ("last_block", _block(64, 128)),
            ("pool", pool),
            ("drop", nn.Dropout(dropout)),
            ("head", nn.Linear(HIDDEN, 2)),
        ]
    )


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)
    )

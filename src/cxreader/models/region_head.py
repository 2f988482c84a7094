"""The region head: where findings of each kind lie, learnt from boxes, on stages that stay as they are.

A second, spatial head beside the classifier: it reads the outputs of some stages and changes none of them, so that the
classifier's logits are the same with it and without. It says where findings of a kind are, not what moved the classifier's score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from cxreader.errors import ModelError, nearest
from cxreader.models.stages import StagedModel


class RegionHead(nn.Module):
    """From the outputs of some stages to one map a finding, and one more of any finding.

    Each output is normalised by its channels' mean and deviation over the training maps, projected to `width` channels and
    stretched to `side` x `side` cells; their sum goes through a 3 x 3 convolution. To the result is added, cell by cell, where
    findings of the kind usually are (`usual`, logits (findings + 1, side, side)), which is learnt as well.
    """

    def __init__(
        self, channels: Sequence[int], side: int, findings: int, *, width: int = 32, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.side = side
        self.norms = nn.ModuleList(nn.BatchNorm2d(count, affine=False) for count in channels)
        self.drop = nn.Dropout2d(dropout)
        self.projections = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.maps = nn.Conv2d(width, findings + 1, 1)
        self.usual = nn.Parameter(torch.zeros(findings + 1, side, side))
        nn.init.zeros_(self.maps.weight)
        nn.init.zeros_(self.maps.bias)  # type: ignore[arg-type] # a convolution made with a bias has one

    def forward(self, outputs: Sequence[Tensor]) -> Tensor:
        """Maps (N, C, h, w) of each stage that is read, in their order -> logits (N, findings + 1, side, side)."""
        stretched = []
        for output, norm, project in zip(outputs, self.norms, self.projections, strict=True):
            projected = project(self.drop(norm(output)))
            if int(projected.shape[2]) != self.side:
                projected = functional.interpolate(
                    projected, size=(self.side, self.side), mode="bilinear", align_corners=False
                )
            stretched.append(projected)
        mixed = functional.relu(self.mix(functional.relu(torch.stack(stretched).sum(dim=0))))
        logits: Tensor = self.maps(mixed) + self.usual
        return logits


def stage_shapes(model: StagedModel, size: int) -> dict[str, tuple[int, int]]:
    """Channels and side of the map of each spatial stage, for `size` x `size` images."""
    x = torch.zeros(1, 3, size, size, device=next(model.parameters()).device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        maps = [model.to_maps(output) for output in model.each_until(x, "last_block")]
    model.train(was_training)
    return {name: (int(m.shape[1]), int(m.shape[2])) for name, m in zip(model.names, maps, strict=False)}


def default_stages(shapes: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """The last stage of each of the two coarsest sizes of map: where a network knows most, and where it still sees finely.

    One that is more than twice as wide as the stage before it of the same size is passed over: it makes vectors for a classifier.
    """
    last: dict[int, str] = {}
    for name, (channels, side) in shapes.items():
        if side not in last or channels <= 2 * shapes[last[side]][0]:
            last[side] = name
    return tuple(last[side] for side in sorted(last)[1::-1])


def require_stages(stages: Sequence[str], shapes: Mapping[str, tuple[int, int]]) -> None:
    """Raise ModelError, with the nearest name, for a stage that the network has not, or that gives no map."""
    for stage in stages:
        if stage not in shapes:
            raise ModelError(
                f"no stage with a map is named {stage!r}", where="training.boxes.stages", mend=nearest(stage, shapes)
            )


def stage_maps(model: StagedModel, x: Tensor, stages: Sequence[str]) -> list[Tensor]:
    """The maps (N, C, h, w) of these stages, in their order, of images (N, 3, H, W)."""
    last = max(stages, key=model.names.index)
    found = {
        name: model.to_maps(output)
        for name, output in zip(model.names, model.each_until(x, last), strict=False)
        if name in stages
    }
    return [found[stage] for stage in stages]

"""What is exported: a network with its features and, where the heat map has a closed form, its maps and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cxreader.errors import ModelError
from cxreader.models.region_head import RegionHead
from cxreader.models.stages import StagedModel, central_average_pool, middle
from cxreader.records import ABNORMAL

Regions = tuple[RegionHead, Sequence[str]]
"""A region head and the stages it reads."""


class ExportedNetwork(nn.Module):
    """A network that also gives its features and, with `maps`, what a heat map is made of without a gradient.

    `stage` is the CAM stage and `size` the input's side in pixels. `regions`: a region head and the stages that it reads, whose
    maps are the last output then. Raises ModelError as `channel_weights` where `maps`.
    """

    def __init__(
        self, model: StagedModel, stage: str, size: int, *, maps: bool = True, regions: Regions | None = None
    ) -> None:
        super().__init__()
        self.model, self.stage, self.weights = model, stage, None
        self.region_head: RegionHead | None = None
        self.region_stages: Sequence[str] = ()
        if regions is not None:
            self.region_head, self.region_stages = regions
        if maps:
            with torch.no_grad():
                shape = model.to_maps(model.until(torch.zeros(1, 3, size, size), stage)).shape[1:]
            self.weights = channel_weights(model, stage, shape)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, S, S) -> logits (N, 2), features (N, D); with maps those of the CAM stage (N, C, h, w) and their gradients.

        The gradients are (N, C) where all positions have the same, else (N, C, h, w). Behind them the region head's maps
        (N, f + 1, s, s) in [0, 1], where there is one.
        """
        windows, read = [], {}
        for name, output in zip(self.model.names, self.model.each_until(images, self.stage), strict=False):
            maps = self.model.to_maps(output)
            if name in self.region_stages:
                read[name] = maps
            windows.append(_Windows.apply(maps, *(int(side) for side in maps.shape[2:])))  # type: ignore[no-untyped-call]
        features = torch.cat(windows, dim=1).flatten(2)[:, :, -1]
        places: tuple[Tensor, ...] = ()
        if self.region_head is not None:
            places = (self.region_head([read[stage] for stage in self.region_stages]).sigmoid(),)
        if self.weights is None:
            return self.model.after(output, self.stage), features, *places
        vectors: Tensor = self.model.get_submodule("pool")(output)
        return self.model.get_submodule("head")(vectors), features, maps, self.weights(vectors), *places


class _Windows(torch.autograd.Function):
    """`central_average_pool` (N, C) as the last of 2 x 2 windows, (N, C, 2, 2), in one ONNX pool: slices would reorder maps."""

    @staticmethod
    def forward(ctx: object, maps: Tensor, h: int, w: int) -> Tensor:  # noqa: ARG004
        return central_average_pool(maps)[:, :, None, None].expand(-1, -1, 2, 2)

    @staticmethod
    def symbolic(graph: Any, maps: Any, h: int, w: int) -> Any:
        kernel, strides, before, behind = zip(window(h), window(w), strict=True)
        return graph.op("AveragePool", maps, kernel_shape_i=kernel, strides_i=strides, pads_i=before + behind)


def window(side: int) -> tuple[int, int, int, int]:
    """Kernel, stride, and padding before and behind, of a pool with two windows, the second of which is `middle(side)`.

    The first lies in the padding but for its last position, and costs next to nothing.
    """
    start, stop = middle(side)
    if side == 1:
        return 2, 1, 1, 1  # a pool's padding is shorter than its window
    before = stop - start - 1
    return stop - start, start + before, before, 0


def channel_weights(model: StagedModel, stage: str, shape: Sequence[int]) -> nn.Module:
    """The heat map's gradients in closed form: a module from what `pool` gives (N, D) to (N, C), or (N, C, h, w).

    Those are of the abnormal logit by the maps that come out of `stage`, of `shape` C, h, w. Average pooling and a linear
    head: the head's weights by the number of positions, the same for every image and position, so that Grad-CAM and HiResCAM
    are one. Flattening, one hidden layer with ReLU and a linear head: the weights of the paths through the units that are
    on, for every position its own, as HiResCAM asks. Raises ModelError for any other tail.
    """
    tail, head = list(model.get_submodule("pool").children()), model.get_submodule("head")
    if stage == model.names[-4] and isinstance(head, nn.Linear):
        row = head.weight.detach()[ABNORMAL]
        match tail:
            case [nn.AdaptiveAvgPool2d(output_size=1 | (1, 1)), nn.Flatten()]:
                return _Constant(row / (shape[1] * shape[2]))
            case [nn.Flatten(), nn.Linear() as hidden, nn.ReLU()]:
                return _Paths(row, hidden, shape)
    layers = ", ".join(type(module).__name__ for module in (*tail, head))
    raise ModelError(
        f"a network in which {layers} follow {stage!r} cannot be exported with its heat map",
        mend="known: average pooling and one linear layer; flattening, one hidden layer with ReLU and one linear layer; "
        "register another with closed_form_maps=False: it is exported without",
    )


class _Constant(nn.Module):
    row: Tensor

    def __init__(self, row: Tensor) -> None:
        super().__init__()
        self.register_buffer("row", row)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.row.expand_as(vectors)


class _Paths(nn.Module):
    row: Tensor

    def __init__(self, row: Tensor, hidden: nn.Linear, shape: Sequence[int]) -> None:
        super().__init__()
        self.hidden, self.shape = hidden, tuple(shape)  # the layer itself, so that the file holds its weights once
        self.register_buffer("row", row)

    def forward(self, vectors: Tensor) -> Tensor:
        return (((vectors > 0).to(vectors.dtype) * self.row) @ self.hidden.weight).reshape(-1, *self.shape)

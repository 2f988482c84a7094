"""Finer maps from the same weights: the last stages keep their resolution and are dilated (Yu and Koltun, ICLR 2016).

Where the stages would come from 16 to 32 pixels a position, the stride becomes 1 and every convolution behind it takes its
inputs twice as far apart: where the map's sides are even the old positions are there, unchanged, with new ones between them
(but for squeeze and excitation, which takes means over all of them).
"""

from __future__ import annotations

import torch
from torch import nn

from cxreader.errors import ModelError
from cxreader.models.stages import TAIL, StagedModel

FINE = 16
"""Pixels of the input that a position of the finer maps stands for, along each side."""
_MEND = "take its maps as they are"


def dilate(model: StagedModel, size: int) -> StagedModel:
    """The same model with maps of at most 16 pixels a position, for inputs of `size` pixels; finer ones stay as they are.

    Its tensors and their names stay, so that the same weights fit. Raises ModelError for a network of tokens, and for one that
    flattens the map that would become finer.
    """
    coarse = [name for name, side in _sides(model, size) if size / side > 1.5 * FINE]
    if not coarse:
        return model
    if not any(isinstance(module, nn.AdaptiveAvgPool2d) for module in model.get_submodule("pool").modules()):
        raise ModelError("this network flattens its last map, whose size is fixed", mend=_MEND)
    first, *behind = coarse
    _take_stride(model.get_submodule(first))
    for name in behind:
        _spread(list(model.get_submodule(name).modules()))
    return model


def _sides(model: StagedModel, size: int) -> list[tuple[str, int]]:
    """The side of the map that comes out of each spatial stage."""
    names = model.names[: 1 - len(TAIL)]
    training, found = model.training, []
    with torch.no_grad():
        for name, output in zip(names, model.eval().each_until(torch.zeros(1, 3, size, size), names[-1]), strict=True):
            if output.ndim != 4:
                raise ModelError(f"the stage {name!r} gives tokens, which have one resolution", mend=_MEND)
            found.append((name, int(output.shape[3])))
    model.train(training)
    return found


def _take_stride(stage: nn.Module) -> None:
    """Give a stage that halves its map stride 1, and its convolutions behind the layer that halved it twice the spacing.

    Layers are registered in the order in which they run; a shortcut registered behind them has a kernel of 1 x 1.
    """
    layers = [(path, module) for path, module in stage.named_modules() if isinstance(module, nn.Conv2d | nn.AvgPool2d)]
    strided = [n for n, (_, layer) in enumerate(layers) if layer.stride in (2, (2, 2))]
    _spread([layer for n, (_, layer) in enumerate(layers) if n > strided[0] and n not in strided])
    for path, layer in (layers[n] for n in strided):
        parent, _, name = path.rpartition(".")
        if isinstance(layer, nn.AvgPool2d):
            finer = nn.Sequential(nn.ReplicationPad2d((0, 1, 0, 1)), nn.AvgPool2d(2, stride=1))
            setattr(stage.get_submodule(parent), name, finer)
            continue
        layer.stride = (1, 1)
        pad = dict(stage.get_submodule(parent).named_children()).get("pad")
        if isinstance(pad, nn.ZeroPad2d):  # what lay before the first output stays before it
            before, behind = pad.padding[0], layer.kernel_size[0] - 1 - pad.padding[0]
            pad.padding = (before, behind, before, behind)


def _spread(layers: list[nn.Module]) -> None:
    for layer in layers:
        if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
            layer.dilation = (2, 2)
            layer.padding = tuple(2 * int(side) for side in layer.padding)

"""Networks of timm, cut into named stages. A new one is one function here."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from cxreader import torch_setup  # noqa: F401 - before timm, which imports torchvision

# isort: split
import timm
from timm.layers import Conv2dSame
from torch import nn

from cxreader.models.stages import StagedModel


def resnet18(*, dropout: float = 0.2, size: int = 224) -> StagedModel:  # noqa: ARG001 - any size fits
    """ResNet18; `last_block` is layer4."""
    net = timm.create_model("resnet18", num_classes=2)
    names = _published_names(net)
    stem = nn.Sequential(net.conv1, net.bn1, net.act1, net.maxpool)
    layers = [("stem", stem), ("layer1", net.layer1), ("layer2", net.layer2), ("layer3", net.layer3)]
    return _staged([*layers, ("last_block", net.layer4)], net.fc, dropout, names)


def densenet121(*, dropout: float = 0.2, size: int = 224) -> StagedModel:  # noqa: ARG001
    """DenseNet121; `last_block` is denseblock4 with the norm (and its ReLU) behind it."""
    net = timm.create_model("densenet121", num_classes=2)
    names = _published_names(net)
    f = net.features
    stages: list[tuple[str, nn.Module]] = [("stem", nn.Sequential(f.conv0, f.norm0, f.pool0))]
    pairs = [(f.get_submodule(f"denseblock{i}"), f.get_submodule(f"transition{i}")) for i in (1, 2, 3)]
    stages += [(f"block{i}", nn.Sequential(*pair)) for i, pair in enumerate(pairs, 1)]
    last = nn.Sequential(f.denseblock4, f.norm5)
    return _staged([*stages, ("last_block", last)], _redrawn(net.classifier), dropout, names)


def efficientnet_b0(*, dropout: float = 0.2, size: int = 224) -> StagedModel:  # noqa: ARG001
    """EfficientNet-B0; `last_block` is the final feature block, 320 to 1280 with its norm (torchvision's `features[8]`)."""
    net = timm.create_model("efficientnet_b0", num_classes=2)
    return _efficientnet(net, dropout, _published_names(net))


def efficientnet_lite0(*, dropout: float = 0.2, size: int = 224) -> StagedModel:
    """EfficientNet-Lite0, timm's `tf_efficientnet_lite0`, for inputs of `size` alone; stages as those of EfficientNet-B0.

    Its convolutions with a stride pad as TensorFlow's SAME does, by what the input's side asks for; here those numbers are
    fixed for `size`, so that the network can be traced, folded and exported. At another size it answers another thing.
    """
    net = timm.create_model("tf_efficientnet_lite0", num_classes=2)
    names = _published_names(net)
    _fix_same_padding(net, size)
    return _efficientnet(net, dropout, names)


def _efficientnet(net: Any, dropout: float, names: dict[int, str]) -> StagedModel:
    stages: list[tuple[str, nn.Module]] = [("stem", nn.Sequential(net.conv_stem, net.bn1))]
    stages += [(f"block{i}", block) for i, block in enumerate(net.get_submodule("blocks").children())]
    last = nn.Sequential(net.conv_head, net.bn2)
    return _staged([*stages, ("last_block", last)], _redrawn(net.classifier), dropout, names)


def _fix_same_padding(net: nn.Module, side: int) -> None:
    """Put a pad of zeros and a plain convolution in the place of every Conv2dSame; `side` in pixels is what the first is given.

    These are the only layers with a stride, and stand in the order in which an image meets them.
    """
    for path, conv in [(path, module) for path, module in net.named_modules() if isinstance(module, Conv2dSame)]:
        (kernel, _), (stride, _) = conv.kernel_size, conv.stride
        outputs = -(-side // stride)
        both = max((outputs - 1) * stride + kernel - side, 0)
        before, behind = both // 2, both - both // 2
        plain = nn.Conv2d(
            conv.in_channels, conv.out_channels, kernel, stride, groups=conv.groups, bias=conv.bias is not None
        )
        plain.weight, plain.bias = conv.weight, conv.bias
        pad = nn.ZeroPad2d((before, behind, before, behind))
        parent, _, name = path.rpartition(".")
        setattr(net.get_submodule(parent), name, nn.Sequential(OrderedDict(pad=pad, conv=plain)))
        side = outputs


def _published_names(net: nn.Module) -> dict[int, str]:
    """The names of a network's tensors in its published files, by the tensor's identity."""
    return {id(tensor): name for name, tensor in net.state_dict(keep_vars=True).items()}


def _redrawn(head: nn.Linear) -> nn.Linear:
    """The head drawn as `nn.Linear` draws its own, within 1 / sqrt(features), as timm leaves that of ResNet.

    It draws EfficientNet's by the number of classes, with two of them 25 times as far: the first epochs unlearn it.
    """
    head.reset_parameters()
    return head


def _staged(
    stages: list[tuple[str, nn.Module]], head: nn.Linear, dropout: float, published: dict[int, str]
) -> StagedModel:
    """The common tail. timm drops inside `forward_head` by F.dropout, which a Sequential of its children loses."""
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = StagedModel([*stages, ("pool", pool), ("drop", nn.Dropout(dropout)), ("head", head)])
    model.published_names = {name: published[id(tensor)] for name, tensor in model.state_dict(keep_vars=True).items()}
    return model

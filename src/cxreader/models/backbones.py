"""ResNet18, DenseNet121 and EfficientNet-B0 from timm, cut into named stages. A new one is one function here."""

from __future__ import annotations

from cxreader import torch_setup  # noqa: F401 - before timm, which imports torchvision

# isort: split
import timm
from torch import nn

from cxreader.models.stages import StagedModel


def resnet18(*, dropout: float = 0.2, size: int = 224) -> StagedModel:  # noqa: ARG001 - any size fits
    """ResNet18; `last_block` is layer4."""
    net = timm.create_model("resnet18", num_classes=2)
    stem = nn.Sequential(net.conv1, net.bn1, net.act1, net.maxpool)
    layers = [("stem", stem), ("layer1", net.layer1), ("layer2", net.layer2), ("layer3", net.layer3)]
    return _staged(net, [*layers, ("last_block", net.layer4)], net.fc, dropout)


def densenet121(*, dropout: float = 0.2, size: int = 224) -> StagedModel:  # noqa: ARG001
    """DenseNet121; `last_block` is denseblock4 with the norm (and its ReLU) behind it."""
    net = timm.create_model("densenet121", num_classes=2)
    f = net.features
    stages: list[tuple[str, nn.Module]] = [("stem", nn.Sequential(f.conv0, f.norm0, f.pool0))]
    pairs = [(f.get_submodule(f"denseblock{i}"), f.get_submodule(f"transition{i}")) for i in (1, 2, 3)]
    stages += [(f"block{i}", nn.Sequential(*pair)) for i, pair in enumerate(pairs, 1)]
    return _staged(net, [*stages, ("last_block", nn.Sequential(f.denseblock4, f.norm5))], net.classifier, dropout)


def efficientnet_b0(*, dropout: float = 0.2, size: int = 224) -> StagedModel:  # noqa: ARG001
    """EfficientNet-B0; `last_block` is the final feature block, 320 to 1280 with its norm (torchvision's `features[8]`)."""
    net = timm.create_model("efficientnet_b0", num_classes=2)
    stages: list[tuple[str, nn.Module]] = [("stem", nn.Sequential(net.conv_stem, net.bn1))]
    stages += [(f"block{i}", block) for i, block in enumerate(net.blocks)]
    return _staged(net, [*stages, ("last_block", nn.Sequential(net.conv_head, net.bn2))], net.classifier, dropout)


def _staged(net: nn.Module, stages: list[tuple[str, nn.Module]], head: nn.Module, dropout: float) -> StagedModel:
    """The common tail. timm drops inside `forward_head` by F.dropout, which a Sequential of its children loses."""
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = StagedModel([*stages, ("pool", pool), ("drop", nn.Dropout(dropout)), ("head", head)])
    published = {id(tensor): name for name, tensor in net.state_dict(keep_vars=True).items()}
    model.published_names = {name: published[id(tensor)] for name, tensor in model.state_dict(keep_vars=True).items()}
    return model

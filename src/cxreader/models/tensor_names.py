"""Tensors of published files under timm's names, whatever the file's own were."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_OLD_DENSENET = re.compile(r"(\.denselayer\d+\.(?:norm|relu|conv))\.(\d)\.")


def timm_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors (name -> values) of timm's or torchvision's files, DenseNet's old ones and Lite0's of PyPI, under timm's names.

    A name that is in none of these namings stays as it is.
    """
    names = {key: key.removeprefix("module.") for key in tensors}
    if any(name.startswith("features.1.0.block.") for name in names.values()):
        return {_torchvision_efficientnet(name): tensors[key] for key, name in names.items()}
    if "_conv_stem.weight" in names.values():
        return {_lite0(name): tensors[key] for key, name in names.items()}
    return {_OLD_DENSENET.sub(r"\1\2.", name): tensors[key] for key, name in names.items()}


# torchvision numbers the parts of a block, timm names them; the first block has no expansion.
_FIRST = {
    "0.0": "conv_dw",
    "0.1": "bn1",
    "1.fc1": "se.conv_reduce",
    "1.fc2": "se.conv_expand",
    "2.0": "conv_pw",
    "2.1": "bn2",
}
_OTHER = {
    "0.0": "conv_pw",
    "0.1": "bn1",
    "1.0": "conv_dw",
    "1.1": "bn2",
    "2.fc1": "se.conv_reduce",
    "2.fc2": "se.conv_expand",
    "3.0": "conv_pwl",
    "3.1": "bn3",
}
_ENDS = {
    "features.0.0.": "conv_stem.",
    "features.0.1.": "bn1.",
    "features.8.0.": "conv_head.",
    "features.8.1.": "bn2.",
}


def _torchvision_efficientnet(name: str) -> str:
    for theirs, ours in _ENDS.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    match = re.fullmatch(r"features\.(\d)\.(\d+)\.block\.(\d\.\w+)\.(\w+)", name)
    if match is None:
        return name
    stage, block, part, leaf = match.groups()
    return f"blocks.{int(stage) - 1}.{block}.{(_FIRST if stage == '1' else _OTHER)[part]}.{leaf}"


# The package efficientnet-lite-pytorch counts the sixteen blocks through; timm counts them within their stage.
_LITE0_BLOCKS = [(stage, block) for stage, blocks in enumerate((1, 2, 2, 3, 3, 4, 1)) for block in range(blocks)]
_LITE0_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LITE0_OTHER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_LITE0_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


def _lite0(name: str) -> str:
    part, _, leaf = name.rpartition(".")
    if part in _LITE0_ENDS:
        return f"{_LITE0_ENDS[part]}.{leaf}"
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)", part)
    if match is None or int(match[1]) >= len(_LITE0_BLOCKS):
        return name
    stage, block = _LITE0_BLOCKS[int(match[1])]
    known = _LITE0_FIRST if stage == 0 else _LITE0_OTHER
    return f"blocks.{stage}.{block}.{known.get(match[2], match[2])}.{leaf}"

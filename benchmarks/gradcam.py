"""Grad-CAM of one batch: ours without hooks, and pytorch-grad-cam on the same network, layer and input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cxreader import torch_setup  # noqa: F401 - before timm
from cxreader.explanation.gradcam import grad_cam
from cxreader.models.registry import create_model
from cxreader.models.stages import StagedModel
from cxreader.records import ABNORMAL
from measure import Row, Spread, ratios, take_turns

IMAGES, SIZE, GOAL = 16, 224, 1.5


def measure_gradcam(repetitions: int) -> list[Row]:
    """Twice: pytorch-grad-cam called as its documentation does, and reduced to what gives the same raw map."""
    torch.manual_seed(0)
    x = torch.randn(IMAGES, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    model = _network()
    frozen = _network().requires_grad_(requires_grad=False)
    tasks = {
        "ours": lambda: grad_cam(model, x),
        "peer": lambda: _peer(model, x),
        "ours, frozen": lambda: grad_cam(frozen, x),
        "peer, frozen": lambda: _peer_raw(frozen, x),
    }
    seconds = take_turns(tasks, repetitions)
    rows = []
    for ours, peer, what, goal in (
        ("ours", "peer", "its documented call, which also scales the map to the image", GOAL),
        ("ours, frozen", "peer, frozen", "the least it can do: parameters frozen, raw map only", None),
    ):
        times = ratios(seconds[peer], seconds[ours])
        rows.append(
            Row(
                f"Grad-CAM of {IMAGES} images at {SIZE} px, ResNet18, {torch.get_num_threads()} threads",
                Spread.of(1000 * s for s in seconds[ours]).text(0, "ms"),
                f"pytorch-grad-cam, {what}: {Spread.of(1000 * s for s in seconds[peer]).text(0, 'ms')}",
                times,
                "" if goal is None else f"at least {goal:g}",
                None if goal is None else times.median >= goal,
            )
        )
    return rows


def _network() -> StagedModel:
    torch.manual_seed(0)
    model = create_model("resnet18", size=SIZE).eval()
    return model.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]


def _targets() -> list[Any]:
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    return [ClassifierOutputTarget(ABNORMAL)] * IMAGES


def _peer(model: StagedModel, x: Tensor) -> object:
    from pytorch_grad_cam import GradCAM

    with GradCAM(model=model, target_layers=[model.last_block]) as cam:
        return cam(input_tensor=x, targets=_targets())


def _peer_raw(model: StagedModel, x: Tensor) -> object:
    """Its hooks, its gradient, its weights and its sum, without the scaling that follows."""
    from pytorch_grad_cam import GradCAM

    with GradCAM(model=model, target_layers=[model.last_block]) as cam:
        logits = cam.activations_and_grads(x.clone().requires_grad_())
        torch.stack([t(out) for t, out in zip(_targets(), logits, strict=True)]).sum().backward()  # type: ignore[no-untyped-call]
        activations = cam.activations_and_grads.activations[0].cpu().data.numpy()
        gradients = cam.activations_and_grads.gradients[0].cpu().data.numpy()
        return cam.get_cam_image(x, model.last_block, _targets(), activations, gradients, eigen_smooth=False)

"""Heat maps without hooks: the gradient of the stages behind a spatial one, by methods that differ in one function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cxreader.models.registry import CamMethod
from cxreader.models.stages import StagedModel
from cxreader.records import ABNORMAL


def grad_cam_map(maps: Tensor, gradients: Tensor) -> Tensor:
    """Each channel by its mean gradient (Selvaraju et al., ICCV 2017): (N, C, h, w) twice -> (N, h, w), negative values kept."""
    return (gradients.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1)


def hires_cam_map(maps: Tensor, gradients: Tensor) -> Tensor:
    """Each position by its own gradient (HiResCAM, Draelos and Carin, arXiv 2011.08891): shapes as `grad_cam_map`.

    Where average pooling and one linear layer follow, every position has the same gradient, and this is Grad-CAM. Where the map
    is flattened a mean gradient says nothing of any place, and this is what each place adds to the logit, to first order.
    """
    return (gradients * maps).sum(dim=1)


METHODS: Mapping[CamMethod, Callable[[Tensor, Tensor], Tensor]] = {
    "grad_cam": grad_cam_map,
    "hires_cam": hires_cam_map,
}


def grad_cam(
    model: StagedModel,
    x: Tensor,
    *,
    stage: str = "last_block",
    target: int = ABNORMAL,
    method: CamMethod = "grad_cam",
) -> tuple[Tensor, Tensor]:
    """Logits (N, 2) and raw maps (N, h, w) float32, >= 0, of the `target` logit at `stage`, by `method`.

    What the method gives is cut off below 0 and unscaled: scaling is the drawer's work. Of a stage that gives tokens the
    maps are those of `StagedModel.to_maps`. Only the stages behind `stage` are
    differentiated, so the cost is a forward pass and little more. `x` is (N, 3, H, W) float32. The model's mode and its
    parameters' gradients are left as they were; it runs in evaluation mode.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            output = model.until(x, stage)
        return cam_of(model, output, stage=stage, target=target, method=method)
    finally:
        model.train(was_training)


def cam_of(
    model: StagedModel,
    output: Tensor,
    *,
    stage: str = "last_block",
    target: int = ABNORMAL,
    method: CamMethod = "grad_cam",
) -> tuple[Tensor, Tensor]:
    """Logits and raw maps as `grad_cam` gives them, of what has come out of `stage`: `output` (N, C, h, w) or tokens (N, T, C).

    The model is used in the mode it is in. No gradient of its parameters is kept.
    """
    logits, maps = signed_cam(model, output, stage=stage, target=target, method=method)
    return logits, maps.clamp_min(0).float()


def signed_cam(
    model: StagedModel,
    output: Tensor,
    *,
    stage: str = "last_block",
    target: int = ABNORMAL,
    method: CamMethod = "grad_cam",
) -> tuple[Tensor, Tensor]:
    """As `cam_of`, with what speaks against the target as negative values."""
    with torch.enable_grad():
        watched = output.detach().requires_grad_()
        logits = model.after(watched, stage)
        (gradient,) = torch.autograd.grad(logits[:, target].sum(), watched)
    return logits.detach(), METHODS[method](model.to_maps(output.detach()), model.to_maps(gradient))

"""Grad-CAM without hooks: the gradient of the stages behind the last spatial one (Selvaraju et al., ICCV 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from cxreader.models.stages import StagedModel
from cxreader.records import ABNORMAL


def grad_cam(
    model: StagedModel, x: Tensor, *, stage: str = "last_block", target: int = ABNORMAL
) -> tuple[Tensor, Tensor]:
    """Logits (N, 2) and raw maps (N, h, w) float32, >= 0, of the `target` logit at `stage`.

    Each map is ReLU(sum over channels of mean-gradient times activation), unscaled: scaling is the drawer's work. Of a stage
    that gives tokens both are those of its map, as `StagedModel.to_maps` makes it. Only the stages behind `stage` are
    differentiated, so the cost is a forward pass and little more. `x` is (N, 3, H, W) float32. The model's mode and its
    parameters' gradients are left as they were; it runs in evaluation mode.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            output = model.until(x, stage)
        return cam_of(model, output, stage=stage, target=target)
    finally:
        model.train(was_training)


def cam_of(
    model: StagedModel, output: Tensor, *, stage: str = "last_block", target: int = ABNORMAL
) -> tuple[Tensor, Tensor]:
    """Logits and raw maps as `grad_cam` gives them, of what has come out of `stage`: `output` (N, C, h, w) or tokens (N, T, C).

    The model is used in the mode it is in. No gradient of its parameters is kept.
    """
    logits, weights = mean_gradients(model, output, stage=stage, target=target)
    maps = (weights[:, :, None, None] * model.to_maps(output.detach())).sum(dim=1).clamp_min(0)
    return logits, maps.float()


def mean_gradients(
    model: StagedModel, output: Tensor, *, stage: str = "last_block", target: int = ABNORMAL
) -> tuple[Tensor, Tensor]:
    """Logits (N, 2), and the `target` logit's gradient by the output of `stage`, its mean over the map's positions: (N, C)."""
    with torch.enable_grad():
        watched = output.detach().requires_grad_()
        logits = model.after(watched, stage)
        (gradient,) = torch.autograd.grad(logits[:, target].sum(), watched)
    return logits.detach(), model.to_maps(gradient).mean(dim=(2, 3))

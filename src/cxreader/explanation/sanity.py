"""The cascading randomisation test: whether heat maps depend on what the network learnt (Adebayo et al., NeurIPS 2018).

Stages get new random weights one after the other, from the head to the first. A method whose maps stay as they were
shows the image's edges, not the model's reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Sample
from cxreader.explanation.sanity_report import SanityReport, sanity_report
from cxreader.models.registry import CamMethod

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cxreader.models.stages import StagedModel

_BATCH = 16


def randomisation_test(
    model: StagedModel,
    x: Tensor,
    sample: Sample,
    *,
    stage: str = "last_block",
    method: CamMethod = "grad_cam",
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    progress: Callable[[int, int], None] | None = None,
) -> SanityReport:
    """Heat maps of images `x` (N, 3, H, W), for the model and after each stage became random.

    They are of the abnormal logit at `stage`, by `method`. `sample` has a row an image. A stage's layers draw their weights as
    when they were made (`reset_parameters`), from `seed`, on the CPU; statistics of BatchNorm go back to 0 and 1. Parameters
    of a module without `reset_parameters`, such as a class token or position embeddings, have their own values put in random
    order. A stage without weights is passed over. The model stays as it is: a copy is randomised. Raises as `sanity_report`.
    """
    from cxreader import torch_setup  # noqa: F401 - before anything of torch

    copy = deepcopy(model)
    own = _maps(copy, x, stage, method)
    names = [name for name in reversed(model.names) if any(True for _ in model.get_submodule(name).parameters())]
    randomised = []
    for done, name in enumerate(names, 1):
        _randomise(copy.get_submodule(name), seed + done)
        randomised.append((name, _maps(copy, x, stage, method)))
        if progress is not None:
            progress(done, len(names))
    return sanity_report(own, randomised, sample, seed=seed, n_resamples=n_resamples)


def _maps(model: StagedModel, x: Tensor, stage: str, method: CamMethod) -> NDArray[np.float32]:
    import torch

    from cxreader.explanation.gradcam import grad_cam

    parts = [grad_cam(model, part, stage=stage, method=method)[1] for part in torch.split(x, _BATCH)]
    return np.asarray(torch.cat(parts).cpu().numpy())


def _randomise(stage: nn.Module, seed: int) -> None:
    """New weights for every module of a stage; the global generator of torch is left as it was."""
    import torch

    device = next(stage.parameters()).device
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        stage.cpu()
        for module in stage.modules():
            reset = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()
                continue
            for bare in module.parameters(recurse=False):
                bare.copy_(bare.flatten()[torch.randperm(bare.numel())].view_as(bare))
        stage.to(device)

"""The region phase: a spatial head learns from boxes, on stages that the phases before it have left as they are.

One small module learns for a fixed number of epochs, which needs nothing of Lightning; they are seeded and resumed as those of
every phase (docs/decisions/0005).
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning

# isort: split
import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from cxreader.atomic import write_whole
from cxreader.data.dataset import derive_seed
from cxreader.models.region_head import RegionHead
from cxreader.progress import Bar
from cxreader.training.region.lessons import FINER, Lessons

LAST = "last.ckpt"
PHASE = "region"
_PSEUDO_BOXES = 3.0
"""Boxes of any finding that stand beside those of one when it is counted where it usually lies."""


@dataclass(frozen=True, slots=True)
class RegionRecipe:
    """How a region head learns: AdamW, one cycle of the learning rate over all epochs, the last epoch's weights are taken."""

    seed: int
    lr: float
    epochs: int
    batch_size: int
    weight_decay: float


class Trunk(Protocol):
    """Where the outputs of the stages that are read come from: stored ones, or the network at work."""

    def __call__(self, positions: Sequence[int], masks: Tensor, seed: int | None) -> tuple[list[Tensor], Tensor]:
        """Of these images maps (n, C, h, w) of each stage, and the masks (n, f, s, s) as they lie on them.

        With `seed` both may be moved, by the same draw.
        """
        ...


def learn_regions(
    head: RegionHead,
    lessons: Lessons,
    findings: Sequence[str],
    trunk: Trunk,
    recipe: RegionRecipe,
    folder: Path,
    *,
    bar: Bar,
) -> tuple[dict[str, Any], ...]:
    """Train `head` in place on the lessons and leave it with its last epoch's weights; the history of every epoch is returned.

    A phase that is done is loaded from `folder`; one that was interrupted goes on after its last whole epoch, to the same
    weights as without the interruption.
    """
    head.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stub
    optimizer = torch.optim.AdamW(_groups(head, recipe.weight_decay), lr=recipe.lr)
    history = _taken_up(head, optimizer, folder)
    with bar("region head") as progress:
        for epoch in range(len(history), recipe.epochs):
            started = time.perf_counter()
            loss = _epoch(head, optimizer, lessons, findings, trunk, recipe, epoch)
            history.append({"epoch": epoch, "seconds": round(time.perf_counter() - started, 3), "train_loss": loss})
            _keep(head, optimizer, history, folder)
            if progress is not None:
                progress(epoch + 1, recipe.epochs)
    head.eval().requires_grad_(requires_grad=False)
    return tuple(history)


def region_bytes(head: RegionHead) -> bytes:
    """The head's tensors as safetensors bytes."""
    return bytes(save({name: tensor.detach().cpu().contiguous() for name, tensor in head.state_dict().items()}))


def usual_places(lessons: Lessons, findings: Sequence[str], side: int) -> Tensor:
    """Logits (f + 1, side, side) of how often a box of each finding, and of any, covers each cell; rare ones lean on any."""
    totals, counts = np.zeros((len(findings) + 1, side, side)), np.zeros((len(findings) + 1, 1, 1))
    for at in range(len(lessons)):
        if lessons.findings[at]:
            masks, known = lessons.targets([at], findings, side)
            totals += masks[0]
            counts += known[0][:, None, None]
    anywhere = totals[-1] / counts[-1]
    share = (totals + _PSEUDO_BOXES * anywhere) / (counts + _PSEUDO_BOXES)
    smooth = functional.avg_pool2d(
        functional.pad(torch.from_numpy(share)[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1
    )[0]
    return torch.logit(smooth.float(), eps=0.005)


def region_loss(logits: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy by cell, the mean over the maps that are known, plus soft Dice of those with a box.

    Soft Dice: Milletari et al., 3DV 2016.

    `logits`, `masks` (n, f, s, s), `known` (n, f) of 0 and 1: a map that is not known teaches nothing.
    """
    by_map = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean(dim=(2, 3))
    boxed = known * (masks.sum(dim=(2, 3)) > 0)
    shares = logits.sigmoid()
    shared = (shares * masks).sum(dim=(2, 3))
    dice = 1 - (2 * shared + 1e-3) / (shares.sum(dim=(2, 3)) + masks.sum(dim=(2, 3)) + 1e-3)
    return _mean(by_map, known) + _mean(dice, boxed)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp_min(1)


def _epoch(
    head: RegionHead,
    optimizer: torch.optim.Optimizer,
    lessons: Lessons,
    findings: Sequence[str],
    trunk: Trunk,
    recipe: RegionRecipe,
    epoch: int,
) -> float:
    """The mean loss of one epoch. Order, movement and dropout come from (seed, phase, epoch, step) alone."""
    head.train()
    order = np.random.default_rng(derive_seed(recipe.seed, PHASE, epoch)).permutation(len(lessons))
    batches = [order[at : at + recipe.batch_size].tolist() for at in range(0, len(order), recipe.batch_size)]
    losses = []
    for step, positions in enumerate(batches):
        rate = one_cycle((epoch * len(batches) + step) / max(1, recipe.epochs * len(batches) - 1))
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * rate
        seed = derive_seed(recipe.seed, PHASE, epoch, step)
        masks, known = lessons.targets(positions, findings, head.side * FINER)
        outputs, moved = trunk(positions, torch.from_numpy(masks), seed)
        torch.manual_seed(seed)
        loss = region_loss(head(outputs), functional.avg_pool2d(moved, FINER), torch.from_numpy(known))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()) * len(positions))
    return sum(losses) / len(lessons)


def one_cycle(done: float) -> float:
    """The rate as a share of its peak at `done` of the training in [0, 1]: up over 3 tenths, then down, along cosines.

    Smith and Topin, 2019 (from a 25th of the peak to a 250,000th), as PyTorch's OneCycleLR draws it.
    """
    low, last, rise = 1 / 25, 1 / 25e4, 0.3
    if done < rise:
        return 1 + (low - 1) * (1 + math.cos(math.pi * done / rise)) / 2
    return last + (1 - last) * (1 + math.cos(math.pi * (done - rise) / (1 - rise))) / 2


def _groups(head: RegionHead, weight_decay: float) -> list[dict[str, Any]]:
    """Where findings usually lie is not drawn to 0, which would be a half."""
    others = [parameter for name, parameter in head.named_parameters() if name != "usual"]
    return [{"params": others, "weight_decay": weight_decay}, {"params": [head.usual], "weight_decay": 0.0}]


def _taken_up(head: RegionHead, optimizer: torch.optim.Optimizer, folder: Path) -> list[dict[str, Any]]:
    """The history of the epochs that are whole, with the head and its optimizer as the last of them left them."""
    if not (folder / LAST).exists():
        return []
    kept = torch.load(folder / LAST, map_location="cpu", weights_only=True)
    head.load_state_dict(kept["head"])
    optimizer.load_state_dict(kept["optimizer"])
    return list(kept["history"])


def _keep(head: RegionHead, optimizer: torch.optim.Optimizer, history: Sequence[dict[str, Any]], folder: Path) -> None:
    whole = {"head": head.state_dict(), "optimizer": optimizer.state_dict(), "history": list(history)}
    buffer = io.BytesIO()
    torch.save(whole, buffer)
    write_whole(folder / LAST, buffer.getvalue())

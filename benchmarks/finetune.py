"""Fine-tuning EfficientNet-B0's last block online on the CPU: ours, and the loop that one writes with timm."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from apart import answer, sides_in_turns
from measure import Row, Spread, ratios

BATCH, RATE, DROPOUT, GOAL = 32, 1e-4, 0.2, 1.4
WARM_UP = 3
"""Steps before the clock starts."""

# What a side imports, it imports itself: importing cxreader before torch sets how OpenMP's threads wait.


def measure_finetune(*, quick: bool) -> list[Row]:
    """Each side in a process of its own, in turns: the allocator cannot be set back."""
    steps, size, repetitions = (2, 64, 1) if quick else (8, 224, 3)
    found = sides_in_turns("finetune.py", ("ours", "plain"), repetitions, steps=steps, size=size)
    ours, plain = ([one["step"] for one in found[side]] for side in ("ours", "plain"))
    times = ratios(plain, ours)
    return [
        Row(
            f"fine-tuning EfficientNet-B0's last block online, batches of {BATCH} at {size} px, a training step "
            f"(mean of {steps}); {found['ours'][0]['threads']} threads, a process for each side",
            f"{Spread.of(1000 * s for s in ours).text(0, 'ms')}, Lightning and pixel cache included",
            f"timm and Adam in a plain loop (NCHW, frozen by requires_grad, model.train(), inputs ready in memory as "
            f"float32): {Spread.of(1000 * s for s in plain).text(0, 'ms')}",
            times,
            f"at least {GOAL:g}",
            times.median >= GOAL,
        )
    ]


def _side(side: str, steps: int, size: int) -> dict[str, Any]:
    stamps = (_ours if side == "ours" else _plain)((WARM_UP + steps + 1) * BATCH, size)
    import torch

    return {"step": (stamps[WARM_UP + steps] - stamps[WARM_UP]) / steps, "threads": torch.get_num_threads()}


def _ours(images: int, size: int) -> list[float]:
    """When each training batch was asked for, in the phase as `cxreader train` runs it without stored outputs."""
    from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
    from cxreader.machine import keep_pages

    # isort: split
    from torch import Tensor

    from cxreader.data.dataset import CachedImages
    from cxreader.imaging.preprocess import InputSpec
    from cxreader.models.registry import create_model
    from cxreader.training.fit import Settings, fit_phase
    from cxreader.training.module import Recipe
    from cxreader.training.phases import Phase
    from noise import noise

    class Stamped(CachedImages):
        def __getitem__(self, positions: Sequence[int]) -> tuple[Tensor, ...]:
            stamps.append(time.perf_counter())
            return super().__getitem__(positions)

    stamps: list[float] = []
    keep_pages()  # as `train` does
    model = create_model("efficientnet_b0", dropout=DROPOUT, size=size)
    phase = Phase("fine_tune", "last_block", RATE, epochs=1, patience=1)
    settings = Settings(BATCH, accelerator="cpu", show_progress=False)
    with TemporaryDirectory(prefix="cxreader-bench-") as folder:
        parts = noise(Path(folder), images, 2, size)
        train = parts["train"]
        stamped = {**parts, "train": Stamped(train.pixels, train.rows, train.labels)}
        fit_phase(model, phase, Recipe(0, InputSpec(size), None), stamped, Path(folder) / "run", settings)
    return stamps


def _plain(images: int, size: int) -> list[float]:
    """When each batch was at hand. The same parameters learn; nothing is decoded, augmented or normalised meanwhile."""
    import torch

    # isort: split
    from cxreader import torch_setup  # noqa: F401 - behind torch, for timm's torchvision alone

    # isort: split
    import timm
    from torch.nn import functional
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    data = TensorDataset(torch.randn(images, 3, size, size), torch.arange(images) % 2)
    model = timm.create_model("efficientnet_b0", num_classes=2, drop_rate=DROPOUT)
    for parameter in model.parameters():
        parameter.requires_grad = False
    for module in (model.conv_head, model.bn2, model.classifier):
        module.requires_grad_(requires_grad=True)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=RATE)
    stamps = []
    model.train()
    for x, label in DataLoader(data, batch_size=BATCH, shuffle=True):
        stamps.append(time.perf_counter())
        optimizer.zero_grad()
        functional.cross_entropy(model(x), label).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return stamps


if __name__ == "__main__":
    answer(_side)

"""Networks without torch: ONNX Runtime as we run it, beside torch as one writes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apart import answer, apart, sides_in_turns
from artifacts import make_artifact
from measure import Row, Spread, ratios

GOALS = {"resnet18": (1.4, 1.4), "efficientnet_b0": (2.5, 4.0), "densenet121": (1.8, 1.8)}
"""By network, for a single image and for a batch."""
NAMES = {"resnet18": "ResNet18", "efficientnet_b0": "EfficientNet-B0", "densenet121": "DenseNet121"}
BATCHES = (1, 16)

# What a side imports, it imports itself: ours must not load torch, and the peer's threads must wait as torch lets them.


def measure_runtimes(scratch: Path, *, quick: bool) -> list[Row]:
    """Each side in a process of its own, in many short turns: a neighbour on the host comes and goes within seconds."""
    size, seconds, repetitions = (64, 0.2, 1) if quick else (224, 1.5, 11)
    folders = apart("runtimes.py", side="export", scratch=str(scratch), size=size)
    rows = []
    for network, goals in GOALS.items():
        given = {"folder": folders[network], "network": network, "size": size, "seconds": seconds}
        found = sides_in_turns("runtimes.py", ("onnx", "torch"), repetitions, **given)
        for n, (batch, goal) in enumerate(zip(BATCHES, goals, strict=True)):
            ours, peer = ([one["seconds"][n] for one in found[side]] for side in ("onnx", "torch"))
            times = ratios(peer, ours)
            rows.append(
                Row(
                    f"logits and features of {NAMES[network]}, {batch} image{'s' * (batch > 1)} of {size} px a call, "
                    f"{found['torch'][0]['threads']} threads, a process for each side",
                    f"ONNX Runtime: {_rate(batch, ours)}",
                    f"timm in torch, eager (NCHW, eval, inference_mode), logits alone: {_rate(batch, peer)}",
                    times,
                    f"at least {goal:g}",
                    times.median >= goal,
                )
            )
    return rows


def _rate(images: int, seconds: list[float]) -> str:
    return Spread.of(images / s for s in seconds).text(1, "images/s")


def _side(side: str, **given: Any) -> Any:
    sides: dict[str, Callable[..., Any]] = {"export": _export, "onnx": _onnx, "torch": _torch}
    return sides[side](**given)


def _export(scratch: str, size: int) -> dict[str, str]:
    return {network: str(make_artifact(Path(scratch) / network, network, size)) for network in GOALS}


def _onnx(folder: str, network: str, size: int, seconds: float) -> dict[str, Any]:  # noqa: ARG001
    from cxreader.inference.backend import load_backend
    from cxreader.models.artifact import load_artifact

    backend = load_backend("onnx", load_artifact(folder), Path(folder))
    batches = [_batch(count, size) for count in BATCHES]
    return {"seconds": [_seconds(partial(backend.run, x), seconds) for x in batches]}


def _torch(folder: str, network: str, size: int, seconds: float) -> dict[str, Any]:  # noqa: ARG001
    import torch

    # isort: split
    from cxreader import torch_setup  # noqa: F401 - behind torch, for timm's torchvision alone

    # isort: split
    import timm

    model = timm.create_model(network, num_classes=2).eval()

    def run(x: torch.Tensor) -> object:
        with torch.inference_mode():
            return model(x).numpy()

    batches = [torch.from_numpy(_batch(count, size)) for count in BATCHES]
    return {"seconds": [_seconds(partial(run, x), seconds) for x in batches], "threads": torch.get_num_threads()}


def _batch(count: int, size: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((count, 3, size, size)).astype(np.float32)


def _seconds(call: Callable[[], object], seconds: float) -> float:
    """The median call of as many as fit into `seconds`, at least three, behind three that warm up."""
    for _ in range(3):
        call()
    found: list[float] = []
    while len(found) < 3 or sum(found) < seconds:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return float(np.median(found))


if __name__ == "__main__":
    answer(_side)

"""Networks without torch: ONNX Runtime as we run it, beside torch as one writes it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apart import answer, answer_each, apart, kept_sides
from artifacts import make_artifact
from measure import Row, Spread, ratios

GOALS = {"resnet18": (1.4, 1.4), "efficientnet_b0": (2.5, 4.0), "densenet121": (1.8, 1.8)}
"""By network, for a single image and for a batch."""
NAMES = {"resnet18": "ResNet18", "efficientnet_b0": "EfficientNet-B0", "densenet121": "DenseNet121"}
BATCHES = (1, 16)

# What a side imports, it imports itself: ours must not load torch, and the peer's threads must wait as torch lets them.


def measure_runtimes(scratch: Path, *, quick: bool) -> list[Row]:
    """Each side in a process of its own, in many short turns: a neighbour on the host comes and goes within seconds.

    Several pairs of processes: where one's memory happens to lie moves all of its turns.
    """
    size, seconds, pairs, turns = (64, 0.05, 1, 1) if quick else (224, 0.3, 6, 8)
    folders = apart("runtimes.py", side="export", scratch=str(scratch), size=size)
    rows = []
    for network, goals in GOALS.items():
        given = {"folder": folders[network], "network": network, "size": size, "seconds": seconds}
        found: dict[tuple[str, int], list[float]] = {}
        for _ in range(pairs):
            with kept_sides("runtimes.py", ("onnx", "torch"), **given) as sides:
                for key, figures in _in_turns(sides, turns).items():
                    found.setdefault(key, []).extend(figures)
                threads = sides["torch"]("threads")
        for batch, goal in zip(BATCHES, goals, strict=True):
            ours, peer = found["onnx", batch], found["torch", batch]
            times = ratios(peer, ours)
            rows.append(
                Row(
                    f"logits and features of {NAMES[network]}, {batch} image{'s' * (batch > 1)} of {size} px a call, "
                    f"{threads} threads, {pairs} pairs of processes, {turns} turns each of {seconds:g} s or one call",
                    f"ONNX Runtime: {_rate(batch, ours)}",
                    f"timm in torch, eager (NCHW, eval, inference_mode), logits alone: {_rate(batch, peer)}",
                    times,
                    f"at least {goal:g}",
                    times.median >= goal,
                )
            )
    return rows


def _in_turns(sides: dict[str, Callable[[object], Any]], turns: int) -> dict[tuple[str, int], list[float]]:
    """Seconds a call by side and batch, a figure a turn; one side right behind the other, the order turning."""
    found: dict[tuple[str, int], list[float]] = {(side, batch): [] for side in sides for batch in BATCHES}
    for turn in range(turns):
        order = list(sides) if turn % 2 else list(sides)[::-1]
        for batch in BATCHES:
            for side in order:
                found[side, batch].append(sides[side](batch))
    return found


def _rate(images: int, seconds: list[float]) -> str:
    return Spread.of(images / s for s in seconds).text(1, "images/s")


def _side(side: str, **given: Any) -> Callable[[Any], object]:
    sides: dict[str, Callable[..., Callable[[Any], object]]] = {"onnx": _onnx, "torch": _torch}
    return sides[side](**given)


def _export(side: str, scratch: str, size: int) -> dict[str, str]:  # noqa: ARG001
    return {network: str(make_artifact(Path(scratch) / network, network, size)) for network in GOALS}


def _onnx(folder: str, network: str, size: int, seconds: float) -> Callable[[int], float]:  # noqa: ARG001
    from cxreader.inference.runtimes.backend import load_backend
    from cxreader.models.artifact import load_artifact

    backend = load_backend("onnx", load_artifact(folder), Path(folder))
    return _timed({count: partial(backend.run, _batch(count, size)) for count in BATCHES}, seconds)


def _torch(folder: str, network: str, size: int, seconds: float) -> Callable[[Any], float]:  # noqa: ARG001
    import torch

    # isort: split
    from cxreader import torch_setup  # noqa: F401 - behind torch, for timm's torchvision alone

    # isort: split
    import timm

    model = timm.create_model(network, num_classes=2).eval()

    def run(x: torch.Tensor) -> object:
        with torch.inference_mode():
            return model(x).numpy()

    timed = _timed({count: partial(run, torch.from_numpy(_batch(count, size))) for count in BATCHES}, seconds)
    return lambda options: torch.get_num_threads() if options == "threads" else timed(options)


def _batch(count: int, size: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((count, 3, size, size)).astype(np.float32)


def _timed(calls: dict[int, Callable[[], object]], seconds: float) -> Callable[[int], float]:
    """By batch, the median call of as many as fit into `seconds`, at least one; each has been called three times before."""
    for call in calls.values():
        for _ in range(3):
            call()

    def median(batch: int) -> float:
        found: list[float] = []
        while not found or sum(found) < seconds:
            start = time.perf_counter()
            calls[batch]()
            found.append(time.perf_counter() - start)
        return float(np.median(found))

    return median


if __name__ == "__main__":
    if json.loads(sys.argv[1])["side"] == "export":
        answer(_export)
    else:
        answer_each(_side)

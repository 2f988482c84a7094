"""The study's sixteen configurations of EfficientNet-B0 from one store of frozen outputs, and online."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
from cxreader.machine import keep_pages

# isort: split
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from apart import answer, apart
from cxreader.config import Config, load_config, with_values
from cxreader.data.dataset import CachedImages
from cxreader.progress import no_bar
from cxreader.runs import RunFolder
from cxreader.study.search.space import Point, read_space
from cxreader.training.phases import planned_phases
from cxreader.training.train import build_model, frozen_outputs, learn
from measure import Row, Spread
from noise import noise

GRID = Path(__file__).parents[1] / "src" / "cxreader" / "configs" / "grid.toml"
LEARN, BATCH = "training.fine_tune.learn", "training.batch_size"
MEASURED = (("head", 32), ("last_block", 16), ("last_block", 32))
"""What is measured online: (what learns, batch size). The head at batch 16 is taken to cost what it does at 32."""
GOAL = 15.0


def measure_grid(*, quick: bool) -> list[Row]:
    """All sixteen stored, first pass included; online one epoch of three of them, scaled by the epochs of the stored runs."""
    train, tune, size, epochs = (24, 16, 64, 1) if quick else (850, 150, 224, 15)
    found = apart("grid.py", train=train, tune=tune, size=size, epochs=epochs)
    ratio = found["online"] / found["stored"]
    taken = [count for counts in found["epochs"].values() for count in counts]
    kinds = ", ".join(f"{kind} {'+'.join(map(str, counts))}" for kind, counts in found["epochs"].items())
    measured = ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in found["epoch_seconds"].items())
    images = f"{train:,} training and {tune:,} tune images at {size} px"
    return [
        Row(
            f"the study's grid, {len(taken)} trainings of EfficientNet-B0 (configs/grid.toml: at most {epochs} epochs, "
            f"patience 4): {images}, one view, no augmentation; {found['threads']} threads",
            f"frozen stages stored once: {found['stored']:,.0f} s, of it the first pass {found['first']:,.0f} s; "
            f"{sum(taken)} epochs before the trainings stopped ({kinds})",
            f"online: {found['online']:,.0f} s for the same {sum(taken)} epochs, scaled from one measured epoch of each "
            f"of {len(MEASURED)} kinds ({measured})",
            Spread.of([ratio]),
            f"at least {GOAL:g}",
            ratio >= GOAL,
        )
    ]


@dataclass(frozen=True, slots=True)
class _Training:
    """How one training went: epochs taken, their seconds, and the seconds besides."""

    epochs: int
    in_epochs: float
    besides: float

    def scaled(self, epochs: int) -> float:
        """Seconds that so many epochs would take; what comes once is counted once."""
        return self.besides + epochs * self.in_epochs / self.epochs


def _train(config: Config, parts: Mapping[str, CachedImages], folder: Path) -> _Training:
    """As one trial of a search, in this process."""
    start = time.perf_counter()
    model, transfer = build_model(config)
    result = learn(config, model, transfer, parts, RunFolder(folder), say=_silent, bar=no_bar).chosen
    return _Training(len(result.history), result.seconds, time.perf_counter() - start - result.seconds)


def _store(config: Config, points: list[Point], parts: Mapping[str, CachedImages], folder: Path) -> None:
    """What the frozen stages give for the cuts of all points, in one pass, as a search prepares it."""
    model, transfer = build_model(config)
    configs = [with_values(config, point) for point in points]
    phases = [phase for c in configs for phase in planned_phases(c.training, pretrained=transfer.pretrained)]
    frozen_outputs(config, model, phases, parts, RunFolder(folder), say=_silent, bar=no_bar)


def _online(config: Config, point: Point, parts: Mapping[str, CachedImages], folder: Path) -> _Training:
    """One epoch without a store."""
    values = {**point, "training.prefix_cache": False, "training.fine_tune.epochs": 1}
    return _train(with_values(config, values), parts, folder)


def _measure(train: int, tune: int, size: int, epochs: int) -> dict[str, Any]:
    keep_pages()  # as a search does
    with TemporaryDirectory(prefix="cxreader-bench-") as name:
        folder = Path(name)
        config = _config(folder, size, epochs)
        points: list[Point] = list(read_space(config).points())
        of_kind = {kind: next(p for p in points if (p[LEARN], p[BATCH]) == kind) for kind in MEASURED}
        _warm_up(with_values(config, {"data.cache": str(folder / "few")}), folder / "few", size)
        parts = noise(folder, train, tune, size)
        online = {
            kind: _online(config, p, parts, folder / "online" / str(n)) for n, (kind, p) in enumerate(of_kind.items())
        }
        start = time.perf_counter()
        _store(config, points, parts, folder / "first")
        first = time.perf_counter() - start
        runs = [_train(with_values(config, p), parts, folder / "stored" / str(n)) for n, p in enumerate(points)]
        stored = time.perf_counter() - start
    taken: dict[str, list[int]] = {}
    for point, run in zip(points, runs, strict=True):
        taken.setdefault(f"{point[LEARN]} at batch {point[BATCH]}", []).append(run.epochs)
    return {
        "stored": stored,
        "first": first,
        "online": sum(online[_kind(p)].scaled(run.epochs) for p, run in zip(points, runs, strict=True)),
        "epochs": taken,
        "epoch_seconds": {f"{what} at batch {batch}": online[what, batch].in_epochs for what, batch in MEASURED},
        "threads": torch.get_num_threads(),
    }


def _kind(point: Point) -> tuple[str, int]:
    """The measured kind that stands for a point."""
    return ("head", 32) if point[LEARN] == "head" else ("last_block", int(point[BATCH]))


def _config(folder: Path, size: int, epochs: int) -> Config:
    """configs/grid.toml on this machine's processor, without augmentation and so with one view."""
    weights = folder / "weights.safetensors"
    _write_weights(weights, size)
    values = {
        "augment": None,
        "input.size": size,
        "model.weights": str(weights),
        "data.cache": str(folder / "store"),
        "training.accelerator": "cpu",
        "training.fine_tune.epochs": epochs,
    }
    return with_values(load_config(GRID), values)


def _write_weights(path: Path, size: int) -> None:
    """Random weights whose batch norms know their input: else what comes out is too small for half precision."""
    torch.manual_seed(0)
    net = timm.create_model("efficientnet_b0", num_classes=2).train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all that was seen
    with torch.no_grad():
        net(torch.randn(16, 3, size, size))
    save_file(net.state_dict(), path)


def _warm_up(config: Config, folder: Path, size: int) -> None:
    """Both ways once on few images, unmeasured."""
    parts = noise(folder, 32, 32, size)
    for what in ("head", "last_block"):
        point: Point = {LEARN: what, "training.fine_tune.epochs": 1}
        _online(config, point, parts, folder / "online" / what)
        _train(with_values(config, point), parts, folder / "stored" / what)


def _silent(_: str) -> None:
    return


if __name__ == "__main__":
    answer(_measure)

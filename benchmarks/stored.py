"""The head phase from stored outputs of the frozen stages, and online: the same phase, both times through `fit_phase`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
from cxreader.machine import keep_pages

# isort: split
import torch

from apart import answer, apart
from cxreader.data.augment import Augmentation
from cxreader.data.dataset import CachedImages
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.registry import create_model
from cxreader.models.stages import StagedModel
from cxreader.progress import no_bar
from cxreader.training.activation_cache import ActivationPlan, build_activation_caches
from cxreader.training.fit import Settings, fit_phase
from cxreader.training.module import Recipe
from cxreader.training.phases import Phase
from measure import Row, Spread, ratios
from noise import noise

NETWORK, BATCH, VIEWS, GOAL = "resnet18", 32, 4, 10.0


def measure_stored(*, quick: bool) -> list[Row]:
    """Without augmentation, which is judged; and with: stored views against an augmentation drawn anew in every epoch."""
    epochs, size = (2, 64) if quick else (15, 224)
    parts = [(34, 16), (34, 16)] if quick else [(1700, 300), (850, 150)]
    views = [1, VIEWS]
    hows = [
        "one view, no augmentation on either side",
        f"{VIEWS} augmented views stored; online draws anew in every epoch",
    ]
    cases = [
        {"train": n, "tune": m, "epochs": epochs, "size": size, "views": v}
        for (n, m), v in zip(parts, views, strict=True)
    ]
    found = apart("stored.py", cases=cases)
    return [_row(*of_case) for of_case in zip(cases, hows, found, [GOAL, None], strict=True)]


def _row(case: Mapping[str, int], how: str, found: Mapping[str, Any], goal: float | None) -> Row:
    times = ratios(found["online"], [found["stored"]] * len(found["online"]))
    images = f"{case['train']:,} training and {case['tune']:,} tune images at {case['size']} px"
    return Row(
        f"head phase of ResNet18, {case['epochs']} epochs in batches of {BATCH}: {images}, {how}; {found['threads']} threads",
        f"frozen stages stored: {found['stored']:,.1f} s, of it the first pass {found['first']:,.1f} s",
        f"online: {Spread.of(found['online']).text(1, 's')}; two epochs measured, one before ours and one behind it, "
        f"each scaled to {case['epochs']}",
        times,
        "" if goal is None else f"at least {goal:g}",
        None if goal is None else times.median >= goal,
    )


@dataclass(frozen=True, slots=True)
class _Head:
    """One head phase, and how it is trained in a folder of its own."""

    parts: Mapping[str, CachedImages]
    recipe: Recipe
    views: int

    def stored(self, folder: Path, epochs: int) -> tuple[float, float]:
        """Seconds of the first pass and of the whole; it never stops early."""
        model = _network(self.recipe.spec.size)
        start = time.perf_counter()
        plan = ActivationPlan(self.recipe.spec, self.recipe.augmentation, self.recipe.seed, self.views)
        caches = build_activation_caches(
            model, ["pool"], self.parts, plan, folder, accelerator="cpu", say=lambda _: None, bar=no_bar
        )["pool"]
        first = time.perf_counter() - start
        fit_phase(model, _phase(epochs), self.recipe, self.parts, folder / "run", _SETTINGS, activations=caches)
        return first, time.perf_counter() - start

    def online(self, folder: Path, epochs: int) -> float:
        """Seconds that `epochs` would take: one is measured; what comes once is counted once."""
        model = _network(self.recipe.spec.size)
        start = time.perf_counter()
        result = fit_phase(model, _phase(1), self.recipe, self.parts, folder, _SETTINGS)
        once = time.perf_counter() - start - result.seconds
        return once + epochs * result.seconds


_SETTINGS = Settings(BATCH, accelerator="cpu", show_progress=False)


def _phase(epochs: int) -> Phase:
    return Phase("head", "head", lr=1e-3, epochs=epochs, patience=epochs)


def _network(size: int) -> StagedModel:
    torch.manual_seed(0)
    return create_model(NETWORK, size=size).learn("head")


def _measure(cases: Sequence[Mapping[str, int]]) -> list[dict[str, Any]]:
    keep_pages()  # as `train` does
    return [_measure_case(**case) for case in cases]


def _measure_case(train: int, tune: int, epochs: int, size: int, views: int) -> dict[str, Any]:
    recipe = Recipe(0, InputSpec(size), Augmentation() if views > 1 else None)
    with TemporaryDirectory(prefix="cxreader-bench-") as name:
        folder = Path(name)
        few = _Head(noise(folder / "few", BATCH, BATCH, size), recipe, views)
        few.online(folder / "few" / "online", 1)
        few.stored(folder / "few" / "stored", 1)
        head = _Head(noise(folder, train, tune, size), recipe, views)
        before = head.online(folder / "before", epochs)
        first, stored = head.stored(folder / "stored", epochs)
        behind = head.online(folder / "behind", epochs)
    return {"online": [before, behind], "first": first, "stored": stored, "threads": torch.get_num_threads()}


if __name__ == "__main__":
    answer(_measure)

"""What the tests of a search share: its configuration, a training that takes no time, and a look into its records."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.world import world_config

from cxreader import torch_setup  # noqa: F401
from cxreader.config import Config, with_values
from cxreader.study.search.record import Trial
from cxreader.training.phases import PhaseResult
from cxreader.training.train import Learnt

SPACE: dict[str, Any] = {"training.fine_tune.lr": [1e-1, 1e-3], "model.dropout": [0.0, 0.4]}
EPOCHS = 8


def silent(_: str) -> None:
    """Say nothing."""


def learning_config(world: Path, space: Mapping[str, Any] = SPACE, **study: Any) -> Config:
    """The head alone of a pretrained ResNet18 at 32 px: a trial takes a second."""
    phase = {"learn": "head", "epochs": EPOCHS, "patience": EPOCHS}
    values = {"training.phases": ["fine_tune"], "training.fine_tune": phase, "training.monitor": "accuracy"}
    section = {"study.space": dict(space), **{f"study.{key}": value for key, value in study.items()}}
    views = {"input.size": 32, "training.views": 1, "training.accelerator": "cpu", "split.shares": (0.5, 0.25, 0.25)}
    return with_values(world_config(world), {**values, **views, **section})


@dataclass
class Fake:
    """Stands for `learn`: a tune accuracy by epoch, given the configuration; counts how often each point was trained."""

    curve: Callable[[Config], list[float]]
    seen: list[tuple[float, float]]

    def __call__(self, config: Config, *_: object, watch: Any, **__: object) -> Learnt:
        self.seen.append((config.training.fine_tune.lr, config.model.dropout))
        history = []
        for n, accuracy in enumerate(self.curve(config)):
            figures = {"train_loss": 0.5, "tune_loss": 1 - accuracy, "tune_accuracy": accuracy, "tune_auc": math.nan}
            history.append({"epoch": n, "seconds": 0.1, **figures})
            watch("fine_tune", history[-1])
        scores = [epoch["tune_accuracy"] for epoch in history]
        best = scores.index(max(scores))
        result = PhaseResult("fine_tune", best, max(scores), tuple(history), 0.1 * len(history))
        return Learnt((result,), result, None)  # type: ignore[arg-type] # nobody asks for the recipe


def record_of(trial: Trial) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((trial.folder / "record.json").read_text())
    return found


def learnt_by(trial: Trial) -> dict[str, Any]:
    """What a trial learnt, without its clock."""
    record = record_of(trial)
    for phase in record["phases"]:
        for epoch in phase["epochs"]:
            epoch.pop("seconds")
    return {key: record[key] for key in ("number", "point", "state", "phases", "best")}


def complete_trial(number: int, score: float, loss: float = 0.5, **point: Any) -> Trial:
    return Trial(number, Path(f"{number}"), "complete", point, "p", score, score, loss, 1, 1, 1.0, None, None, 1, None)

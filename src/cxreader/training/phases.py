"""A phase: where the cut is, how fast the rest learns, how long at most. The study's two, or one with every stage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cxreader.config import Config, TrainingSection
from cxreader.errors import ConfigError, ModelError
from cxreader.models.stages import Learn, StagedModel


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of training; `patience` in epochs without improvement of the monitored tune figure."""

    name: str
    learn: Learn
    lr: float
    epochs: int
    patience: int


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """How a phase ended: its best epoch (from 0), the tune figure there, and every epoch's losses and figures."""

    name: str
    best_epoch: int
    best_score: float
    history: tuple[dict[str, Any], ...]
    seconds: float

    @property
    def devices(self) -> list[int]:
        """How many devices trained its epochs, each number once; one where an earlier version did not say."""
        return sorted({epoch.get("devices", 1) for epoch in self.history})


def planned_phases(training: TrainingSection, *, pretrained: bool) -> tuple[Phase, ...]:
    """The configured phases; `full` alone when nothing was pretrained, since frozen random stages would teach nothing."""
    names = training.phases if pretrained else ("full",)
    sections = {"head": training.head, "fine_tune": training.fine_tune, "full": training.full}
    return tuple(Phase(name, **sections[name].model_dump()) for name in names)


def stored_views(config: Config) -> int:
    """Versions of each training image that phases on stored stages learn from: one where nothing is augmented."""
    return 1 if config.augment is None else config.training.views


def require_stages(model: StagedModel, training: TrainingSection) -> None:
    """Raise ConfigError, with the nearest name, when a phase names a stage that the network does not have."""
    for name in ("head", "fine_tune", "full"):
        try:
            model.cut_of(getattr(training, name).learn)
        except ModelError as error:
            raise ConfigError(error.what, where=f"training.{name}.learn", mend=error.mend) from None


def learning(learn: Learn) -> str:
    """A phase's stages in words."""
    return learn if learn in ("head", "last_block", "all") else f"{learn} with all behind it"


def ended(history: Sequence[Mapping[str, Any]], phase: Phase, monitor: str) -> bool:
    """Whether these epochs are the whole phase: as many as it has, or `patience` of them without improvement at the end."""
    best = best_epoch(history, monitor)
    without = len(history) - 1 - best if best is not None else len(history)
    return len(history) >= phase.epochs or without >= phase.patience


def best_epoch(history: Sequence[Mapping[str, Any]], monitor: str) -> int | None:
    """The first epoch (from 0) with the best monitored tune figure; None where no epoch has one."""
    sign = -1.0 if monitor == "loss" else 1.0
    figures = [sign * epoch[f"tune_{monitor}"] for epoch in history]
    known = [n for n, figure in enumerate(figures) if math.isfinite(figure)]
    return max(known, key=lambda n: (figures[n], -n), default=None)


def better(a: PhaseResult, b: PhaseResult, monitor: Literal["accuracy", "auc", "loss"]) -> PhaseResult:
    """The phase with the better tune figure; the earlier one when they are equal."""
    wins = b.best_score < a.best_score if monitor == "loss" else b.best_score > a.best_score
    return b if wins else a

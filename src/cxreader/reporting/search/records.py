"""What the page of a search shows: frozen records, filled by whoever ran it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.tables import format_patients


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the space: its `values` in order, or a range from `low` to `high`, logarithmic with `log`."""

    key: str
    values: tuple[object, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False


@dataclass(frozen=True, slots=True)
class TunePart:
    """Images of a part by class, and its patients: None where no patient is known."""

    normal: int
    abnormal: int
    patients: int | None

    @property
    def images(self) -> int:
        """Images of both classes."""
        return self.normal + self.abnormal

    def __str__(self) -> str:
        labels = f"{self.abnormal:,} abnormal, {self.normal:,} normal"
        return f"{self.images:,} images ({labels}; {format_patients(self.patients)})"


@dataclass(frozen=True, slots=True)
class SearchRow:
    """One complete trial. `number`: of its point, from 1; `best_epoch` from 1; `seconds` of its epochs; memory in bytes."""

    rank: int
    number: int
    values: Mapping[str, object]
    score: float
    tune_accuracy: float
    tune_loss: float | None
    best_epoch: int
    epochs: int
    seconds: float
    peak_memory: int | None = None
    gpu_memory: int | None = None


@dataclass(frozen=True, slots=True)
class OtherRow:
    """A trial that gave no score: `pruned` or `failed`, with its reason."""

    number: int
    values: Mapping[str, object]
    state: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Effect:
    """Mean score at the second of two `levels` minus at the first, over `pairs` of trials equal in all else.

    `low` and `high` are NaN where there is no interval, and then `reason` says why.
    """

    key: str
    levels: tuple[object, object]
    value: float
    low: float
    high: float
    pairs: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The winner, judged once on test: its accuracy on tune, on test, and the first minus the second."""

    artifact: str
    tune: Estimate
    test: Estimate
    optimism: Estimate
    test_auc: Estimate
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchReport:
    """All that the page shows. `rows` by rank; `monitor`: the tune figure that ranks them; `winner` None until judged."""

    model: str
    weights: str
    monitor: str
    settings: tuple[Setting, ...]
    method: str
    rows: tuple[SearchRow, ...]
    others: tuple[OtherRow, ...]
    parts: Mapping[str, TunePart]
    importances: Mapping[str, float]
    importance_method: str
    effects: tuple[Effect, ...]
    winner: Judgement | None = None
    provenance: Mapping[str, str | int | float | None] = field(default_factory=dict)

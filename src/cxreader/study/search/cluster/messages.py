"""What a worker tells its driver, one message at a time: it goes on with the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cxreader.study.search.record import State


@dataclass(frozen=True, slots=True)
class WantsPixels:
    """Images `start` to `stop` (without) of a part, in their order. Answer: uint8 (stop - start, H, W)."""

    part: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class WantsWeights:
    """A file of pretrained weights, by the network's name and what the configuration calls them. Answer: its bytes."""

    model: str
    weights: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch of the trial, as a `Judge` is told it. Answer: the judge's."""

    phase: str
    figures: Mapping[str, Any]
    step: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Further bytes of a file of the trial's folder, by its name with `/`. No answer."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Over:
    """The trial has ended, and all its files were sent. The last message."""

    state: State
    score: float | None

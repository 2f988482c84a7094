"""A forecast of how long a study takes on this machine, from images a second measured here, before anything is trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
from cxreader.machine import keep_pages

# isort: split
import torch
from torch import Tensor
from torch.nn import functional

from cxreader.config import Config
from cxreader.models.registry import create_model
from cxreader.models.stages import Learn, StagedModel
from cxreader.progress import Say
from cxreader.study.pretrain import n_phantoms, scratch_config, wants_phantoms
from cxreader.study.rows import Row, study_rows
from cxreader.study.search.space import read_space
from cxreader.training.phases import Phase, planned_phases, stored_views

SECONDS = 2.0
"""How long each rate is measured, after one unmeasured batch."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Images a second of one network: through the frozen stages alone, and in training steps of each phase, by its name."""

    frozen: float
    learning: dict[str, float]


@dataclass(frozen=True, slots=True)
class RowForecast:
    """One row, or a pretraining on phantoms: how many `trainings`, and at most how many `seconds` they take together.

    `trainings`: seeds, and the points of its search.
    `first_pass`: those of the seconds in which the activation cache is filled. `epochs`: of one training, at most.
    """

    name: str
    trainings: int
    epochs: int
    rates: Rates
    first_pass: float
    seconds: float


def forecast(config: Config, images: int, *, say: Say) -> tuple[RowForecast, ...]:
    """Measure every network of `config.study` on random pixels and count what its rows would do with `images` in all.

    Networks that learn phantoms first come before the rows, once each. An upper bound, since no phase stops early; decoding,
    drawing phantoms, reading the test part and the figures are not in it. On a GPU
    the same is measured there, in bf16 where it has it. Raises ConfigError as `study_rows`.
    """
    keep_pages()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    known: dict[str, Rates] = {}
    found = []
    for row in study_rows(config):
        model, size = row.config.model, row.config.input.size
        names = "+".join(phase.name for phase in _phases(row))
        key = f"{model.name} {size} {names} {row.config.training.batch_size}"
        if key not in known:
            say(f"measuring {model.name} at {size} px ({names.replace('+', ', ')})")
            known[key] = _rates(row.config, [(p.name, p.learn) for p in _phases(row)], device)
        found.append(_count(row, config.study.seeds, images, known[key]))
    return (*_pretrainings(config, device, say), *found)


def _pretrainings(config: Config, device: torch.device, say: Say) -> list[RowForecast]:
    """One for each network and size whose weights are to be made from phantoms."""
    wanted = {
        (row.config.model.name, row.config.input.size): row.config
        for row in study_rows(config)
        if wants_phantoms(row.config)
    }
    found = []
    for (name, size), own in wanted.items():
        scratch, images = scratch_config(own, "phantoms", None), n_phantoms(own.study.pretrain)
        say(f"measuring {name} at {size} px (pretraining on phantoms)")
        rates = _rates(scratch, [("full", "all")], device)
        train, tuned = scratch.split.shares[0] * images, scratch.split.shares[1] / 2 * images
        epochs = own.study.pretrain.epochs
        seconds = epochs * (train + tuned / 3) / rates.learning["full"]
        found.append(RowForecast(f"{name}, {size} px: phantoms first", 1, epochs, rates, 0.0, seconds))
    return found


def _phases(row: Row) -> tuple[Phase, ...]:
    return planned_phases(row.config.training, pretrained=row.config.model.weights != "none")


def _count(row: Row, seeds: int, images: int, rates: Rates) -> RowForecast:
    t, shares, phases = row.config.training, row.config.split.shares, _phases(row)
    train, tuned = shares[0] * images, shares[1] / 2 * images  # half of the validation share calibrates
    stored = [phase for phase in phases if t.prefix_cache and phase.learn != "all"]
    views = stored_views(row.config)
    # A search shares a first pass; every seed draws other views, but where nothing is drawn.
    first = (seeds if views > 1 else 1) * (train * views + tuned) / rates.frozen if stored else 0.0
    each = sum(phase.epochs * (train + tuned / 3) / rates.learning[phase.name] for phase in phases)
    points = (row.config.study.trials or read_space(row.config).size() or 0) if row.search else 0
    trainings = seeds + points
    return RowForecast(row.name, trainings, sum(p.epochs for p in phases), rates, first, first + each * trainings)


def _rates(config: Config, phases: list[tuple[str, Learn]], device: torch.device) -> Rates:
    model = create_model(config.model.name, dropout=config.model.dropout, size=config.input.size).to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stub
    batch = config.training.batch_size
    x = torch.rand(batch, 3, config.input.size, config.input.size, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    stages = [stage for _, learn in phases if (stage := model.frozen_stage(learn)) is not None]
    deepest = max(stages, key=model.names.index, default=None)
    frozen = math.inf if deepest is None else _per_second(lambda: _run_frozen(model, x, deepest), batch)
    learning = {}
    for name, learn in phases:
        model.train().learn(learn)
        stage = model.frozen_stage() if config.training.prefix_cache else None
        with torch.no_grad():
            given = x if stage is None else model.until(x, stage)
        adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-6)
        learning[name] = _per_second(lambda g=given, s=stage, a=adam: _train_step(model, g, s, a), batch)  # type: ignore[misc]
    return Rates(frozen, learning)


def _run_frozen(model: StagedModel, x: Tensor, stage: str) -> None:
    model.eval()
    with torch.inference_mode(), _half(x.device):
        model.until(x, stage)


def _train_step(model: StagedModel, x: Tensor, stage: str | None, adam: torch.optim.Optimizer) -> None:
    label = torch.arange(len(x), device=x.device) % 2
    with _half(x.device):
        loss = functional.cross_entropy(model(x) if stage is None else model.after(x, stage), label)
    adam.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    adam.step()


def _half(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, enabled=device.type == "cuda", dtype=torch.bfloat16)


def _per_second(work: Callable[[], None], images: int) -> float:
    """Images a second of `work`, which handles so many at a time."""
    work()
    _wait()
    started, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - started) < SECONDS:
        work()
        _wait()
        done += images
    return done / spent


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()

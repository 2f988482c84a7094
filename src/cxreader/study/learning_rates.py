"""A sweep of learning rates: one training for every rate and seed, whether it leaves a loss of ln 2, and what its units do.

A network of two classes that answers one half to every image has a cross-entropy of ln 2.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cxreader import torch_setup  # noqa: F401 - before torch

# isort: split
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from cxreader.config import Config
from cxreader.data.dataset import CachedImages, EpochOrder, derive_seed, grey, loader, normalise
from cxreader.errors import UsageError
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.artifact import MANIFEST, WEIGHTS
from cxreader.models.stages import StagedModel
from cxreader.progress import Bar, Say, no_bar, notes_once
from cxreader.reporting.study.sweep import LN2, draw_losses
from cxreader.reporting.style import save_figure
from cxreader.runs import RunFolder, changed_keys, only_process, refuse_changes, write_json
from cxreader.training.cohort import Cohort, input_spec, prepare_cohort
from cxreader.training.devices import require_one_device
from cxreader.training.train import build_model, train

NEAR, AROUND, CHANCE = 0.01, 0.05, (0.45, 0.55)
RULE = (
    "By the last epoch: stays = train loss within 0.01 of ln 2 (0.693), or within 0.05 of it and tune AUC undefined or from "
    "0.45 to 0.55; learns = not so, and train loss below ln 2; neither = the loss is still above it."
)
PROBE = "probe.json"
Verdict = Literal["learns", "stays", "neither"]


@dataclass(frozen=True, slots=True)
class SweepRun:
    """One training: its history's `epochs`, `probe` of the network it kept (the best epoch's), `follow` of its first steps."""

    lr: float
    seed: int
    verdict: Verdict
    epochs: tuple[Mapping[str, Any], ...]
    probe: Mapping[str, float]
    first_steps: tuple[Mapping[str, float | None], ...]


def sweep(
    config: Config,
    rates: Sequence[float],
    seeds: int,
    out: str | Path,
    *,
    steps: int = 4,
    say: Say = print,
    bar: Bar = no_bar,
) -> tuple[SweepRun, ...]:
    """Train `config` at every rate from `seeds` seeds (its own and the next ones), on one split and one pixel cache.

    `out` holds the runs (`runs/lr-RATE-seed-SEED`), the split, the cache, `learning_rates.json` and the figure. What is
    finished there is not run again, an interrupted run goes on, and every rate comes before the next seed. The first
    `steps` batches of every run are measured by `follow`. The test part is never read. Returns the runs by rate, then seed.
    Raises UsageError when the config has other phases than `full` alone, or when `out` holds another config's sweep; else as
    `train`.
    """
    require_one_device(config.training.devices, "trainings of a study")
    if config.training.phases != ("full",):
        mend = """--set 'training.phases=["full"]'"""
        raise UsageError("one rate needs one phase", where="training.phases", mend=mend)
    with only_process(out, "sweep"):
        return _swept(config, RunFolder(Path(out)), rates, seeds, steps, say, bar)


def _swept(
    config: Config, folder: RunFolder, rates: Sequence[float], seeds: int, steps: int, say: Say, bar: Bar
) -> tuple[SweepRun, ...]:
    begin_or_resume(folder, config)
    say = notes_once(say)
    cohort = prepare_cohort(config, folder, say, bar)
    pairs = [(rate, config.seed + n) for n in range(seeds) for rate in sorted(set(rates))]
    runs: list[SweepRun] = []
    for n, (rate, seed) in enumerate(pairs, 1):
        say(f"run {n} of {len(pairs)}: learning rate {rate:g}, seed {seed}")
        runs.append(_finished_run(_run_config(config, folder, rate, seed), folder, cohort, steps, say, bar))
        runs.sort(key=lambda run: (run.lr, run.seed))
        _write(folder, config, cohort, runs)
    return tuple(runs)


def verdict(last: Mapping[str, float]) -> Verdict:
    """What `RULE` says of the last epoch's figures (train_loss, tune_auc)."""
    loss, auc = last["train_loss"], last["tune_auc"]
    if abs(loss - LN2) <= (AROUND if math.isnan(auc) or CHANCE[0] <= auc <= CHANCE[1] else NEAR):
        return "stays"
    return "learns" if loss < LN2 else "neither"


def probe(model: StagedModel, images: CachedImages, spec: InputSpec) -> dict[str, float]:
    """Measures of the network's answers to `images`, in evaluation mode; `images` counts them.

    `dead_share` in [0, 1]: of the vector before the dropout (128 ReLU units in the custom CNN), units that are zero for every
    image. `logit_std`: standard deviation over the images of logit abnormal - logit normal; 0 when all get the same answer.
    """
    model.eval()
    with torch.inference_mode():
        batches = loader(images, EpochOrder(len(images), 64))
        vectors = torch.cat([model.until(normalise(grey(pixels), spec), "pool") for pixels, _ in batches])
        logits = model.after(vectors, "pool")
    margin = logits[:, 1] - logits[:, 0]
    return {"dead_share": _dead_share(vectors), "logit_std": float(margin.std(correction=0)), "images": len(images)}


def follow(config: Config, images: CachedImages, spec: InputSpec, steps: int) -> Iterator[dict[str, float | None]]:
    """Repeat the first `steps` steps of a training from its own weights, batches and dropout, and measure each.

    They are the training's steps exactly when it has a constant rate, a plain cross-entropy and no augmentation, as the
    study's had. Before the step, on its batch: `loss`, `dead_share` and `logit_std` as in `probe`, and `gradient`, the norm of
    the gradient over all parameters of the stages before `pool`. Of the step itself: `weight_step`, the mean absolute change
    of a weight of the first linear layer in
    `pool`; `shift`, by how much that moves its outputs for the same inputs (mean of the absolute), and `spread`, their
    deviation before; None where `pool` has no linear layer.
    """
    model = build_model(config)[0].learn("all").train()
    kind = torch.optim.Adam if config.training.optimizer == "adam" else torch.optim.AdamW
    adam = kind(model.parameters(), lr=config.training.full.lr, weight_decay=config.training.weight_decay)
    before = [p for name in model.names[: model.names.index("pool")] for p in model.get_submodule(name).parameters()]
    layer = next((m for m in model.get_submodule("pool").modules() if isinstance(m, nn.Linear)), None)
    order = EpochOrder(len(images), config.training.batch_size, seed=config.seed, phase="full", shuffle=True)
    for n, (pixels, label) in enumerate(islice(loader(images, order), steps)):
        torch.manual_seed(derive_seed(config.seed, "full", 0, n))  # as the training does, for its dropout
        maps = model.until(normalise(grey(pixels), spec), "last_block")
        vectors = model.get_submodule("pool")(maps)
        logits = model.after(vectors, "pool")
        loss = functional.cross_entropy(logits, label)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = math.sqrt(sum(float(p.grad.square().sum()) for p in before if p.grad is not None))
        margin = (logits[:, 1] - logits[:, 0]).detach()
        measured = {
            "loss": loss.item(),
            "dead_share": _dead_share(vectors),
            "logit_std": float(margin.std(correction=0)),
        }
        yield {**measured, "gradient": gradient, **_measured_step(adam, layer, maps.detach().flatten(1))}


def _measured_step(adam: torch.optim.Optimizer, layer: nn.Linear | None, inputs: Tensor) -> dict[str, float | None]:
    """Take the step, and measure how it changed the weights of `layer` and its outputs for `inputs`."""
    if layer is None:
        adam.step()
        return {"weight_step": None, "shift": None, "spread": None}
    with torch.no_grad():
        weight, outputs = layer.weight.clone(), layer(inputs)
        adam.step()
        shift, step = (layer(inputs) - outputs).abs().mean(), (layer.weight - weight).abs().mean()
    return {"weight_step": float(step), "shift": float(shift), "spread": float(outputs.std())}


def _dead_share(vectors: Tensor) -> float:
    return float((vectors == 0).all(0).float().mean())


def begin_or_resume(folder: RunFolder, config: Config) -> RunFolder:
    """The folder of a sweep or a study of `config`, new or resumed. Raises UsageError when it was started with another config."""
    if folder.config.exists():
        refuse_changes("study", folder.config, changed_keys(folder.load_config(), config))
    folder.begin(config)
    return folder


def _run_config(config: Config, folder: RunFolder, rate: float, seed: int) -> Config:
    """The config of one run; all share the sweep's split and cache."""
    full = config.training.full.model_copy(update={"lr": rate})
    sections = {
        "seed": seed,
        "training": config.training.model_copy(update={"full": full}),
        "split": config.split.model_copy(update={"file": str(folder.split.resolve())}),
        "data": config.data.model_copy(update={"cache": config.data.cache or str(folder.cache.resolve())}),
    }
    return config.model_copy(update=sections)


def _finished_run(config: Config, sweep: RunFolder, cohort: Cohort, steps: int, say: Say, bar: Bar) -> SweepRun:
    """Train, probe and follow, each only if it is not done yet."""
    rate, seed = config.training.full.lr, config.seed
    run = RunFolder(sweep.path / "runs" / f"lr-{rate:g}-seed-{seed}")
    if not (run.artifact / MANIFEST).exists():
        train(config, run.path, resume=run.path.exists(), say=say, bar=bar)
    if not (run.path / PROBE).exists():
        spec = input_spec(config)
        model = build_model(config)[0]
        model.load_state_dict(load_file(run.artifact / WEIGHTS))
        first = list(follow(config, cohort.parts["train"], spec, steps))
        write_json(run.path / PROBE, {"probe": probe(model, cohort.parts["tune"], spec), "first_steps": first})
    history, found = (json.loads(path.read_text(encoding="utf-8")) for path in (run.history, run.path / PROBE))
    epochs, first_steps = tuple(history["full"]), tuple(found["first_steps"])
    return SweepRun(rate, seed, verdict(epochs[-1]), epochs, found["probe"], first_steps)


def _write(folder: RunFolder, config: Config, cohort: Cohort, runs: Sequence[SweepRun]) -> None:
    """`learning_rates.json` and the figure, after every run: a sweep that is stopped has what it found so far."""
    counts = {name: np.bincount(part.labels, minlength=2).tolist() for name, part in cohort.parts.items()}
    found = {
        "rule": RULE,
        "counts": {name: dict(zip(("normal", "abnormal"), pair, strict=True)) for name, pair in counts.items()},
        "runs": [asdict(run) for run in runs],
        "split": cohort.split.digest,
        "config": config.model_dump(mode="json"),
        "provenance": json.loads(folder.provenance.read_text(encoding="utf-8")),
    }
    write_json(folder.path / "learning_rates.json", found)
    lines = [(run.lr, run.verdict, [epoch["train_loss"] for epoch in run.epochs]) for run in runs]
    save_figure(draw_losses(lines), folder.path / "learning_rates")

"""One phase on Lightning's Trainer, with the epoch as the unit of resumption."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from cxreader import torch_setup  # noqa: F401 - before Lightning

# isort: split
import lightning
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from safetensors.torch import load_file, save
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from cxreader.atomic import is_full, write_whole
from cxreader.counting import format_count
from cxreader.data.dataset import (
    WHOLE,
    Batch,
    BatchShare,
    CachedImages,
    EpochOrder,
    SharedImages,
    StageOutputs,
    loader,
)
from cxreader.errors import ModelError, StorageError, UsageError
from cxreader.models.stages import StagedModel
from cxreader.runs import write_json
from cxreader.training.activation_cache import ActivationCache
from cxreader.training.devices import on_each_device, on_gpu
from cxreader.training.module import PhaseModule, Recipe, Watch, synchronised
from cxreader.training.phases import Phase, PhaseResult, best_epoch, ended

_SYNC_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in signature(DistributedDataParallel).parameters
)
"""What torch calls the copying of the first process's running statistics before each step; they are averaged here instead."""
BEST, DONE = "best.safetensors", "done.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where and how a phase runs; nothing here changes what is learnt, but for `batch_size`, `precision` and `monitor`."""

    batch_size: int = 32
    monitor: Literal["accuracy", "auc", "loss"] = "accuracy"
    precision: str = "auto"
    accelerator: str = "auto"
    tensorboard: bool = False
    compile: bool = False
    show_progress: bool = True
    devices: int = 1


def fit_phase(
    model: StagedModel,
    phase: Phase,
    recipe: Recipe,
    parts: Mapping[str, CachedImages],
    folder: Path,
    settings: Settings,
    *,
    activations: ActivationCache | None = None,
    watch: Watch | None = None,
) -> PhaseResult:
    """Train `model` in place until it stops improving on `tune`, and leave it with its best epoch's weights.

    `parts` holds train and tune; with `activations` the stored outputs of the frozen stages are learnt from instead of their
    pixels. `watch`, of one device alone, is told every epoch's figures, and may raise to end the phase. A phase that is done is
    loaded from `folder`; one that was interrupted goes on after its last whole epoch, to the same weights as without the
    interruption, on as many devices as `settings` says by then. Raises KeyboardInterrupt on Ctrl-C, ModelError when the loss
    is no number, and as `on_each_device`.
    """
    if is_done(folder):
        model.load_state_dict(load_file(folder / BEST))
    else:
        last = _last_whole(folder)
        if last is None or not ended(last[1], phase, settings.monitor):  # else it was killed before its result
            images = parts if activations is None else {"train": activations.train, "tune": activations.tune}
            stage, views = (None, 1) if activations is None else (activations.stage, activations.views)
            checkpoint = None if last is None else last[0]
            _learn(_Task(model, phase, recipe, images, stage, views, folder, settings, checkpoint), watch)
        _finish(model, phase.name, folder, settings.monitor)
    return PhaseResult(**{**(done := json.loads((folder / DONE).read_text())), "history": tuple(done["history"])})


def state_bytes(model: StagedModel) -> bytes:
    """The network's tensors as safetensors bytes."""
    return bytes(save({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}))


@dataclass(frozen=True, slots=True)
class _Task:
    """What is learnt, from what and how: all that a process needs. `checkpoint`: of the epoch that it goes on after."""

    model: StagedModel
    phase: Phase
    recipe: Recipe
    images: Mapping[str, CachedImages | StageOutputs]
    stage: str | None
    views: int
    folder: Path
    settings: Settings
    checkpoint: Path | None


def _learn(task: _Task, watch: Watch | None) -> None:
    """Train here, or on several devices in a process each."""
    devices, tune = task.settings.devices, len(task.images["tune"])
    if tune < devices:
        what = f"{devices} devices for {format_count(tune, '[image|images]')} of the tune part"
        raise UsageError(what, where="training.devices", mend="set it lower")
    if devices == 1:
        _fit(task, WHOLE, watch)
    else:
        on_each_device(partial(_fit, task), devices, task.settings.accelerator)


def _fit(task: _Task, share: BatchShare, watch: Watch | None = None) -> None:
    """Train this process's share of every batch until the phase ends; its epochs are in the checkpoints of the folder."""
    settings, model = task.settings, task.model
    if share != WHOLE and task.recipe.batch_statistics and on_gpu(settings.accelerator):
        model = synchronised(model)
    module = PhaseModule(model, task.phase, task.recipe, stage=task.stage, share=share, watch=watch)
    if settings.compile:
        module.network = torch.compile(model.forward)
    batches = _batches(task, share)
    callbacks = _callbacks(task.phase, task.folder, settings.monitor)
    bars = [TQDMProgressBar(refresh_rate=5)] if settings.show_progress else []
    with _quiet_lightning():
        trainer = lightning.Trainer(
            max_epochs=task.phase.epochs,
            callbacks=[*callbacks, *bars],
            logger=_loggers(task.folder, settings.tensorboard),
            accelerator=settings.accelerator,
            devices=share.ranks,
            strategy="auto" if share == WHOLE else DDPStrategy(**{_SYNC_BUFFERS: False}),
            plugins=None if share == WHOLE else [LightningEnvironment()],  # not a cluster's, which would number anew
            precision=_precision(settings),
            deterministic="warn",  # a kernel without a deterministic form (some of CUDA's) is used and said, not refused
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_progress_bar=settings.show_progress,
            log_every_n_steps=max(1, min(50, len(batches[0]))),
            use_distributed_sampler=False,
            default_root_dir=task.folder,
        )
        module.to(memory_format=torch.channels_last)
        _run(trainer, module, batches, task)


def _batches(task: _Task, share: BatchShare) -> tuple[DataLoader[Batch], DataLoader[Batch]]:
    """Train and tune, of pixels or of what the frozen stages made of them; a GPU has them gathered ahead by two workers."""
    size, train, tune = task.settings.batch_size, task.images["train"], task.images["tune"]
    count = len(train) // task.views
    order = EpochOrder(count, size, seed=task.recipe.seed, phase=task.phase.name, shuffle=True, views=task.views)
    ahead = 2 if on_gpu(task.settings.accelerator) else 0
    in_turn = EpochOrder(len(tune), max(64, size))
    return loader(SharedImages(train, share), order, ahead), loader(SharedImages(tune, share), in_turn, ahead)


def _run(
    trainer: lightning.Trainer,
    module: PhaseModule,
    batches: tuple[DataLoader[Batch], DataLoader[Batch]],
    task: _Task,
) -> None:
    try:
        trainer.fit(module, *batches, ckpt_path=task.checkpoint, weights_only=False)
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from None
    except OSError as error:
        if not is_full(error):
            raise
        mend = "free space there, then the same command with --resume; finished epochs are kept"
        raise StorageError("no room for a checkpoint", where=task.folder, mend=mend) from None
    if trainer.interrupted:
        raise KeyboardInterrupt


def _precision(settings: Settings) -> str:
    """`auto` is half precision by bf16 where a GPU has it: same range as float32, so no loss scaling."""
    if settings.precision != "auto":
        return settings.precision
    return "bf16-mixed" if on_gpu(settings.accelerator) and torch.cuda.is_bf16_supported() else "32"


def _callbacks(phase: Phase, folder: Path, monitor: str) -> tuple[EarlyStopping, ModelCheckpoint, ModelCheckpoint]:
    mode = "min" if monitor == "loss" else "max"
    figure = f"tune_{monitor}"
    best = ModelCheckpoint(
        folder, filename="best-{epoch}", monitor=figure, mode=mode, save_weights_only=True, save_on_train_epoch_end=True
    )
    # The last two epochs are kept: a machine that dies while one is written still has the other.
    every = ModelCheckpoint(
        folder, filename="last-{epoch:04d}", monitor="epoch", mode="max", save_top_k=2, save_on_train_epoch_end=True
    )
    stop = EarlyStopping(
        figure, mode=mode, patience=phase.patience, min_delta=0.0, check_on_train_epoch_end=True, check_finite=False
    )
    return stop, best, every


def is_done(folder: Path) -> bool:
    """Whether the phase in this folder has its result."""
    return (folder / DONE).exists()


def _last_whole(folder: Path) -> tuple[Path, list[dict[str, Any]]] | None:
    """The newest epoch's checkpoint that can be read, and its history; the phase starts anew when there is none."""
    for path in sorted(folder.glob("last-*.ckpt"), reverse=True):
        try:
            checkpoint = torch.load(path, map_location="cpu", weights_only=False)  # our own file, written by this run
        except Exception:  # noqa: BLE001, S112 - a torn pickle raises anything; the epoch before it is whole
            continue
        return path, checkpoint["history"]
    return None


def _finish(model: StagedModel, phase: str, folder: Path, monitor: str) -> None:
    """Give the network its best epoch's weights and write the phase's result; `done.json` last: a phase with it is whole.

    The best epoch is read from the history and its file found by name: Lightning's own record of it is lost when the
    folder was moved, and so might be the file's place.
    """
    last = _last_whole(folder)
    history = [] if last is None else last[1]
    epoch = best_epoch(history, monitor)
    if epoch is None:
        raise ModelError(f"phase {phase!r} gave no finite tune_{monitor}", mend="lower its learning rate")
    named = [*folder.glob(f"best-epoch={epoch}.ckpt"), *folder.glob(f"best-epoch={epoch}-v*.ckpt")]
    written = max(named, key=lambda path: path.stat().st_mtime)
    checkpoint: dict[str, Any] = torch.load(written, map_location="cpu", weights_only=False)
    state = {k.removeprefix("model."): v for k, v in checkpoint["state_dict"].items() if k.startswith("model.")}
    model.load_state_dict(state, strict=False)
    write_whole(folder / BEST, state_bytes(model))
    seconds = sum(record["seconds"] for record in history)
    score = float(history[epoch][f"tune_{monitor}"])
    result = PhaseResult(phase, epoch, score, tuple(history), seconds)
    write_json(folder / DONE, asdict(result))
    for leftover in folder.glob("*.ckpt"):
        leftover.unlink()


def _loggers(folder: Path, tensorboard: bool) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(folder, name="csv")]
    return [*loggers, TensorBoardLogger(folder, name="tensorboard")] if tensorboard else loggers


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning's advice about workers, folders and devices is no news to our users; its errors still come through."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            for message in ("Checkpoint directory .* exists", ".*LeafSpec.* is deprecated"):
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        log.setLevel(level)

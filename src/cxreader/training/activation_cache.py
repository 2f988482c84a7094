"""The activation cache: outputs of frozen stages, computed once and memory-mapped.

While a stage does not learn, its output is data. Donahue et al. (DeCAF, ICML 2014) trained classifiers on stored activations;
here the output of any stage of a StagedModel can be stored: vectors for the head phase, maps for the last block, and as many
augmented views of each image as are wanted.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cxreader.data.augment import VERSION, Augmentation
from cxreader.data.dataset import CachedImages, StageOutputs, derive_seed, grey, normalise
from cxreader.data.pixel_cache.pool import exclusive
from cxreader.errors import StorageError
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.folding import folded
from cxreader.models.stages import StagedModel
from cxreader.progress import Bar, Say
from cxreader.training.activation_store import PARTS, ActivationStore

FORMAT = 1
CPU_BATCH, GPU_BATCH = 32, 256
"""Images a batch. Fixed, not measured on the spot: another batch may round differently, and a resumed pass must not."""
_COMMIT_EVERY = 16  # batches between two commits of a pass


@dataclass(frozen=True, slots=True)
class ActivationPlan:
    """What is stored of each stage, in `dtype`: `views` versions of each training image, and tune images as they are.

    View 0 is the image as it is. View v of a batch is augmented as drawn from (`seed`, v, the batch's first position); where
    `augmentation` is None, all are as view 0.
    """

    spec: InputSpec
    augmentation: Augmentation | None
    seed: int
    views: int = 1
    dtype: Literal["float16", "float32"] = "float16"


@dataclass(frozen=True, slots=True)
class ActivationCache:
    """The stored outputs of `stage` for the images of train, all of one view before those of the next, and of tune."""

    stage: str
    train: StageOutputs
    tune: StageOutputs
    views: int


def build_activation_caches(
    model: StagedModel,
    stages: Iterable[str],
    parts: Mapping[str, CachedImages],
    plan: ActivationPlan,
    folder: Path,
    *,
    accelerator: str = "auto",
    say: Say,
    bar: Bar,
) -> dict[str, ActivationCache]:
    """Outputs of each of `stages` for the images of train and tune, by stage; computed in one pass unless `folder` has them.

    Outputs are found by the hash of everything they depend on: the weights up to the stage, the InputSpec, augmentation, seed
    and views, the pixels of the split's images in their order, the precision and the kind of device. A pass that was
    interrupted goes on. `say` is told how many bytes will be written; raises StorageError when the disk has no room for them.
    """
    device = _device(accelerator)
    ordered = sorted(stages, key=model.names.index)
    stores = {s.stage: s for s in _stores(model, ordered, parts, plan, folder, device)}
    missing = [stores[stage] for stage in ordered if not stores[stage].complete()]
    if missing:
        with exclusive(folder / "prefix"):
            missing = [store for store in missing if not store.complete()]
            if missing:
                _reserve(missing, parts, plan, folder, say)
                with bar("frozen stages") as progress:
                    _compute(model, missing, parts, plan, device, progress)
    return {stage: _open(stores[stage], parts, plan) for stage in ordered}


def _open(store: ActivationStore, parts: Mapping[str, CachedImages], plan: ActivationPlan) -> ActivationCache:
    train, tune = (StageOutputs(store.values(part), parts[part].labels, parts[part].supervision) for part in PARTS)
    return ActivationCache(store.stage, train, tune, plan.views)


def _stores(
    model: StagedModel,
    stages: Sequence[str],
    parts: Mapping[str, CachedImages],
    plan: ActivationPlan,
    folder: Path,
    device: torch.device,
) -> list[ActivationStore]:
    shapes = _shapes(model, stages, plan.spec)
    rows = {"train": len(parts["train"]) * plan.views, "tune": len(parts["tune"])}
    common = {
        "format": FORMAT,
        "spec": asdict(plan.spec),
        "views": plan.views,
        "dtype": plan.dtype,
        "augmentation": _drawn(plan),
        "images": [parts[part].digest for part in PARTS],
        "device": device.type,
    }
    found = []
    for stage in stages:
        text = json.dumps({**common, "weights": _weights_digest(model, stage)}, sort_keys=True)
        key = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        place = folder / "prefix" / f"{stage}-{key}"
        found.append(ActivationStore(place, stage, shapes[stage], rows, np.dtype(plan.dtype)))
    return found


def _drawn(plan: ActivationPlan) -> dict[str, Any] | None:
    """What the views are drawn from; None where none is, so that every seed shares the same outputs."""
    if plan.augmentation is None or plan.views == 1:
        return None
    return {**asdict(plan.augmentation), "seed": plan.seed, "version": VERSION, "plain": 1}


def _shapes(model: StagedModel, stages: Sequence[str], spec: InputSpec) -> dict[str, tuple[int, ...]]:
    """Of one image's output of each stage: (H, W, C) of maps, (D,) of vectors."""
    x = torch.zeros(1, 3, spec.size, spec.size, device=next(model.parameters()).device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        outputs = zip(model.names, model.each_until(x, stages[-1]), strict=False)
        shapes = {name: tuple(_channels_last(output).shape[1:]) for name, output in outputs if name in stages}
    model.train(was_training)
    return shapes


def _weights_digest(model: StagedModel, stage: str) -> str:
    """Of every tensor up to and with `stage`, by name."""
    digest = hashlib.blake2b(digest_size=16)
    frozen = model.names[: model.names.index(stage) + 1]
    for name, tensor in model.state_dict().items():
        if name.split(".")[0] in frozen and not name.endswith("num_batches_tracked"):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _reserve(
    stores: Sequence[ActivationStore], parts: Mapping[str, CachedImages], plan: ActivationPlan, folder: Path, say: Say
) -> None:
    """Say how many bytes the disk will hold, refuse what it cannot, and reserve the rest."""
    needed = sum(store.nbytes - store.allocated for store in stores)
    free = shutil.disk_usage(folder).free
    names = " and ".join(store.stage for store in stores)
    views = f" x {plan.views} views" if plan.views > 1 else ""
    images = f"{len(parts['train']):,} training images{views} and {len(parts['tune']):,} tune images"
    what = f"outputs of {names} for {images}, {plan.dtype}: {needed / 2**20:,.1f} MiB"
    if needed > free:
        mend = "set training.views lower or training.prefix_cache = false, or data.cache to a larger disk"
        raise StorageError(f"no room for {what}; {free / 2**20:,.1f} MiB are free", where=folder, mend=mend)
    say(f"storing the {what} of {free / 2**30:,.1f} GiB free")
    for store in stores:
        store.prepare()


def _compute(
    model: StagedModel,
    stores: Sequence[ActivationStore],
    parts: Mapping[str, CachedImages],
    plan: ActivationPlan,
    device: torch.device,
    progress: Any,
) -> None:
    """One pass over all rows: train view after view, then tune, each batch through all stages that are wanted."""
    segments = _segments(model, [store.stage for store in stores], device, fold=plan.dtype == "float16")
    opened = {store.stage: {part: store.values(part, "r+") for part in PARTS} for store in stores}
    batches = list(_batches(parts, plan, CPU_BATCH if device.type == "cpu" else GPU_BATCH))
    total, begun = sum(stores[0].rows.values()), min(store.done() for store in stores)
    about = {"stages": [store.stage for store in stores], "shape": {s.stage: s.shape for s in stores}}
    for n, batch in enumerate(batches, 1):
        if batch.done <= begun:
            continue
        x = grey(parts[batch.part][batch.positions][0].to(device))
        if plan.augmentation is not None and batch.part == "train" and batch.view > 0:
            x = plan.augmentation(x, derive_seed(plan.seed, "view", batch.view, batch.positions[0]))
        outputs = _run(
            segments, normalise(x, plan.spec), device, half=plan.dtype == "float16" and device.type == "cuda"
        )
        for store, output in zip(stores, outputs, strict=True):
            opened[store.stage][batch.part][batch.row : batch.row + len(batch.positions)] = output
        if n % _COMMIT_EVERY == 0 or n == len(batches):
            for store in stores:
                maps = [v for v in opened[store.stage].values() if isinstance(v, np.memmap)]
                store.commit(max(batch.done, store.done()), maps, about)
        if progress is not None:
            progress(batch.done, total)


@dataclass(frozen=True, slots=True)
class _BatchAt:
    """Images of a part, the view of them, the first row they fill, and how many rows are done behind them."""

    part: str
    view: int
    positions: list[int]
    row: int
    done: int


def _batches(parts: Mapping[str, CachedImages], plan: ActivationPlan, size: int) -> Iterable[_BatchAt]:
    done = 0
    for part, views in (("train", plan.views), ("tune", 1)):
        count = len(parts[part])
        for view in range(views):
            for start in range(0, count, size):
                positions = list(range(start, min(start + size, count)))
                done += len(positions)
                yield _BatchAt(part, view, positions, view * count + start, done)


def _segments(model: StagedModel, stages: Sequence[str], device: torch.device, *, fold: bool) -> list[nn.Module]:
    """The frozen stages cut behind each of `stages`, in evaluation mode, channels last; with `fold` batch norms are folded.

    Folding rounds otherwise than the online path, by far less than float16 does; float32 is stored for those who want
    the online path's own numbers (the same to the bit where both have the same batch size), and is left unfolded: Adam
    makes a visible difference of a last digit in a few steps.
    """
    segments, start = [], 0
    for stage in stages:
        end = model.names.index(stage) + 1
        block = nn.Sequential(*(model.get_submodule(name) for name in model.names[start:end]))
        whole = (folded(block) if fold else copy.deepcopy(block).eval()).to(device)
        segments.append(whole.to(memory_format=torch.channels_last))  # type: ignore[call-overload] # not in its stub
        start = end
    return segments


def _run(segments: Sequence[nn.Module], x: Tensor, device: torch.device, *, half: bool) -> list[NDArray[np.floating]]:
    """Every segment's output, channels last; in half precision on the way where the device is made for it."""
    outputs = []
    with torch.inference_mode(), torch.autocast(device.type, enabled=half, dtype=torch.float16):
        for segment in segments:
            x = segment(x)
            outputs.append(_channels_last(x).float().cpu().numpy())
    return outputs


def _channels_last(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H, W, C); vectors stay."""
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def _device(accelerator: str) -> torch.device:
    """Where Lightning would train."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("cpu")

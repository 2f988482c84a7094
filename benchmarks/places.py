"""Which ways of making a heat map find what was boxed: the tables of docs/explanation/places.md.

    python benchmarks/places.py run runs/first --parts test tune calibrate
    python benchmarks/places.py nih SHARED/nih_boxes SHARED/nih_normals --cache CACHE
    python benchmarks/places.py nih SHARED/nih_boxes SHARED/nih_normals --cache CACHE --side 512

`run`: the maps of a trained network, by method and stage. `nih`: EfficientNet-Lite0 as it comes, frozen, with a linear head that
learns normal/abnormal in five folds by patient; maps by stride, pooling and method, judged on the patients of the other fold.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cxreader import torch_setup  # noqa: F401 - before torch

# isort: split
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxreader.assessment.cohort import cohort_of_run
from cxreader.data.sources import open_source
from cxreader.explanation.boxes import BoxTable
from cxreader.explanation.gradcam import grad_cam_map, hires_cam_map
from cxreader.explanation.localisation import map_scores
from cxreader.explanation.localisation_report import report
from cxreader.explanation.location_prior import prior_scores
from cxreader.explanation.map_scores import PROTOCOL
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import read, size
from cxreader.inference.reader import Reader
from cxreader.machine import cores
from cxreader.models.registry import create_model, model_entry
from cxreader.models.stages import StagedModel
from cxreader.models.weights import load_pretrained
from cxreader.records import ImageRecord
from cxreader.runs import git_revision
from dilation import dilate

Maps = NDArray[np.floating]
SIDE, FOLDS, EPOCHS, BATCH = 320, 5, 15, 16
CELL = 16
"""Pixels by which copies of an image are shifted, and of a cell in which their maps are laid on each other."""
SHIFTS = ((0, 0), (0, CELL), (0, -CELL), (CELL, 0), (-CELL, 0))


def layer_cam_map(maps: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Each position by its own gradient where that is above 0 (LayerCAM, Jiang et al., IEEE TIP 2021)."""
    return (gradients.clamp_min(0) * maps).sum(dim=1)


METHODS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "Grad-CAM": grad_cam_map,
    "HiResCAM": hires_cam_map,
    "LayerCAM": layer_cam_map,
}


class Table:
    """Prints a row for each way of making maps (m, h, w) of the images with a box."""

    def __init__(self, records: list[ImageRecord], spec: InputSpec) -> None:
        self.names = [record.image for record in records]
        boxes = {r.image: spec.place(r.boxes, *size(r.path or "")) for r in records}
        self.boxes = BoxTable.of(boxes, (spec.size, spec.size), {r.image: r.group for r in records})
        self.nulls = prior_scores(self.boxes), prior_scores(self.boxes, by_finding=True)
        whole = report(self.boxes, self.nulls, None, PROTOCOL, n_resamples=500).all
        print("| map | AUC | mean IoU | pointing | gain in IoU | over that of the finding |\n|---|---|---|---|---|---|")
        for name, null in (("fixed", whole.null), ("fixed, of the finding", whole.null_by_finding)):
            print(f"| {name} | | {null['iou'].value:.3f} | {null['pointing'].value:.3f} | | |")

    def row(self, name: str, maps: Maps, auc: float) -> None:
        """Print the row of maps (m, h, w) of these images, by a network of this AUC."""
        scores = map_scores(dict(zip(self.names, maps, strict=True)), self.boxes)
        found = report(self.boxes, self.nulls, scores, PROTOCOL, n_resamples=500).all
        gains = " | ".join(f"{g['iou'].value:+.3f} ({g['iou'].interval})" for g in (found.gain, found.gain_by_finding))
        iou, pointing = found.model["iou"].value, found.model["pointing"].value
        print(f"| {name} | {auc:.3f} | {iou:.3f} | {pointing:.3f} | {gains} |", flush=True)


def of_run(folder: Path, parts: list[str]) -> None:
    """The maps of a trained network on parts that its weights did not learn from."""
    reader = Reader.load(folder, backend="torch")
    model, spec = reader.only.backend.model.eval(), reader.artifact.spec  # type: ignore[attr-defined]
    records = [record for part in parts for record in cohort_of_run(folder, part).records]
    pixels = np.stack([spec.pixels(read(record.path or "")) for record in records])
    x = torch.from_numpy(spec.normalise(pixels))
    with torch.no_grad():
        logits = torch.cat([model(some) for some in torch.split(x, BATCH)]).numpy()
    auc = float(roc_auc_score([record.label for record in records], logits[:, 1] - logits[:, 0]))
    boxed = [n for n, record in enumerate(records) if record.boxes]
    table, x = Table([records[n] for n in boxed], spec), x[boxed]
    for stage in model.names[-4:-6:-1]:
        found, flipped = _methods(model, x, stage), _methods(model, x.flip(3), stage)
        for name, maps in found.items():
            table.row(f"{name}, {stage}, {maps.shape[1]} x {maps.shape[2]}", maps, auc)
            table.row("the same, mean with that of the mirrored image", (maps + flipped[name][:, :, ::-1]) / 2, auc)


def _methods(model: StagedModel, x: torch.Tensor, stage: str) -> dict[str, Maps]:
    found: dict[str, list[torch.Tensor]] = {name: [] for name in METHODS}
    for some in torch.split(x, BATCH):
        with torch.no_grad():
            output = model.until(some, stage)
        output.requires_grad_()
        (gradient,) = torch.autograd.grad(model.after(output, stage)[:, 1].sum(), output)
        for name, method in METHODS.items():
            found[name].append(method(output.detach(), gradient).clamp_min(0))
    return {name: torch.cat(maps).numpy() for name, maps in found.items()}


def of_nih(sources: list[str], cache: Path, side: int) -> None:
    """The levers on a frozen network of ImageNet, by five folds of patients."""
    records = [record for source in sources for record in open_source(source, name="nih").records]
    label = np.array([record.label for record in records])
    _, patient = np.unique([record.group for record in records], return_inverse=True)
    fold = (np.random.default_rng(0).permutation(patient.max() + 1) % FOLDS)[patient]
    entry = model_entry("efficientnet_lite0")
    spec = InputSpec(side, mean=entry.mean, std=entry.std)
    boxed = [n for n, record in enumerate(records) if record.boxes]
    table = Table([records[n] for n in boxed], spec)
    for stride in (32, 16):
        plain, mirrored = (_features(records, spec, stride, cache, mirrored=which) for which in (False, True))
        shifted = [_features(records, spec, stride, cache, shift=by) for by in SHIFTS]
        for r in (0, 1, 4):
            heads, auc = _heads(np.stack([_pooled(maps, r) for maps in plain]), label, fold)
            for name, maps in _maps(plain, mirrored, boxed, [heads[fold[n]] for n in boxed], r):
                pooling = f"log-sum-exp, r = {r}" if r else "mean"
                table.row(f"stride {stride}, pooled by {pooling}: {name}", maps, auc)
            if not r:
                maps = _over_shifts(shifted, boxed, [heads[fold[n]] for n in boxed], side)
                table.row(f"stride {stride}, pooled by mean: Grad-CAM, mean over shifts by {CELL} pixels", maps, auc)


def _features(
    records: list[ImageRecord],
    spec: InputSpec,
    stride: int,
    cache: Path,
    *,
    mirrored: bool = False,
    shift: tuple[int, int] = (0, 0),
) -> Maps:
    """The last maps (n, C, h, w) of the frozen network, kept as float16 in `cache`. `shift`: down and to the right, in pixels."""
    moved = "-mirrored" if mirrored else "-{}-{}".format(*shift) if any(shift) else ""
    file = cache / f"lite0-{spec.size}-{stride}{moved}.npy"
    if not file.exists():
        model = create_model("efficientnet_lite0", size=spec.size).eval()
        load_pretrained(model, "efficientnet_lite0", "imagenet")
        if stride == 16:
            _check_positions(model, dilate(deepcopy(model), spec.size), spec.size)
            model = dilate(model, spec.size)
        found = []
        for start in range(0, len(records), BATCH):
            pixels = np.stack([spec.pixels(read(r.path or "")) for r in records[start : start + BATCH]])
            pixels = pixels[:, :, ::-1] if mirrored else _shifted(pixels, *shift)
            with torch.no_grad():
                found.append(model.until(torch.from_numpy(spec.normalise(pixels)), "last_block").half().numpy())
        cache.mkdir(parents=True, exist_ok=True)
        np.save(file, np.concatenate(found))
    kept: Maps = np.load(file, mmap_mode="r")
    return kept


def _shifted(images: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    """Images or maps (n, h, w) moved so many cells, with the border's values where nothing was."""
    rows, columns = (
        np.clip(np.arange(n) - by, 0, n - 1) for n, by in zip(images.shape[1:], (down, right), strict=True)
    )
    return images[:, rows][:, :, columns]


def _over_shifts(features: list[Maps], boxed: list[int], heads: list[Maps], side: int) -> Maps:
    """Grad-CAM of shifted copies, on a grid of `CELL` pixels, each shifted back: their mean (m, s, s)."""
    size, total = side // CELL, np.zeros((len(boxed), side // CELL, side // CELL), np.float32)
    for (down, right), maps in zip(SHIFTS, features, strict=True):
        own = [np.tensordot(weights, maps[n].astype(np.float32), 1) for n, weights in zip(boxed, heads, strict=True)]
        warm = torch.from_numpy(np.stack(own)).clamp_min(0)[:, None]
        fine = torch.nn.functional.interpolate(warm, (size, size), mode="bilinear", align_corners=False)[:, 0].numpy()
        total += _shifted(fine, -down // CELL, -right // CELL)
    return total / len(SHIFTS)


def _check_positions(coarse: StagedModel, fine: StagedModel, side: int) -> None:
    """Raise where the finer map is not the old one with new positions between."""
    x = torch.randn(1, 3, side, side)
    with torch.no_grad():
        old, new = coarse.until(x, "last_block"), fine.until(x, "last_block")
    torch.testing.assert_close(new[:, :, ::2, ::2], old, rtol=1e-4, atol=1e-4)


def _pooled(maps: Maps, r: int) -> Maps:
    """(C,): the mean of a map (C, h, w), or its log-sum-exp (Pinheiro and Collobert, CVPR 2015) with sharpness `r`."""
    flat = maps.reshape(len(maps), -1).astype(np.float32)
    if not r:
        return np.asarray(flat.mean(axis=1))
    top = flat.max(axis=1)
    return np.asarray(top + np.log(np.exp(r * (flat - top[:, None])).mean(axis=1)) / r)


def _heads(vectors: Maps, label: NDArray[np.integer], fold: NDArray[np.integer]) -> tuple[list[Maps], float]:
    """The abnormal logit's weights of each fold's head, and the AUC of all folds' scores together."""
    x, y, score, heads = torch.from_numpy(vectors), torch.from_numpy(label).long(), np.zeros(len(label)), []
    for number in range(FOLDS):
        torch.manual_seed(number)
        head, learn = torch.nn.Linear(x.shape[1], 2), torch.from_numpy(np.flatnonzero(fold != number))
        optimiser = torch.optim.Adam(head.parameters(), 1e-3)
        for _ in range(EPOCHS):
            for some in torch.split(learn[torch.randperm(len(learn))], 32):
                optimiser.zero_grad()
                dropped = torch.nn.functional.dropout(x[some], 0.2)
                torch.autograd.backward(torch.nn.functional.cross_entropy(head(dropped), y[some]))
                optimiser.step()
        with torch.no_grad():
            logits = head(x[torch.from_numpy(fold == number)]).numpy()
        score[fold == number] = logits[:, 1] - logits[:, 0]
        heads.append(head.weight.detach()[1].numpy())
    return heads, float(roc_auc_score(label, score))


def _maps(plain: Maps, mirrored: Maps, boxed: list[int], heads: list[Maps], r: int) -> Iterator[tuple[str, Maps]]:
    """By name, maps (m, h, w) of the boxed images. With log-sum-exp a position's gradient has the share of its exponential."""
    found: dict[str, list[Maps]] = {}
    for n, weights in zip(boxed, heads, strict=True):
        maps, other = (some[n].astype(np.float32) for some in (plain, mirrored))
        exponentials = np.exp(r * (maps - maps.max(axis=(1, 2), keepdims=True)))
        shares = exponentials / exponentials.mean(axis=(1, 2), keepdims=True)
        gradients = torch.from_numpy(shares * weights[:, None, None])[None]
        for name, method in METHODS.items():
            if r or name != "HiResCAM":  # behind a mean it is Grad-CAM
                found.setdefault(name, []).append(
                    method(torch.from_numpy(maps)[None], gradients)[0].clamp_min(0).numpy()
                )
        both = [np.maximum(np.tensordot(weights, some, 1), 0) for some in (maps, other[:, :, ::-1])]
        found.setdefault("Grad-CAM, mean with that of the mirrored image", []).append((both[0] + both[1]) / 2)
    for name, rows in found.items():
        yield name, np.stack(rows)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    run = kinds.add_parser("run")
    run.add_argument("folder", type=Path)
    run.add_argument("--parts", nargs="+", default=["test"])
    nih = kinds.add_parser("nih")
    nih.add_argument("sources", nargs="+")
    nih.add_argument("--cache", type=Path, required=True)
    nih.add_argument("--side", type=int, default=SIDE)
    given = parser.parse_args()
    torch.set_num_threads(cores())
    if given.kind == "run":
        of_run(given.folder, given.parts)
    else:
        of_nih(given.sources, given.cache, given.side)
    date, machine = datetime.now(UTC).date(), f"{platform.system()} {platform.machine()}, {cores()} cores"
    print(f"\nSeed 0, {date}, {machine}, revision {git_revision()}; 95 % intervals by patient.")


if __name__ == "__main__":
    main()

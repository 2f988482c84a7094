"""Artifact -> ONNX: the same network for a machine without torch, compared with torch before anything is written."""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from cxreader import torch_setup  # noqa: F401 - before torch

# isort: split
import numpy as np
import torch
from numpy.typing import NDArray

from cxreader.atomic import write_whole
from cxreader.data.phantoms.image import PhantomSpec, render
from cxreader.errors import ArtifactError, CxreaderError, MissingDependencyError, ModelError
from cxreader.explanation.gradcam import signed_cam
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.radiograph import Radiograph
from cxreader.inference.runtimes.exported_network import ExportedNetwork, Regions
from cxreader.inference.runtimes.exported_outputs import ANSWER, HEAT, REGIONS, ExportedBackend, signed_map
from cxreader.inference.runtimes.onnx_backend import OnnxBackend
from cxreader.inference.runtimes.torch_backend import load_network, load_region_head
from cxreader.models.artifact import Artifact, load_artifact, save_manifest, sha256
from cxreader.models.registry import ModelEntry, model_entry
from cxreader.models.stages import StagedModel
from cxreader.progress import Say

ONNX, OPSET = "onnx", 17
LIMITS = {"logits": 1e-4, "maps": 1e-3, "features": 1e-4, "regions": 1e-4}
"""How far the export may be from torch in float64: regions absolutely, the rest as a share of torch's largest, for logits of 1
at least.

A network whose logits are large rounds them as much more, in every runtime. Maps are compared before negative values are cut
off, so that one that is 0 everywhere is compared too.
"""
_GRAINS = (1, 2, 4, 8, 16, 32)
_FLAT = 1e-6
"""The share is of this at least: what nowhere exceeds it is nothing but rounding."""
_ONE = 1.0
"""Below it the size of a logit is no measure: a difference of 1e-4 moves a probability by no more than that."""


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest differences of an export from torch, as `LIMITS` measures them, on so many images.

    No `maps`, no `regions`: it holds none.
    """

    logits: float
    maps: float | None
    features: float
    images: int
    regions: float | None = None

    def check(self) -> None:
        """Raise ModelError, with every figure, when one is over its limit or no number."""
        found = {name: getattr(self, name) for name in LIMITS if getattr(self, name) is not None}
        over = [f"{n} by {v:.1e} (allowed {LIMITS[n]:.0e})" for n, v in found.items() if not v <= LIMITS[n]]
        if over:
            raise ModelError(
                f"the exported network does not answer as torch does: {', '.join(over)}; nothing was written",
                mend="read with the torch backend, or export with another version of onnxruntime or torch",
            )


def export_onnx(folder: str | Path) -> Artifact:
    """Write the network of the artifact in `folder` as ONNX beside its weights, and note it in `artifact.json`.

    The file is named after its content and the manifest is written last, so that an export that is killed leaves the artifact
    as it was; an earlier export is replaced. A network whose heat maps have no closed form (`ModelEntry.closed_form_maps`) is
    exported without them. Returns the artifact with its export. Raises ArtifactError for a damaged artifact, ModelError for a
    network that cannot be exported or whose export answers otherwise than torch (see `LIMITS`), MissingDependencyError
    without the package onnx, StorageError.
    """
    folder = Path(folder)
    artifact = load_artifact(folder, exports=False)
    if artifact.quantised is not None:
        what = "a quantised artifact is its own export"
        raise ArtifactError(what, where=folder, mend="export the artifact that it was made from")
    model, entry = load_network(artifact, folder), model_entry(artifact.model)
    stage = entry.cam_stage
    head = load_region_head(artifact, folder)
    regions = None if head is None or artifact.region_head is None else (head, artifact.region_head.stages)
    graph = onnx_bytes(model, stage, artifact.spec.size, maps=entry.closed_form_maps, regions=regions)
    parity = compare(OnnxBackend.of(graph), model, entry, parity_images(artifact.spec), regions=regions)
    parity.check()
    digest = sha256(graph)
    name = f"model-{digest[:12]}.onnx"
    export = {
        "file": name,
        "sha256": digest,
        "bytes": len(graph),
        "opset": OPSET,
        "parity": asdict(parity),
        "versions": {package: version(package) for package in ("torch", "onnx", "onnxruntime")},
    }
    exported = replace(artifact, exports={**artifact.exports, ONNX: export})
    write_whole(folder / name, graph)
    save_manifest(exported, folder)
    for old in folder.glob("model-*.onnx"):
        if old.name != name:
            old.unlink(missing_ok=True)
    return exported


def export_after_training(folder: str | Path, say: Say) -> Artifact | None:
    """Export what was just trained, in seconds, and say so in one line; None, with the reason said, when it cannot be done.

    Training is not lost because its export failed: the artifact is whole without one.
    """
    try:
        artifact = export_onnx(folder)
    except CxreaderError as error:
        say(f"not exported to ONNX, so it is read with torch: {error.what}")
        return None
    export = artifact.exports[ONNX]
    size, parity = f"{export['bytes'] / 2**20:.1f} MiB", export["parity"]
    without = "; heat maps need torch" if parity["maps"] is None else ""
    say(f"exported to ONNX: {export['file']}, {size}, as torch within {parity['logits']:.0e}{without}")
    return artifact


def onnx_bytes(
    model: StagedModel, stage: str, size: int, *, maps: bool = True, regions: Regions | None = None
) -> bytes:
    """The network as an ONNX file for batches of any length of `size` x `size` images; the same bytes again.

    With `OUTPUTS`, or without `maps` the first two; with `regions` their maps besides. `stage` is the CAM stage.
    Raises ModelError when the gradient behind
    it has no closed form but `maps` are wanted, MissingDependencyError without the package onnx.
    """
    network = ExportedNetwork(model, stage, size, maps=maps, regions=regions).eval()
    outputs = (*ANSWER, *(HEAT if maps else ()), *((REGIONS,) if regions else ()))
    with TemporaryDirectory(prefix="cxreader-export-") as scratch, warnings.catch_warnings():
        # torch's tracing exporter is called old; its newer one gives the same graph and takes ten times as long.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings(
            "ignore", "Converting a tensor to a Python integer"
        )  # sizes of maps are constants, since the input's is
        # How wide a pad is, the exporter computes in the graph; ONNX Runtime makes the pad a part of the convolution behind it.
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1")
        file = Path(scratch) / "model.onnx"
        try:
            torch.onnx.export(
                network,
                (torch.zeros(2, 3, size, size),),
                file,
                dynamo=False,
                opset_version=OPSET,
                input_names=["images"],
                output_names=list(outputs),
                dynamic_axes={name: {0: "n"} for name in ("images", *outputs)},
            )
        except torch.onnx.OnnxExporterError as error:
            if "not installed" in str(error):
                mend = "pip install 'cxreader[train]'"
                raise MissingDependencyError("exporting needs the package onnx", mend=mend) from None
            raise ModelError(f"the network cannot be written as ONNX ({error})") from None
        return file.read_bytes()


def parity_images(spec: InputSpec) -> NDArray[np.float32]:
    """Images to compare runtimes on (N, 3, S, S), always the same: noise from single pixels to coarse squares, two phantoms.

    Noise alone may leave every unit of a hidden layer at 0, and then proves nothing.
    """
    random = np.random.default_rng(0)
    images = []
    for grain in _GRAINS:
        coarse = random.integers(0, 256, (-(-spec.size // grain),) * 2, np.uint8)
        images.append(np.kron(coarse, np.ones((grain, grain), np.uint8))[: spec.size, : spec.size])
    for share in (0, 1):
        drawn = render(PhantomSpec(size=256, abnormal_share=share), patient=1, visit=0)
        images.append(spec.pixels(Radiograph((drawn.pixels / 255).astype(np.float32), "phantom")))
    return spec.normalise(np.stack(images))


def compare(
    exported: ExportedBackend,
    model: StagedModel,
    entry: ModelEntry,
    images: NDArray[np.float32],
    *,
    regions: Regions | None = None,
) -> Parity:
    """How far `exported` is from `model` in float64, whose `entry` says how its heat map is made, and from its region head.

    `images`: (N, 3, H, W). In float32 torch is no judge: it rounds as the runtime does.
    """
    stage = entry.cam_stage
    logits, features = exported.outputs(images, ANSWER)
    ours = exported.outputs(images, HEAT) if exported.has_maps else []
    head, read = regions or (None, ())
    exact = deepcopy(model).double()
    with torch.no_grad():
        output, torch_features, read_maps = exact.observed(torch.from_numpy(images).double(), stage, read)
        places = None if head is None else deepcopy(head).double()(read_maps).sigmoid().numpy()
    torch_logits, theirs = signed_cam(exact, output, stage=stage, method=entry.cam_method)
    return Parity(
        logits=_share(logits, torch_logits.numpy(), least=_ONE),
        maps=_share(signed_map(*ours), theirs.numpy()) if ours else None,
        features=_share(features, torch_features.numpy()),
        images=len(images),
        regions=None if places is None else float(np.abs(exported.outputs(images, (REGIONS,))[0] - places).max()),
    )


def _share(ours: NDArray[np.float32], exact: NDArray[np.float64], least: float = _FLAT) -> float:
    return float(np.abs(ours - exact).max() / max(np.abs(exact).max(), least))

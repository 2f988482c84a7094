"""The contract of a runtime, and the table of runtimes: a new one is one file here and one line in the table."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ArtifactError, MissingDependencyError, UsageError, nearest
from cxreader.models.artifact import Artifact, check_files


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a runtime is loaded.

    `backend`: `module:class`, called as class(artifact, folder) and giving a Backend. `recipe`: the line that installs what it
    needs. `reads`: the exported file that it reads, a key of `Artifact.exports`; None for the weights. `module`: what is imported
    of it, whose version its answers depend on.
    """

    backend: str
    recipe: str
    reads: str | None = None
    module: str = ""


BACKENDS = {
    "onnx": Runtime(
        "cxreader.inference.runtimes.onnx_backend:OnnxBackend", "pip install onnxruntime", "onnx", "onnxruntime"
    ),
    "openvino": Runtime(
        "cxreader.inference.runtimes.openvino_backend:OpenVinoBackend",
        "pip install 'cxreader[openvino]'",
        "onnx",
        "openvino",
    ),
    "openvino-bf16": Runtime(
        "cxreader.inference.runtimes.openvino_backend:OpenVinoBf16Backend",
        "pip install 'cxreader[openvino]'",
        "onnx",
        "openvino",
    ),
    "torch": Runtime(
        "cxreader.inference.runtimes.torch_backend:TorchBackend", "pip install 'cxreader[train]'", module="torch"
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """A network's outputs for N images, all float32.

    `logits` (N, 2): normal, abnormal. `features` (N, D): as `StagedModel.maps_and_features` gives them. `maps` (N, h, w):
    raw Grad-CAM of the abnormal logit, at least 0, unscaled; None when not asked for. `regions` (N, f + 1, s, s) in [0, 1]: of
    the region head, one map a finding of its record and one of any behind them; None when not asked for, and without such a head.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    maps: NDArray[np.float32] | None
    regions: NDArray[np.float32] | None = None


class Backend(Protocol):
    """A loaded network. Safe to call from several threads."""

    name: str
    """The runtime: a key of `BACKENDS`."""
    has_maps: bool
    """Whether `run` can give heat maps of this network."""

    def run(self, batch: NDArray[np.float32], *, maps: bool = False) -> Output:
        """(N, 3, H, W), as `InputSpec.normalise` gives it, with N at least 1 -> the Output; as `require_maps` where `maps`."""
        ...

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, H, W) -> (N, 2)."""
        ...


def load_backend(name: str, artifact: Artifact, folder: Path) -> Backend:
    """The runtime `name` with the artifact's network in it, its file checked.

    For `auto` the first that the artifact was exported for, else torch; the backend's `name` tells which. Raises UsageError for
    an unknown name, ArtifactError when the artifact lacks the file or it is damaged, or nothing at hand can run it,
    MissingDependencyError with the line that installs what the named runtime lacks.
    """
    name = _chosen(artifact, folder) if name == "auto" else name
    if name not in BACKENDS:
        raise UsageError(f"no backend is named {name!r}", mend=nearest(str(name), ["auto", *BACKENDS]))
    runtime = BACKENDS[name]
    if runtime.reads is not None:
        exported_file(artifact, folder, runtime.reads)
    check_files(artifact, folder, name if artifact.quantised is not None else runtime.reads or name)
    module, _, kind = runtime.backend.partition(":")
    try:
        backend: Backend = getattr(importlib.import_module(module), kind)(artifact, folder)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"the {name} backend needs {error.name}", mend=runtime.recipe) from None
    return backend


def runtime_version(name: str) -> str | None:
    """The version of the installed runtime `name`, as `onnxruntime 1.20.0`; None for one that is not in `BACKENDS`."""
    module = BACKENDS[name].module if name in BACKENDS else ""
    return f"{module} {importlib.import_module(module).__version__}" if module else None


def exported_file(artifact: Artifact, folder: Path, kind: str) -> Path:
    """The file of this kind, a key of `Artifact.exports`, in the artifact's folder. Raises ArtifactError when there is none."""
    if kind not in artifact.exports:
        mend = f"run `cxreader export --model {folder.name}` on a machine with cxreader[train]"
        raise ArtifactError(f"the artifact holds no {kind.upper()} export", where=folder, mend=mend)
    return folder / str(artifact.exports[kind]["file"])


def require_maps(backend: Backend) -> None:
    """Raise UsageError when the runtime cannot give heat maps of its network."""
    if not backend.has_maps:
        raise UsageError(
            f"this network's {backend.name} export holds no heat maps; they need torch",
            mend='read with --backend torch (in Python: backend="torch"), or without heat maps',
        )


def _chosen(artifact: Artifact, folder: Path) -> str:
    exported = [name for name, runtime in BACKENDS.items() if runtime.reads in artifact.exports]
    if exported:
        return exported[0]
    if importlib.util.find_spec("torch") is None:
        raise ArtifactError(
            "the artifact has no export, and torch is not installed here",
            where=folder,
            mend=f"run `cxreader export --model {folder.name}` on a machine with cxreader[train] and copy the folder again",
        )
    return "torch"

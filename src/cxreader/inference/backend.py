"""What a runtime must give, and the table of runtimes: a new one is one file here."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ArtifactError, MissingDependencyError, UsageError, nearest
from cxreader.models.artifact import Artifact

BACKENDS = {
    "onnx": ("cxreader.inference.onnx_backend:OnnxBackend", "pip install onnxruntime"),
    "torch": ("cxreader.inference.torch_backend:TorchBackend", "pip install 'cxreader[train]'"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """What a network says of N images.

    `logits` (N, 2): normal, abnormal. `features` (N, D): what each stage saw in the middle. `maps` (N, h, w):
    raw Grad-CAM of the abnormal logit, at least 0, unscaled; None when not asked for. All float32.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    maps: NDArray[np.float32] | None


class Backend(Protocol):
    """A loaded network. Safe to call from several threads."""

    name: str
    """The runtime: a key of `BACKENDS`."""

    def run(self, batch: NDArray[np.float32], *, maps: bool = False) -> Output:
        """(N, 3, H, W), as `InputSpec.normalise` gives it, with N of 1 or more -> the Output."""
        ...

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, H, W) -> (N, 2)."""
        ...


def runtime_of(name: str, artifact: Artifact, folder: Path) -> str:
    """The runtime `name`; for `auto` one that the artifact was exported for, else torch.

    Raises UsageError for an unknown name, ArtifactError when nothing at hand can run the artifact.
    """
    if name == "auto":
        return _chosen(artifact, folder)
    if name not in BACKENDS:
        raise UsageError(f"no backend is named {name!r}", mend=nearest(str(name), ["auto", *BACKENDS]))
    return name


def load_backend(name: str, artifact: Artifact, folder: Path) -> Backend:
    """The runtime `name` (as `runtime_of` has it), with the artifact's network in it; the backend's `name` tells which.

    Raises as `runtime_of`, ArtifactError when the artifact lacks what the runtime reads, MissingDependencyError with the line
    that installs what the named runtime lacks.
    """
    name = runtime_of(name, artifact, folder)
    target, recipe = BACKENDS[name]
    module, _, kind = target.partition(":")
    try:
        backend: Backend = getattr(importlib.import_module(module), kind)(artifact, folder)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"the {name} backend needs {error.name}", mend=recipe) from None
    return backend


def _chosen(artifact: Artifact, folder: Path) -> str:
    exported = [name for name in BACKENDS if name in artifact.exports]
    if exported:
        return exported[0]
    if importlib.util.find_spec("torch") is None:
        raise ArtifactError(
            "the artifact has no export, and torch is not installed here",
            where=folder,
            mend=f"run `cxreader export --model {folder.name}` on a machine with cxreader[train] and copy the folder again",
        )
    return "torch"
